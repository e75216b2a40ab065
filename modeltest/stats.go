package modeltest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
)

// Counts of exchanges. What was begun and did not end yet is still running.
type Counts struct {
	Begun    int64 `json:"begun"`
	Finished int64 `json:"finished"` // the whole answer was handed to the kernel
	Aborted  int64 `json:"aborted"`  // the peer left before that
	Broken   int64 `json:"broken"`   // broken off by ourselves, on request
}

// Running exchanges are those that began and did not end.
func (c Counts) Running() int64 { return c.Begun - c.Finished - c.Aborted - c.Broken }

// Stats are what a server saw since it started. Health checks and requests to /modeltest/ are not counted as exchanges.
type Stats struct {
	Counts
	Methods  map[string]Counts `json:"methods"`
	Accepted int64             `json:"accepted"` // connections
	Open     int64             `json:"open"`     // connections
	BytesIn  int64             `json:"bytes_in"` // of bodies
}

// Stats returns what the server saw so far.
func (s *Server) Stats() Stats { return s.counts.read() }

// Await returns nil as soon as enough(stats) holds, and an error with the last stats when ctx ends first.
func (s *Server) Await(ctx context.Context, enough func(Stats) bool) error {
	for {
		now, changed := s.counts.watch()
		if enough(now) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w; the model server has seen %+v", ctx.Err(), s.Stats())
		}
	}
}

// outcome is how an exchange ended.
type outcome int

const (
	finished outcome = iota
	aborted
	broken
)

// tally keeps the counters and wakes those who wait for them.
type tally struct {
	mu       sync.Mutex
	stats    Stats // Methods stays nil here: byMethod has them
	byMethod map[string]Counts
	changed  chan struct{} // nil while nobody waits
}

func (t *tally) read() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.snapshot()
}

func (t *tally) watch() (Stats, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.snapshot(), t.changed
}

func (t *tally) snapshot() Stats {
	now := t.stats
	now.Methods = maps.Clone(t.byMethod)
	return now
}

// update runs change under the lock, then wakes the waiting.
func (t *tally) update(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

func (t *tally) count(method string, add func(*Counts)) {
	t.update(func() {
		add(&t.stats.Counts)
		c := t.byMethod[method]
		add(&c)
		t.byMethod[method] = c
	})
}

// begin returns which request this is, counted from 1.
func (t *tally) begin(method string) (number int64) {
	t.count(method, func(c *Counts) { c.Begun++; number = t.stats.Begun })
	return number
}

func (t *tally) end(method string, how outcome) {
	t.count(method, func(c *Counts) {
		switch how {
		case finished:
			c.Finished++
		case aborted:
			c.Aborted++
		case broken:
			c.Broken++
		}
	})
}

func (t *tally) received(bytes int) { t.update(func() { t.stats.BytesIn += int64(bytes) }) }

// connection is an http.Server's ConnState. A hijacked connection is closed by us, who then call closed.
func (t *tally) connection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		t.update(func() { t.stats.Accepted++; t.stats.Open++ })
	case http.StateClosed:
		t.closed()
	}
}

func (t *tally) closed() { t.update(func() { t.stats.Open-- }) }

// countInto is an io.Writer that keeps nothing but the number of bytes.
type countInto struct{ *tally }

func (c countInto) Write(p []byte) (int, error) {
	c.received(len(p))
	return len(p), nil
}
