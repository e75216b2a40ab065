//go:build race

package conformance

// Under the race detector the binary is built with it as well.
func init() { buildFlags = append(buildFlags, "-race") }
