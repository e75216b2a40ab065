//go:build race

package shadow

// raceDetector says that the race detector runs, which allocates for itself.
const raceDetector = true
