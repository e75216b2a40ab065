package router

import (
	"math/rand/v2"

	"mlproxy/upstream"
)

func init() { register("least_request", func() policy { return leastRequest{} }) }

// leastRequest looks at two endpoints chosen by lot and picks the one with fewer exchanges in flight. That spreads the load
// nearly as evenly as looking at all of them would (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing",
// 2001), and does not send everybody to the one that was idle a moment ago.
type leastRequest struct{}

func (leastRequest) Pick(from []*upstream.Endpoint, _ uint64) *upstream.Endpoint {
	if len(from) == 1 {
		return from[0]
	}
	i, j := rand.IntN(len(from)), rand.IntN(len(from)-1)
	if j >= i {
		j++
	}
	if from[j].InFlight() < from[i].InFlight() {
		return from[j]
	}
	return from[i]
}
