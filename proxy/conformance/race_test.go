//go:build race

package conformance

import "os"

// Under the race detector the binary is built with it as well, and ends at once, not a second later.
func init() {
	buildFlags = append(buildFlags, "-race")
	_ = os.Setenv("GORACE", "atexit_sleep_ms=10 "+os.Getenv("GORACE")) // of two options the later one counts
}
