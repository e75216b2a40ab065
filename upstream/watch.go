package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Watch holds wires to their deadlines. A deadline per request, set on the socket, costs 7 to 15% of the CPU of a small
// exchange; one goroutine that looks at a number per wire every [Tick] costs next to nothing. So a deadline is kept to
// within two ticks, and not cut early.
type Watch struct {
	now   atomic.Int64 // nanoseconds that the watch has been running, as of the last tick
	mu    sync.Mutex
	wires []*Wire
	each  []func()
}

// Tick is how often the watch looks.
const Tick = 20 * time.Millisecond

// stride is the longest time that one tick counts for. After a pause in which the process did not run (SIGSTOP, a starved
// machine) deadlines set just before the next tick, by a clock that had stood still, would otherwise be cut at once.
const stride = 5 * Tick

// NewWatch makes a watch that does nothing until Run.
func NewWatch() *Watch { return &Watch{} }

// Run looks every Tick until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(Tick)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			now := time.Now()
			w.look(min(now.Sub(last), stride))
			last = now
		}
	}
}

// Every calls f at each tick, from the watch's goroutine. It must be called before Run.
func (w *Watch) Every(f func()) { w.each = append(w.each, f) }

// Now is the time of the last tick, in nanoseconds that the watch has been running: coarse, and free.
func (w *Watch) Now() int64 { return w.now.Load() }

// due is the tick at which d will surely have passed.
func (w *Watch) due(d time.Duration) int64 { return w.now.Load() + int64(d+Tick) }

// look cuts what is overdue, now that some time has passed.
func (w *Watch) look(passed time.Duration) {
	now := w.now.Add(int64(passed))
	w.mu.Lock()
	for _, wire := range w.wires {
		wire.expire(now)
	}
	w.mu.Unlock()
	for _, f := range w.each {
		f()
	}
}

func (w *Watch) add(wire *Wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wire.slot = len(w.wires)
	w.wires = append(w.wires, wire)
}

func (w *Watch) remove(wire *Wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if wire.slot < 0 {
		return
	}
	last := len(w.wires) - 1
	w.wires[wire.slot] = w.wires[last]
	w.wires[wire.slot].slot = wire.slot
	w.wires[last] = nil
	w.wires = w.wires[:last]
	wire.slot = -1
}
