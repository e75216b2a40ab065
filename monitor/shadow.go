package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ShadowMeter counts the copies one pool gets of a route's requests. All its methods may be called at once, and allocate nothing.
type ShadowMeter struct {
	codes    codes
	duration prometheus.Observer
	dropped  [dropReasons]prometheus.Counter
	compared [results]prometheus.Counter
}

func newShadowMeter(s *series, v version) *ShadowMeter {
	m := &ShadowMeter{
		codes:    codes{vec: s.shadowRequests.MustCurryWith(v.labels())},
		duration: s.shadowDuration.WithLabelValues(v.route, v.pool),
	}
	for d := range dropReasons {
		m.dropped[d] = s.shadowDropped.WithLabelValues(v.route, v.pool, d.String())
	}
	for r := range results {
		m.compared[r] = s.shadowCompare.WithLabelValues(v.route, v.pool, r.String())
	}
	return m
}

// Sent counts a copy that was sent, and the shadow's answer; code 0 for none.
func (s *ShadowMeter) Sent(code int, took time.Duration) {
	s.codes.count(code)
	s.duration.Observe(seconds(took))
}

// Dropped counts a sampled request that was not copied.
func (s *ShadowMeter) Dropped(reason DropReason) { s.dropped[reason].Inc() }

// Compared counts a comparison of the shadow's answer with the live one.
func (s *ShadowMeter) Compared(result Result) { s.compared[result].Inc() }
