package proxy

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"mlproxy/monitor"
)

// retireAfter is how long a connection must have waited before another may take its place.
const retireAfter = 300 * time.Millisecond

// makeRoom closes half of the connections that wait for a request, for want of a descriptor for the next one, and says how many that were.
func (s *Server) makeRoom() (n int) {
	idle := s.idle()
	for _, c := range idle[:(len(idle)+1)/2] {
		if c.retire(0, retireAfter) {
			n++
		}
	}
	s.counted.Evicted(n)
	return n
}

// idle are the connections that have waited for a while, the most dispensable first: those that have never carried an exchange, then those that
// have waited longest.
func (s *Server) idle() (all []*conn) {
	now := s.opt.Watch.Now()
	s.each(func(c *conn) {
		if since := c.waiting.Load(); since > 0 && time.Duration(now-since) > retireAfter {
			all = append(all, c)
		}
	})
	slices.SortFunc(all, moreDispensable)
	return all
}

func moreDispensable(a, b *conn) int {
	switch used := a.used.Load(); {
	case used == b.used.Load():
		return cmp.Compare(a.waiting.Load(), b.waiting.Load())
	case used:
		return 1
	}
	return -1
}

// waitingRoom holds those that give way next when limits.max_connections are open. Whom to close is looked for now and then only: a crowd
// that does not wait keeps its places, and costs little.
type waitingRoom struct {
	mu     sync.Mutex
	next   []*conn
	looked int64         // watch time
	left   chan struct{} // says that a connection has ended since; has room for one word
}

const (
	lookEvery   = 100 * time.Millisecond
	lookedOut   = 256                   // connections, at a look
	yieldWithin = 50 * time.Millisecond // one that gives way has nothing else to do
)

// makeRoomFor has another connection give way to c, which finds limits.max_connections open, and enlists c. Otherwise it says which limit is full.
func (s *Server) makeRoomFor(c *conn) (reason monitor.RejectReason, full bool) {
	if !s.evict() {
		return monitor.RejectLimit, true
	}
	late := time.NewTimer(yieldWithin)
	defer late.Stop()
	for {
		if reason, full = s.enlist(c); !full || reason != monitor.RejectLimit {
			return reason, full
		}
		select {
		case <-s.waiting.left:
		case <-late.C:
			return s.enlist(c)
		}
	}
}

// ended lets who waits for the place of a connection look again.
func (w *waitingRoom) ended() {
	select {
	case w.left <- struct{}{}:
	default:
	}
}

// evict closes the connection that can be dispensed with best, if there is one: of those found last, else of those there are now.
func (s *Server) evict() bool {
	room := &s.waiting
	room.mu.Lock()
	defer room.mu.Unlock()
	return s.retireNext() || s.lookAround() && s.retireNext()
}

// retireNext closes the first of those found that still waits.
func (s *Server) retireNext() bool {
	room := &s.waiting
	for len(room.next) > 0 {
		c := room.next[0]
		room.next = slices.Delete(room.next, 0, 1)
		if c.retire(0, retireAfter) {
			s.counted.Evicted(1)
			return true
		}
	}
	return false
}

// lookAround finds those that could give way, unless that was done a moment ago and there was nobody else.
func (s *Server) lookAround() bool {
	room, now := &s.waiting, s.opt.Watch.Now()
	if now-room.looked < int64(lookEvery) {
		return false
	}
	idle := s.idle()
	if room.next = slices.Clone(idle[:min(len(idle), lookedOut)]); len(room.next) == len(idle) {
		room.looked = now
	}
	return len(idle) > 0
}
