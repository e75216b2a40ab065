package upstream

import (
	"context"
	"sync"
	"time"
)

// Endpoints are the endpoints in use, by role, pool and URL. They outlive tables: connections and load stay when a
// reload leaves an address in place.
type Endpoints struct {
	watch *Watch
	mu    sync.Mutex
	known map[identity]*Endpoint
	swept int64 // watch time of the last reaping
}

type identity struct {
	role      Role
	pool, url string
}

// NewEndpoints makes an empty set. Run must be called for deadlines to be kept.
func NewEndpoints() *Endpoints {
	s := &Endpoints{watch: NewWatch(), known: map[identity]*Endpoint{}}
	s.watch.Every(s.reap)
	return s
}

// Watch is what holds the wires of all endpoints to their deadlines; the clients' wires may share it.
func (s *Endpoints) Watch() *Watch { return s.watch }

// Run keeps deadlines and closes idle connections until ctx ends, and then closes all that are kept.
func (s *Endpoints) Run(ctx context.Context) {
	s.watch.Run(ctx)
	s.Retain(func(*Endpoint) bool { return false })
}

// Get is the endpoint of that role, pool and URL, made when it is new.
func (s *Endpoints) Get(role Role, pool, url string) *Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := identity{role, pool, url}
	e := s.known[id]
	if e == nil {
		e = newEndpoint(url, s.watch)
		s.known[id] = e
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
