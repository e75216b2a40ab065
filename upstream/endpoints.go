package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"mlproxy/health"
)

// Endpoints are the endpoints in use, by role, pool and URL. They outlive tables: connections and load stay when a
// reload leaves an address in place.
type Endpoints struct {
	watch  *Watch
	prober *health.Prober
	epoch  atomic.Uint64
	mu     sync.Mutex
	known  map[identity]*Endpoint
	swept  int64 // watch time of the last reaping
}

type identity struct {
	role      Role
	pool, url string
}

// Transition is one change of an endpoint's health.
type Transition = health.Transition

// NewEndpoints makes an empty set. Run must be called for deadlines to be kept and probes to be made. report is told of
// every change of an endpoint's health, one after the other; it may wait.
func NewEndpoints(report func(Transition)) *Endpoints {
	s := &Endpoints{watch: NewWatch(), prober: health.NewProber(report), known: map[identity]*Endpoint{}}
	s.watch.Every(s.reap)
	return s
}

// Watch is what holds the wires of all endpoints to their deadlines; the clients' wires may share it.
func (s *Endpoints) Watch() *Watch { return s.watch }

// Epoch changes whenever an endpoint becomes fit or ceases to be.
func (s *Endpoints) Epoch() uint64 { return s.epoch.Load() }

// Run keeps deadlines, probes, and closes idle connections until ctx ends, and then closes all that are kept.
func (s *Endpoints) Run(ctx context.Context) {
	var probing sync.WaitGroup
	probing.Go(func() { s.prober.Run(ctx) })
	s.watch.Run(ctx)
	probing.Wait()
	s.Retain(func(*Endpoint) bool { return false })
}

// Get is the endpoint of that role, pool and URL, made when it is new.
func (s *Endpoints) Get(role Role, pool, url string) *Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := identity{role, pool, url}
	e := s.known[id]
	if e == nil {
		h := health.NewState(health.Name{Role: role.String(), Pool: pool, Endpoint: url}, s.prober.Tell)
		h.Count(&s.epoch)
		e = newEndpoint(url, s.watch, h)
		s.known[id] = e
		s.prober.Add(e.health)
	}
	e.reopen()
	return e
}

// Retain closes and forgets every endpoint that keep does not want.
func (s *Endpoints) Retain(keep func(*Endpoint) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, e := range s.known {
		if !keep(e) {
			delete(s.known, id)
			s.prober.Remove(e.health)
			e.close()
		}
	}
}

// reap closes idle connections, once a second.
func (s *Endpoints) reap() {
	now := s.watch.Now()
	if time.Duration(now-s.swept) < time.Second {
		return
	}
	s.swept = now
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.known {
		e.reap(now)
	}
}
