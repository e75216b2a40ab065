package router

import (
	"math/rand/v2"
	"sync/atomic"

	"mlproxy/upstream"
)

func init() { register("round_robin", newRoundRobin) }

// roundRobin picks one endpoint after the other; by turns as even as those of a rotation when the weights differ.
type roundRobin struct {
	turn atomic.Uint64
}

// newRoundRobin starts anywhere, so that the first endpoint does not get the first request of every replica.
func newRoundRobin() policy {
	r := &roundRobin{}
	r.turn.Store(uint64(rand.Uint32()))
	return r
}

func (r *roundRobin) Pick(from *members, _ uint64) *upstream.Endpoint {
	turn := r.turn.Add(1)
	if from.halves == nil {
		return from.all[turn%uint64(len(from.all))].Endpoint
	}
	return from.all[from.at(turn*golden)].Endpoint
}
