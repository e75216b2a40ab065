package proxy

import (
	"cmp"
	"slices"
	"time"
)

// retireAfter is how long a connection must have waited before another may take its place.
const retireAfter = 300 * time.Millisecond

// makeRoom closes one in so many of the connections that wait for a request, for want of room for the next one, and says how many that were.
func (s *Server) makeRoom(oneIn int) int {
	now := s.opt.Watch.Now()
	var idle []*conn
	s.each(func(c *conn) {
		if since := c.waiting.Load(); since > 0 && time.Duration(now-since) > retireAfter {
			idle = append(idle, c)
		}
	})
	idle = dispensable(idle, oneIn)
	for _, c := range idle {
		c.retire(0, retireAfter)
	}
	return len(idle)
}

// makeRoomFor is makeRoom for c, which finds limits.max_connections open, and enlists it. To look for whom to close takes a while, so that it is
// done now and then only: a crowd that does not wait keeps its places.
func (s *Server) makeRoomFor(c *conn) (full bool) {
	now, last := s.opt.Watch.Now(), s.crowded.Load()
	if now-last < int64(lookEvery) || !s.crowded.CompareAndSwap(last, now) || s.makeRoom(16) == 0 {
		return true
	}
	for range 10 { // they close by themselves, which is soon
		if _, full = s.enlist(c); !full {
			break
		}
		time.Sleep(shortWait)
	}
	return full
}

// lookEvery is how often it is looked for connections that could give way to others.
const lookEvery = 100 * time.Millisecond

// dispensable is one in so many of those that wait, rounded up: first those that have never carried an exchange, then those that have waited longest.
func dispensable(idle []*conn, oneIn int) []*conn {
	slices.SortFunc(idle, func(a, b *conn) int {
		switch used := a.used.Load(); {
		case used == b.used.Load():
			return cmp.Compare(a.waiting.Load(), b.waiting.Load())
		case used:
			return 1
		}
		return -1
	})
	return idle[:(len(idle)+oneIn-1)/oneIn]
}
