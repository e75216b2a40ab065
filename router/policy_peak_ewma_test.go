package router

import (
	"math"
	"testing"
	"time"

	"mlproxy/upstream"
)

// picked are the parts of 20,000 picks that members get.
func picked(p policy, from *members) []float64 {
	const picks = 20_000
	count := map[*upstream.Endpoint]float64{}
	for i := range uint64(picks) {
		count[p.Pick(from, i)]++
	}
	var parts []float64
	for _, m := range from.all {
		parts = append(parts, count[m.Endpoint]/picks)
	}
	return parts
}

func TestPeakEWMAPrefersWhoAnswersFirst(t *testing.T) {
	f := func(weights []float64, load []int, latency []time.Duration, want ...float64) {
		t.Helper()
		from := endpoints(len(load), listen(t))
		for i, e := range from {
			busy(t, e, load[i])
			if latency[i] > 0 {
				e.Observe(latency[i])
			}
		}
		for i, got := range picked(peakEWMA{}, weighted(from, weights)) {
			if math.Abs(got-want[i]) > .03 {
				t.Errorf("load %v, latency %v: endpoint %d got %.3f; want %.3f", load, latency, i, got, want[i])
			}
		}
	}
	const ms, none = time.Millisecond, time.Duration(0)
	f(nil, []int{0, 0}, []time.Duration{5 * ms, 5 * ms}, .5, .5)
	f(nil, []int{0, 0}, []time.Duration{5 * ms, 50 * ms}, 1, 0)
	f(nil, []int{3, 0}, []time.Duration{5 * ms, 50 * ms}, 1, 0) // 20 and 50
	f(nil, []int{9, 1}, []time.Duration{5 * ms, 5 * ms}, 0, 1)
	f(nil, []int{9, 0}, []time.Duration{5 * ms, 20 * ms}, 0, 1)        // 50 and 20
	f(nil, []int{0, 0}, []time.Duration{5 * ms, none}, 0, 1)           // it is new: one request shows
	f(nil, []int{0, 1}, []time.Duration{5 * time.Second, none}, 1, 0)  // it has one, and has not answered
	f(nil, []int{1, 2}, []time.Duration{none, none}, 1, 0)             // nothing is known of either
	f([]float64{1, 3}, []int{0, 0}, []time.Duration{ms, ms}, .25, .75) // idle and equal: by weight
	f([]float64{1, 3}, []int{1, 2}, []time.Duration{ms, ms}, 0, 1)     // 2 and 1.67
	f(nil, []int{0, 0, 0}, []time.Duration{ms, 2 * ms, 3 * ms}, 2./3, 1./3, 0)
}
