//go:build race

package journal

// raceDetector says that the race detector runs, which allocates for itself.
const raceDetector = true
