package router

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
)

// rotation chooses for requests that have no key. A random choice would do right only in the long run: of 1,000 requests
// at 5%, 36 to 64 is what chance brings in 95 of 100 cases. A low-discrepancy sequence does right all the time.
//
// Every pool owns an arc of the circle, as long as its share; the sequence walks around the circle in steps of the golden
// ratio, and the pool on whose arc it lands is chosen. In any 1,000 consecutive steps, no arc of whatever length and place
// is hit more than 2.65 times too often or too seldom: the exact supremum, which TestRotationIsExact calculates, and so
// the order of the pools does not matter. Taking every k-th step alone (as a client does that sends k requests by turns)
// is again such a sequence, of another step; for k up to 16 the worst is 12.73, at k = 13. The square roots of 2 and 3 would be
// worse: 3.16 and 3.21 for k = 1.
//
// It is one atomic addition: nothing waits for anything.
type rotation struct {
	_    [64]byte // the counter has a cache line of its own: what stands beside it is only read
	at   atomic.Uint64
	_    [64]byte
	ends []uint64 // where the arcs end, but for the last, which goes all the way round
}

// golden is 2^64 divided by the golden ratio.
const golden = 0x9E3779B97F4A7C15

// newRotation starts anywhere, so that neither replicas nor reloads favour the pool that is named first.
func newRotation(shares []float64) *rotation {
	r := &rotation{ends: make([]uint64, len(shares)-1)}
	r.at.Store(rand.Uint64())
	sum := 0.0
	for i := range r.ends {
		sum += shares[i]
		r.ends[i] = onCircle(sum)
	}
	return r
}

// onCircle is a part of the circle, counted in 2^64ths.
func onCircle(part float64) uint64 {
	if part >= 1 {
		return math.MaxUint64
	}
	return uint64(math.Ldexp(part, 64))
}

// next is the index of the share whose turn it is.
func (r *rotation) next() int {
	at := r.at.Add(golden)
	for i, end := range r.ends {
		if at < end {
			return i
		}
	}
	return len(r.ends)
}
