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

// Patience says for how long an exchange may stand in line, whatever the queue allows, and what is closed when its client leaves. Only
// those are asked that have to.
type Patience func() (atMost time.Duration, left <-chan struct{})

// gate lets exchanges in to an endpoint, in turn, as long as it has fewer than max_in_flight.
type gate struct {
	load
	waiting atomic.Int64 // those in line, and those about to see whether they must be
	mu      sync.Mutex
	line    []chan struct{} // whose turn it is, is closed
	limit   int             // max_in_flight as last heard of
}

// enter counts an exchange in, or is [ErrFull] when there is no room and none came in time, or [ErrAborted].
// Without a limit it takes no lock. Without patience an exchange waits for as long as the queue allows.
func (g *gate) enter(o *Options, now int64, patience Patience) error {
	if o.MaxInFlight <= 0 {
		g.begin(now)
		return nil
	}
	turn, err := g.admit(o, now)
	if turn == nil {
		return err
	}
	atMost, left := o.Queue.Timeout, (<-chan struct{})(nil)
	if patience != nil {
		atMost, left = patience()
		atMost = min(atMost, o.Queue.Timeout)
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-left:
		return g.giveUp(turn, ErrAborted)
	case <-timer.C:
		return g.giveUp(turn, ErrFull)
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

// giveUp leaves the line for the reason why, unless the turn has come meanwhile.
func (g *gate) giveUp(turn chan struct{}, why error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.line, turn)
	if i < 0 {
		return nil
	}
	g.line = slices.Delete(g.line, i, i+1)
	g.waiting.Add(-1)
	return why
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
