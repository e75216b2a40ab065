package source

import (
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Contact is how Consul stands with us.
type Contact struct {
	// Last is when Consul last answered anything, if only that it refuses; the zero time means never. What is watched may be silent for
	// [ConsulOptions.Wait] because nothing is new; one who publishes, registers or leads hears from Consul three times in a SessionTTL.
	Last     time.Time
	Keys     Standing
	Services map[Service]Standing
}

// Standing is how fresh what was last emitted is.
type Standing struct {
	// Last is when Consul last gave an answer to this; the zero time means never.
	Last time.Time
	// Stale says why what was emitted last is kept though it is not what Consul says now, or why nothing was emitted yet. Empty
	// = fresh.
	Stale string
}

// Contact tells the standing of everything that is watched now.
func (c *Consul) Contact() Contact {
	now := Contact{Last: c.door.lastAnswer(), Keys: c.keys.read(), Services: map[Service]Standing{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	for s, standing := range c.services {
		now.Services[s] = standing.read()
	}
	return now
}

// standing is what Contact reads while a watch writes it. It logs when contact is lost, when the reason is another one, and when
// it is found again.
type standing struct {
	mu   sync.Mutex
	now  Standing
	kind error // why it is stale, of the package's errors; nil = because of what the answer said
}

func (s *standing) read() Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// answered notes an answer at the time now; stale is empty if it was emitted, or nothing new.
func (s *standing) answered(now time.Time, stale string, log *slog.Logger) {
	s.mu.Lock()
	was := s.now.Stale
	s.now, s.kind = Standing{Last: now, Stale: stale}, nil
	s.mu.Unlock()
	switch {
	case stale != "" && stale != was:
		log.Warn("keeping what Consul said before", "reason", stale)
	case stale == "" && was != "":
		log.Info("Consul answers again")
	}
}

// failed notes that there was no answer.
func (s *standing) failed(err error, log *slog.Logger) {
	kind := ErrUnreachable
	for _, other := range []error{ErrForbidden, ErrTooLarge} {
		if errors.Is(err, other) {
			kind = other
		}
	}
	s.mu.Lock()
	known := s.now.Stale != "" && errors.Is(s.kind, kind)
	s.now.Stale, s.kind = err.Error(), kind
	s.mu.Unlock()
	if !known {
		log.Warn("no answer from Consul; keeping what it said before and asking on", "error", err)
	}
}
