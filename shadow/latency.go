package shadow

import (
	"math"
	"time"
)

// latencies counts durations in steps of an eighth of an octave: a quantile is at most 9% off.
type latencies struct {
	counts [steps]int64
	n      int64
}

const (
	perOctave = 8
	steps     = 28 * perOctave // from 1 us to over 4 minutes
)

func (l *latencies) add(d time.Duration) {
	step := int(math.Log2(max(1, float64(d)/float64(time.Microsecond))) * perOctave)
	l.counts[min(step, steps-1)]++
	l.n++
}

// quantile is the duration that the share q of all does not exceed; 0 when there are none.
func (l *latencies) quantile(q float64) time.Duration {
	if l.n == 0 {
		return 0
	}
	rank, seen := int64(math.Ceil(q*float64(l.n))), int64(0)
	for step, count := range l.counts {
		if seen += count; seen >= rank && count > 0 {
			return time.Duration(math.Exp2((float64(step)+.5)/perOctave) * float64(time.Microsecond))
		}
	}
	return 0
}
