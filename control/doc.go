// Package control is the one writer. It takes what each origin says of the desired state (the config file, the operator),
// lays one over the other, compiles the result, and swaps the routing table; nobody else does. A change either takes
// effect as a whole or leaves everything as it was, and whoever asked is told which.
package control
