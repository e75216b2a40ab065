package upstream

import (
	"math"
	"sync/atomic"
	"time"
)

// latency is an average of how long answers take that believes bad news at once and good news by and by: Finagle's peak EWMA
// (twitter/finagle, com.twitter.finagle.loadbalancer.PeakEwma). A longer time takes its place at once; a shorter one pulls it down
// by as much as time has passed since the last, so that the average does not depend on how many answers come. While none comes
// it decays, and an endpoint that was slow is tried again.
//
// Both numbers stand in one word, so that neither reading nor writing takes a lock: the average in nanoseconds as a float32
// in the upper half, when it was true, in milliseconds that may overflow, in the lower. Zero: nothing is known.
type latency struct{ word atomic.Uint64 }

// forget is the time in which all but 1/e of an average is forgotten.
const forget = 10 * time.Second

// Latency is about how long the endpoint's answers take at the moment; 0 = it is not known, or was forgotten.
func (e *Endpoint) Latency() time.Duration { return e.latency.now(e.watch.Now()) }

// usual is about how long the answers took when they last came, however long ago that is; 0 = none came yet.
func (l *latency) usual() time.Duration {
	return time.Duration(math.Float32frombits(uint32(l.word.Load() >> 32)))
}

// Observe takes into account how long an answer took, to its head. What failed at once is no answer: it would make the endpoint
// look fast.
func (e *Endpoint) Observe(took time.Duration) { e.latency.observe(took, e.watch.Now()) }

func (l *latency) now(at int64) time.Duration {
	average, _ := decayed(l.word.Load(), at)
	return time.Duration(average)
}

func (l *latency) observe(took time.Duration, at int64) {
	for {
		old := l.word.Load()
		average, kept := decayed(old, at)
		if took := float64(took); took >= average {
			average = took
		} else {
			average += took * (1 - kept)
		}
		if l.word.CompareAndSwap(old, packed(average, at)) {
			return
		}
	}
}

// decayed is what is left of an average at a time, and how much of it that is, 0 to 1. A time before the average's own, as
// another thread may have read it, is the same time.
func decayed(word uint64, at int64) (average, kept float64) {
	passed := max(0, int32(millis(at)-uint32(word)))
	kept = math.Exp(-float64(passed) / float64(forget.Milliseconds()))
	return float64(math.Float32frombits(uint32(word>>32))) * kept, kept
}

func packed(average float64, at int64) uint64 {
	return uint64(math.Float32bits(float32(average)))<<32 | uint64(millis(at))
}

func millis(at int64) uint32 { return uint32(at / int64(time.Millisecond)) }
