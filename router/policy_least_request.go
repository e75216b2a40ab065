package router

import "mlproxy/upstream"

func init() { register("least_request", func() policy { return leastRequest{} }) }

// leastRequest looks at two endpoints chosen by lot and picks the less loaded, by its weight. That spreads the load
// nearly as evenly as looking at all of them would (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing",
// 2001), and does not send everybody to the one that was idle a moment ago.
type leastRequest struct{}

func (leastRequest) Pick(from *members, _ uint64) *upstream.Endpoint {
	a, b := from.pair()
	if b.load() < a.load() {
		return b.Endpoint
	}
	return a.Endpoint
}
