// Command mlproxy is a traffic router for model servers: it splits requests between model versions, mirrors them to
// shadows, switches blue/green pools, and measures each version. This package wires the rooms together and is the
// command line; nothing is decided here.
package main
