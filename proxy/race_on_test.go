//go:build race

package proxy

// raceDetector says that the race detector runs, which allocates for itself.
const raceDetector = true
