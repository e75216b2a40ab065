package shadow

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"mlproxy/monitor"
	"mlproxy/router"
)

// Workers that have nothing to do wait for the next copy, at most so many and so long: a goroutine that has grown its
// stack once is worth keeping between two copies, not between two bursts.
const (
	maxIdle = 64
	idleFor = 10 * time.Second
)

// Mirror sends copies. There is no queue: a copy is taken when it may be sent at once, by a goroutine of its own,
// and max_in_flight of its shadow bounds how many there are.
type Mirror struct {
	parcels chan parcel // unbuffered: received only by a worker that waits
	idle    atomic.Int64
	buffers buffers
	heads   sync.Pool     // of *[]byte
	live    atomic.Int64  // bytes of live answers in captures
	compare chan struct{} // a place for each comparison that may run

	stop    chan struct{} // closed by Close
	mu      sync.Mutex    // orders the start of a worker before Close waits, or after it stopped
	stopped bool
	workers sync.WaitGroup
}

// Original is a live exchange that has ended. Offer keeps none of its bytes.
type Original struct {
	Method string
	// Key is what the live request was balanced by: with the policy "hash", its shadow's copies follow it.
	Key uint64
	// Body is the request's, as far as it was kept; BodyLen is how long it was. A copy needs all of it.
	Body    []byte
	BodyLen int64
	// Status, AnswerSum and AnswerLen are of the live answer, which the client got whole if it is Complete.
	Status    int
	AnswerSum uint64
	AnswerLen int64
	Complete  bool
	// Answer is the live answer itself, if a shadow's comparison looks into it. Took is how long the live pool took for it.
	Answer Kept
	Took   time.Duration
	// Pool is the live pool's name.
	Pool string
}

// AppendHead appends the head of a copy for a pool to dst, as it goes on the wire: with X-MLProxy-Shadow, the same
// X-Request-ID, a Content-Length, and the client's credentials only when they are wanted.
type AppendHead func(dst []byte, to *router.Pool, credentials bool) []byte

// New makes a mirror. It starts nothing; the first copy does.
func New() *Mirror {
	return &Mirror{
		parcels: make(chan parcel),
		compare: make(chan struct{}, mostComparing),
		stop:    make(chan struct{}),
		heads:   sync.Pool{New: func() any { return new([]byte) }},
		buffers: newBuffers(),
	}
}

// Offer sends a copy of o to s if there is room for it, or else counts why not. It neither blocks nor waits. The caller
// has drawn o by s.Sample; head is called before Offer returns, if at all: once for each pool that gets a copy.
func (m *Mirror) Offer(s *router.Shadow, o *Original, head AppendHead) {
	if reason, taken := m.take(s, o, head); !taken {
		s.Meter.Dropped(reason)
	}
}

// take is Offer up to the counting of a drop.
func (m *Mirror) take(s *router.Shadow, o *Original, head AppendHead) (reason monitor.DropReason, taken bool) {
	switch {
	case m.stopping():
		return monitor.DropDraining, false
	case o.BodyLen > s.Config.MaxBody:
		return monitor.DropTooLarge, false
	case int64(len(o.Body)) != o.BodyLen:
		return monitor.DropIncomplete, false
	case !s.Pool.Serves():
		return monitor.DropNoEndpoint, false
	case !reserve(s.InFlight, 1, int64(s.Config.MaxInFlight)):
		return monitor.DropInFlight, false
	}
	p, ok := m.pack(s, o, head)
	if !ok {
		s.InFlight.Add(-1)
		return monitor.DropBytes, false
	}
	if !m.hand(p) {
		m.discard(p)
		return monitor.DropDraining, false
	}
	return 0, true
}

