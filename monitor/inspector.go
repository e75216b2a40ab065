package monitor

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mlproxy/protocol"
)

// Bounds of what waits to be inspected.
const (
	mostWaiting = 1024
	mostHeld    = 64 << 20    // bytes of all copies of bodies
	lastWords   = time.Second // to inspect what waits when mlproxy stops

	// gathering is how long a worker that has nothing to do lets captures come together: to be woken for each costs more than to read it.
	gathering = time.Millisecond
)

// Inspector reads what exchanges carried, after they have ended and beside the traffic: a few workers take copies from a bounded queue. What
// there is no room for is dropped and counted. An exchange never waits for it, and never fails because of it.
type Inspector struct {
	queue   chan *Capture
	held    atomic.Int64 // bytes of bodies in all captures that are in use
	stopped atomic.Bool
	dropped [inspectDrops]prometheus.Counter
	idle    sync.Pool
	tell    []func(*Record)
}

// NewInspector makes an inspector that works once it is run. Each of tell is told of every inspected exchange, by several goroutines at once,
// after the version's meter; it may keep nothing of the record, and should not take long.
func NewInspector(r *Registry, tell ...func(*Record)) *Inspector {
	i := &Inspector{queue: make(chan *Capture, mostWaiting), tell: tell}
	i.idle.New = func() any { return newCapture(i) }
	for d := range inspectDrops {
		i.dropped[d] = r.series.inspectDropped.WithLabelValues(d.String())
	}
	return i
}

// Begin is a capture for an exchange that was sampled, nil when there is no room for one. It ends with Offer or Drop.
func (i *Inspector) Begin(a protocol.Adapter, maxBody int64) *Capture {
	switch {
	case i.stopped.Load():
		i.dropped[InspectDraining].Inc()
	case len(i.queue) == cap(i.queue):
		i.dropped[InspectQueueFull].Inc()
	case i.held.Load() >= mostHeld:
		i.dropped[InspectBytes].Inc()
	default:
		c := i.idle.Get().(*Capture)
		c.begin(a, maxBody)
		return c
	}
	return nil
}

// Refuse counts an exchange that was sampled, and for which no capture was begun.
func (i *Inspector) Refuse(why InspectDrop) { i.dropped[why].Inc() }

// Drop gives a capture up.
func (i *Inspector) Drop(c *Capture, why InspectDrop) {
	i.dropped[why].Inc()
	i.recycle(c)
}

// Offer has the exchange of which r tells inspected, for its version's meter, and says whether there was room for it. It never waits, and keeps
// nothing of the record.
func (i *Inspector) Offer(c *Capture, meter *ModelMeter, r *Record, path []byte) bool {
	if c.tight() {
		i.Drop(c, InspectBytes)
		return false
	}
	c.end(meter, r, path)
	select {
	case i.queue <- c:
		return true
	default:
		i.Drop(c, InspectQueueFull)
		return false
	}
}

func (i *Inspector) recycle(c *Capture) {
	c.release()
	i.idle.Put(c)
}

// Run inspects until ctx ends, and then for a second at the most what waits. It leaves half of the processors to the traffic.
func (i *Inspector) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		workers.Go(func() { i.work(ctx) })
	}
	workers.Wait()
}

func (i *Inspector) work(ctx context.Context) {
	facts := new(protocol.Facts)
	for {
		select {
		case c := <-i.queue:
			i.inspect(c, facts)
			if len(i.queue) == 0 {
				time.Sleep(gathering)
			}
		case <-ctx.Done():
			i.stopped.Store(true)
			i.finish(facts, time.Now().Add(lastWords))
			return
		}
	}
}

// finish empties the queue.
func (i *Inspector) finish(facts *protocol.Facts, until time.Time) {
	for {
		select {
		case c := <-i.queue:
			if time.Now().After(until) {
				i.Drop(c, InspectDraining)
				continue
			}
			i.inspect(c, facts)
		default:
			return
		}
	}
}

// inspect reads one capture and tells of it. An adapter that fails costs its capture and nothing else.
func (i *Inspector) inspect(c *Capture, facts *protocol.Facts) {
	facts.Reset()
	c.guard(func() { c.read(facts) })
	if c.failed {
		*facts = protocol.Facts{}
		i.Drop(c, InspectFailed)
		return
	}
	defer i.recycle(c)
	r := &c.record
	r.Facts, r.Asked, r.Answered = facts, c.request.plain(), c.answer.plain()
	if c.streams {
		r.Stream = &c.stream
	}
	c.meter.Learn(r)
	for _, tell := range i.tell {
		tell(r)
	}
}

// read has the adapter read both messages.
func (c *Capture) read(facts *protocol.Facts) {
	request := c.request.read()
	c.adapter.Request(&request, facts)
	if c.streams {
		c.endStream(facts)
		return
	}
	if c.answer.status == 0 || c.cancelled && len(c.answer.body) == 0 {
		return
	}
	answer := c.answer.read()
	answer.Path = c.request.path
	c.adapter.Response(&answer, facts)
}
