package router

import (
	"mlproxy/monitor"
	"mlproxy/upstream"
)

// healthChanged counts what became of an endpoint of live traffic, unless it is gone by now, and passes it on.
func (e *Estate) healthChanged(t upstream.Transition) {
	if t.Role == upstream.Live.String() {
		e.count(t)
	}
	e.OnHealth(t)
}

func (e *Estate) count(t upstream.Transition) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.live[place{t.Pool, t.Endpoint}] {
		e.Registry.Transition(t.Pool, t.Endpoint, t.Kind, t.To)
	}
}

// forgetHealth removes what was counted of the endpoints that are gone.
func (e *Estate) forgetHealth(now map[place]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for gone := range without(e.live, now) {
		delete(e.live, gone)
		e.Registry.RetireEndpoint(gone.pool, gone.endpoint)
	}
}

// places are the endpoints of live traffic.
func (t *Table) places() map[place]bool {
	set := map[place]bool{}
	for _, p := range t.pools {
		for _, e := range p.Endpoints {
			set[place{p.Name, e.URL()}] = true
		}
	}
	return set
}

// health is how the pools of the table in force are doing.
func (e *Estate) health() (all []monitor.PoolHealth) {
	t := e.inForce.Load()
	if t == nil {
		return nil
	}
	for _, p := range t.pools {
		all = append(all, p.health())
	}
	return all
}

func (p *Pool) health() monitor.PoolHealth {
	h := monitor.PoolHealth{Pool: p.Name, Panic: p.panics()}
	for _, e := range p.Endpoints {
		now := e.Health().Condition()
		h.Endpoints = append(h.Endpoints, monitor.EndpointHealth{URL: e.URL(), Healthy: now.Fit && now.Level == 0, Breaker: now.Level})
	}
	return h
}
