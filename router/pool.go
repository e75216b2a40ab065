package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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

	policy    policy
	all       []member // of Endpoints, but for drained ones
	known     *upstream.Endpoints
	panicAt   float64 // at or below this share of usable endpoints all are used
	slowStart time.Duration
	seen      atomic.Pointer[standing]
}

func newPool(name string, all *config.Config, e *Estate, role upstream.Role, tls upstream.Trust) *Pool {
	cfg := all.Pools[name]
	p := &Pool{
		Name:        name,
		Options:     optionsOf(cfg, tls),
		Host:        cfg.Host,
		DrainOnGone: cfg.OnClientGone == "drain",
		policy:      policies[cfg.Balance](),
		known:       e.Endpoints,
		panicAt:     cfg.PanicThreshold,
		slowStart:   cfg.SlowStart,
	}
	p.Options.Breaker.Knock = knockOf(name, all, role, tls)
	check := checkOf(cfg, role, tls)
	for i := range cfg.Endpoints {
		endpoint := e.endpoint(role, name, cfg.Endpoints[i].URL)
		endpoint.Health().Restrict(restriction(all, &cfg.Endpoints[i]))
		endpoint.Health().Configure(p.Options.Breaker, check)
		if cfg.Endpoints[i].Drained {
			p.Endpoints = append(p.Endpoints, endpoint)
		} else {
			p.add(endpoint, cfg.Endpoints[i].Weight)
		}
	}
	return p
}

// Drained reports whether the pool's endpoint e gets no new requests. It is looked after like the others all the same.
func (p *Pool) Drained(e *upstream.Endpoint) bool {
	return !slices.ContainsFunc(p.all, func(m member) bool { return m.Endpoint == e })
}

func (p *Pool) add(e *upstream.Endpoint, weight float64) {
	p.Endpoints = append(p.Endpoints, e)
	p.all = append(p.all, newMember(e, weight))
}

// Pick is the endpoint for a request, by the pool's policy: one that is fit; else one that waits for its first probe; else any,
// and then insist says so: the endpoint's breaker must not refuse. key is a hash of the sticky key, 0 for none. not, when it is given,
// is where the request failed before: it is picked only when there is no other. Nil when the pool is empty, or all of it drained.
func (p *Pool) Pick(key uint64, not *upstream.Endpoint) (e *upstream.Endpoint, insist bool) {
	s := p.look()
	if len(s.from.all) == 0 {
		return nil, false
	}
	e = p.policy.Pick(s.from, key)
	if e == not {
		e = s.from.another(not)
	}
	return e, s.panic
}

// Reach tries to connect to the endpoints that are not drained, all at once. It is nil as soon as one can be reached; the error says of each why not.
func (p *Pool) Reach(ctx context.Context) error {
	switch {
	case len(p.Endpoints) == 0:
		return errors.New("pool " + p.Name + " has no endpoints; add one")
	case len(p.all) == 0:
		return errors.New("all endpoints of pool " + p.Name + " are drained; undrain one")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	faults := make([]string, len(p.all))
	var tries sync.WaitGroup
	reached := make(chan struct{}, len(p.all))
	for i, e := range p.all {
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
