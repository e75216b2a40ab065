package proxy

import (
	"cmp"
	"slices"
	"time"
)

// retireAfter is how long a connection must have waited before another may take its place.
const retireAfter = 300 * time.Millisecond

// makeRoom closes connections that wait for a request, for want of a descriptor for the next one, and says how many.
func (s *Server) makeRoom() int {
	now := s.opt.Watch.Now()
	var idle []*conn
	s.each(func(c *conn) {
		if since := c.waiting.Load(); since > 0 && time.Duration(now-since) > retireAfter {
			idle = append(idle, c)
		}
	})
	idle = dispensable(idle)
	for _, c := range idle {
		c.retire(0, retireAfter)
	}
	return len(idle)
}

// dispensable is half of those that wait: first those that have never carried an exchange, then those that have waited longest.
func dispensable(idle []*conn) []*conn {
	slices.SortFunc(idle, func(a, b *conn) int {
		switch used := a.used.Load(); {
		case used == b.used.Load():
			return cmp.Compare(a.waiting.Load(), b.waiting.Load())
		case used:
			return 1
		}
		return -1
	})
	return idle[:(len(idle)+1)/2]
}
