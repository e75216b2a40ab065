package upstream

import (
	"sync/atomic"
	"time"
)

// load is what an endpoint has to do.
type load struct {
	inFlight atomic.Int64
	// heard is when an exchange last ended, or the first of those in flight began: watch time.
	heard atomic.Int64
}

// silenceCounts is for how long nothing has to come back until the exchanges in flight count twice.
const silenceCounts = 250 * time.Millisecond

func (l *load) begin(now int64) {
	if l.inFlight.Add(1) == 1 {
		l.heard.Store(now)
	}
}

func (l *load) end(now int64) {
	l.heard.Store(now)
	l.inFlight.Add(-1)
}

// aged is the number of exchanges in flight, which counts for more the longer no exchange has ended: an endpoint that hangs
// loses its share of the traffic before any timeout tells.
func (l *load) aged(now int64) float64 {
	n := l.inFlight.Load()
	if n <= 0 {
		return 0
	}
	silent := max(0, now-l.heard.Load())
	return float64(n) * (1 + float64(silent)/float64(silenceCounts))
}
