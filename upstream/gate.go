package upstream

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Queue bounds what may wait for an endpoint that has max_in_flight exchanges already.
type Queue struct {
	// Size is how many may wait; 0 = none.
	Size int
	// Timeout is how long one may wait.
	Timeout time.Duration
}

// gate lets exchanges in to an endpoint, in turn, as long as it has fewer than max_in_flight.
type gate struct {
	load
	waiting atomic.Int64 // those in line, and those about to see whether they must be
	mu      sync.Mutex
	line    []chan struct{} // whose turn it is, is closed
	limit   int             // max_in_flight as last heard of
}

// enter counts an exchange in, or is [ErrFull] when there is no room and none came in time. Without a limit it takes no lock.
func (g *gate) enter(o *Options, now int64) error {
	if o.MaxInFlight <= 0 {
		g.begin(now)
		return nil
	}
	turn, err := g.admit(o, now)
	if turn == nil {
		return err
	}
	timer := time.NewTimer(o.Queue.Timeout)
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-timer.C:
		return g.giveUp(turn)
	}
}

// admit counts the exchange in, or puts it in the line and returns its turn, if the line has room.
func (g *gate) admit(o *Options, now int64) (turn chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = o.MaxInFlight
	g.waiting.Add(1) // before looking, so that whoever leaves just now looks at the line
	switch {
	case len(g.line) == 0 && g.inFlight.Load() < int64(o.MaxInFlight):
		g.begin(now)
	case len(g.line) >= o.Queue.Size:
		err = ErrFull
	default:
		turn = make(chan struct{})
		g.line = append(g.line, turn)
		return turn, nil
	}
	g.waiting.Add(-1)
	return nil, err
}

// giveUp leaves the line, unless the turn has come meanwhile.
func (g *gate) giveUp(turn chan struct{}) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.line, turn)
	if i < 0 {
		return nil
	}
	g.line = slices.Delete(g.line, i, i+1)
	g.waiting.Add(-1)
	return ErrFull
}

// leave counts an exchange out, by load.end or load.forsake; its place goes to the first in line.
func (g *gate) leave(now int64, out func(*load, int64)) {
	if g.waiting.Load() == 0 {
		out(&g.load, now)
		if g.waiting.Load() == 0 {
			return
		}
		g.begin(now) // somebody came between the two: the place is handed over after all
	}
	g.handOver(now, out)
}

func (g *gate) handOver(now int64, out func(*load, int64)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.line) == 0 || g.inFlight.Load() > int64(g.limit) {
		out(&g.load, now)
		return
	}
	out(&g.load, now)
	g.inFlight.Add(1)
	close(g.line[0])
	g.line = slices.Delete(g.line, 0, 1)
	g.waiting.Add(-1)
}
