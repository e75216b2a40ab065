package router

import (
	"math/rand/v2"
	"sync/atomic"

	"mlproxy/upstream"
)

func init() { register("round_robin", newRoundRobin) }

// roundRobin picks one endpoint after the other.
type roundRobin struct {
	turn atomic.Uint64
}

// newRoundRobin starts anywhere, so that the first endpoint does not get the first request of every replica.
func newRoundRobin() policy {
	r := &roundRobin{}
	r.turn.Store(uint64(rand.Uint32()))
	return r
}

func (r *roundRobin) Pick(from []*upstream.Endpoint, _ uint64) *upstream.Endpoint {
	return from[r.turn.Add(1)%uint64(len(from))]
}