// pack copies the request, if the shadow may hold that many bytes more. The head is written elsewhere first: only then
// is it known how much room the whole takes.
func (m *Mirror) pack(s *router.Shadow, o *Original, head AppendHead) (p parcel, ok bool) {
	request, ok := m.copy(s, s.Pool, o, head)
	if !ok {
		return parcel{}, false
	}
	p = parcel{shadow: s, method: constant(o.Method), key: o.Key, request: request, livePool: o.Pool, reads: modeOf(s) != "exact"}
	p.live = answer{status: o.Status, sum: o.AnswerSum, length: o.AnswerLen, whole: o.Complete, took: o.Took}
	if p.reads {
		p.live.Kept = m.copyAnswer(s, &o.Answer)
	}
	if again := s.Again(o.Pool); again != nil && repeatable(p.method) {
		if p.probe, ok = m.copy(s, again, o, head); ok {
			p.again = again
		}
	}
	return p, true
}

// copy makes a request to a pool, if the shadow may hold it.
func (m *Mirror) copy(s *router.Shadow, to *router.Pool, o *Original, head AppendHead) (request []byte, ok bool) {
	if s.Bytes.Load()+o.BodyLen > s.Config.MaxBytes {
		return nil, false
	}
	scratch := m.heads.Get().(*[]byte)
	defer m.heads.Put(scratch)
	*scratch = head((*scratch)[:0], to, s.Config.ForwardCredentials)
	size := len(*scratch) + len(o.Body)
	if !reserve(s.Bytes, int64(size), s.Config.MaxBytes) {
		return nil, false
	}
	return append(append(m.buffers.get(size), *scratch...), o.Body...), true
}

// copyAnswer copies the live answer, if the shadow may hold it.
func (m *Mirror) copyAnswer(s *router.Shadow, live *Kept) Kept {
	switch {
	case live.Lost:
		return Kept{Lost: true, Why: live.Why}
	case int64(len(live.Bytes)-live.Head) > s.Config.MaxBody:
		return Kept{Lost: true, Why: monitor.UncomparedTooLarge}
	case !reserve(s.Bytes, int64(len(live.Bytes)), s.Config.MaxBytes):
		return Kept{Lost: true, Why: monitor.UncomparedBytes}
	}
	return Kept{Bytes: append(m.buffers.get(len(live.Bytes)), live.Bytes...), Head: live.Head}
}

// repeatable says that asking again is asked for: what else a method may do, it did once.
func repeatable(method string) bool { return method == "GET" || method == "HEAD" || method == "POST" }

// hand gives p to a worker that waits, or else to a new one; not when the mirror has stopped.
func (m *Mirror) hand(p parcel) bool {
	select {
	case m.parcels <- p:
		return true
	default:
		return m.recruit(p)
	}
}

// recruit has a new worker carry p. The closure takes memory for p, which an idle worker does not need: hence apart from hand.
func (m *Mirror) recruit(p parcel) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return false
	}
	m.workers.Go(func() { m.work(p) })
	return true
}

// discard gives back what p holds.
func (m *Mirror) discard(p parcel) {
	p.shadow.Bytes.Add(-p.size())
	p.shadow.InFlight.Add(-1)
	m.release(&p)
}

// release gives back p's buffers.
func (m *Mirror) release(p *parcel) {
	for _, b := range [...][]byte{p.request, p.probe, p.live.Bytes, p.answer.Bytes, p.second.Bytes} {
		m.buffers.giveBack(b)
	}
}

// Close stops the mirror: from now on every copy is dropped. It waits for those that are with shadows, which their
// timeouts end, but no longer than ctx.
func (m *Mirror) Close(ctx context.Context) error {
	m.mu.Lock()
	if !m.stopped {
		m.stopped = true
		close(m.stop)
	}
	m.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		m.workers.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("copies are still with shadows; their timeouts will end them"), ctx.Err())
	}
}

func (m *Mirror) stopping() bool {
	select {
	case <-m.stop:
		return true
	default:
		return false
	}
}

// reserve adds n to used unless that would exceed limit.
func reserve(used *atomic.Int64, n, limit int64) bool {
	if used.Add(n) <= limit {
		return true
	}
	used.Add(-n)
	return false
}
