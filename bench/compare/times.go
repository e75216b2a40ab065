package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// times are durations, as many as there are, known to a thirty-second of themselves.
type times struct {
	buckets [40 * perDoubling]atomic.Int64
}

const perDoubling = 32

func (t *times) add(d time.Duration) {
	t.buckets[bucket(d)].Add(1)
}

// bucket counts from one nanosecond on: so many for each doubling.
func bucket(d time.Duration) int {
	n := uint64(max(d, perDoubling))
	doubling := bits.Len64(n) - 1
	return min((doubling-5)*perDoubling+int(n>>(doubling-5))-perDoubling, 40*perDoubling-1)
}

// quantile is the time that a share q of them does not exceed; 0 if there are none.
func (t *times) quantile(q float64) time.Duration {
	var all, seen int64
	for i := range t.buckets {
		all += t.buckets[i].Load()
	}
	if all == 0 {
		return 0
	}
	due := int64(q*float64(all-1)) + 1
	for i := range t.buckets {
		if seen += t.buckets[i].Load(); seen >= due {
			return time.Duration((i%perDoubling + perDoubling) << (i / perDoubling))
		}
	}
	return 0
}
