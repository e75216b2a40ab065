package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// comparisons are the metrics of what comparing shadows' answers finds.
type comparisons struct{ uncompared, rows, noise *prometheus.CounterVec }

func newComparisons(f factory) comparisons {
	return comparisons{
		uncompared: f.counter("shadow_compare_errors_total",
			"Shadow answers that could not be compared.", "route", "pool", "reason"),
		rows: f.counter("shadow_rows_total",
			"Rows of shadow answers compared with the live ones.", "route", "pool", "result"),
		noise: f.counter("shadow_noise_total",
			"Second answers of the live pool compared with its first.", "route", "pool", "result"),
	}
}

// ShadowMeter counts the copies one pool gets of a route's requests. All its methods may be called at once, and allocate nothing.
type ShadowMeter struct {
	codes    codes
	duration *durations
	dropped  [dropReasons]prometheus.Counter
	compared [results]prometheus.Counter
	rows     [Failed]prometheus.Counter // that agree, that differ
	errors   [uncompareds]prometheus.Counter
	noise    [results]prometheus.Counter
}

func newShadowMeter(s *series, v version) *ShadowMeter {
	m := &ShadowMeter{
		codes:    codes{vec: s.shadowRequests.MustCurryWith(v.labels())},
		duration: s.shadowDuration.of(v.route, v.pool),
	}
	for d := range dropReasons {
		m.dropped[d] = s.shadowDropped.WithLabelValues(v.route, v.pool, d.String())
	}
	for r := range results {
		m.compared[r] = s.shadowCompare.WithLabelValues(v.route, v.pool, r.String())
		m.noise[r] = s.comparisons.noise.WithLabelValues(v.route, v.pool, r.String())
	}
	for r := range Failed {
		m.rows[r] = s.comparisons.rows.WithLabelValues(v.route, v.pool, r.String())
	}
	for u := range uncompareds {
		m.errors[u] = s.comparisons.uncompared.WithLabelValues(v.route, v.pool, u.String())
	}
	return m
}

// Sent counts a copy that was sent, and the shadow's answer; code 0 for none.
func (s *ShadowMeter) Sent(code int, took time.Duration) {
	s.codes.count(code)
	s.duration.Observe(took)
}

// Dropped counts a sampled request that was not copied.
func (s *ShadowMeter) Dropped(reason DropReason) { s.dropped[reason].Inc() }

// Compared counts a comparison of the shadow's answer with the live one, and of how many rows it was.
func (s *ShadowMeter) Compared(result Result, rows, differing int) {
	s.compared[result].Inc()
	s.rows[Agree].Add(float64(rows - differing))
	s.rows[Differ].Add(float64(differing))
}

// Uncompared counts a shadow's answer that could not be compared.
func (s *ShadowMeter) Uncompared(why Uncompared) {
	s.compared[Failed].Inc()
	s.errors[why].Inc()
}

// Noise counts a comparison of the live pool's second answer with its first.
func (s *ShadowMeter) Noise(result Result) { s.noise[result].Inc() }
