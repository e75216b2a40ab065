package router

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"mlproxy/config"
	"mlproxy/upstream"
)

// Pool is one pool of a table, with the connections of one role: live traffic, or copies.
type Pool struct {
	Name string
	// Endpoints are all of them, in the config's order.
	Endpoints []*upstream.Endpoint
	// Options are for every use of the endpoints.
	Options *upstream.Options
	// Host is what the endpoints are told; empty = what the client said.
	Host string
	// DrainOnGone lets the endpoint finish its answer when the client has gone.
	DrainOnGone bool

	policy policy
}

func newPool(name string, cfg *config.Pool, e *Estate, role upstream.Role) *Pool {
	p := &Pool{
		Name:        name,
		Options:     &upstream.Options{ConnectTimeout: cfg.ConnectTimeout, MaxConnections: cfg.MaxConnections},
		Host:        cfg.Host,
		DrainOnGone: cfg.OnClientGone == "drain",
		policy:      policies[cfg.Balance](),
	}
	for i := range cfg.Endpoints {
		p.Endpoints = append(p.Endpoints, e.Endpoints.Get(role, name, cfg.Endpoints[i].URL))
	}
	return p
}

// Pick is the endpoint for a request, by the pool's policy; key is a hash of the sticky key. not, when it is given, is
// where the request failed before: it is picked only when there is no other. Nil when the pool is empty.
func (p *Pool) Pick(key uint64, not *upstream.Endpoint) *upstream.Endpoint {
	from := p.Endpoints
	if len(from) == 0 {
		return nil
	}
	e := p.policy.Pick(from, key)
	if e == not {
		return another(from, not)
	}
	return e
}

// another is the least loaded endpoint besides not, if there is one. Second tries are rare, so it may look at all of them;
// it starts anywhere, so that those of one moment do not all go to the same place.
func another(from []*upstream.Endpoint, not *upstream.Endpoint) *upstream.Endpoint {
	best, start := not, rand.IntN(len(from))
	for i := range from {
		e := from[(start+i)%len(from)]
		if e != not && (best == not || e.InFlight() < best.InFlight()) {
			best = e
		}
	}
	return best
}

// Reach tries to connect to the endpoints, all at once. It is nil as soon as one can be reached; the error says of each why not.
func (p *Pool) Reach(ctx context.Context) error {
	if len(p.Endpoints) == 0 {
		return errors.New("pool " + p.Name + " has no endpoints; add one")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	faults := make([]string, len(p.Endpoints))
	var tries sync.WaitGroup
	reached := make(chan struct{}, len(p.Endpoints))
	for i, e := range p.Endpoints {
		tries.Go(func() {
			if err := e.Reach(ctx, p.Options); err != nil {
				faults[i] = fmt.Sprintf("%s: %v", e.URL(), err)
				return
			}
			reached <- struct{}{}
			cancel()
		})
	}
	tries.Wait()
	if len(reached) > 0 {
		return nil
	}
	return fmt.Errorf("pool %s: no endpoint can be reached; start one of them (%s)", p.Name, strings.Join(faults, "; "))
}
