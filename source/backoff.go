package source

import (
	"math/rand/v2"
	"time"
)

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// backoff is the pause after a failure: twice the last one, up to lastPause. The zero value is ready.
type backoff struct{ last time.Duration }

// next is how long to pause now, anything from half the pause to all of it: a fleet that lost its Consul does not come back at once.
func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, firstPause), lastPause)
	return b.last/2 + rand.N(b.last/2)
}

// reset begins anew after a success.
func (b *backoff) reset() { b.last = 0 }
