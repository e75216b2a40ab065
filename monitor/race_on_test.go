//go:build race

package monitor

// raceDetector says that the race detector runs, which allocates for itself.
const raceDetector = true
