// Package trust is how mlproxy proves who it is, and whom it believes: certificates and keys in files, which are read again
// when they change. Files that cannot be used leave what was read before in force, and are told of.
package trust
