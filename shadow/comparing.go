package shadow

import (
	"bytes"
	"sync"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

const (
	mostWaiting   = 64 // comparisons of one shadow
	mostComparing = 2  // at once, of all shadows: comparing is for what time the live exchanges leave
)

// waiting are the comparisons of one shadow that are still to be made, one after the other. They hold no place among the copies
// in flight, and their bytes are counted here: however slow comparing is, copies are sent all the same.
type waiting struct {
	mu      sync.Mutex
	parcels []parcel
	bytes   int64
	running bool // a goroutine makes them
}

// settle compares the answers to a copy: by their fingerprints at once, else when its turn comes.
func (m *Mirror) settle(p *parcel, w *worker) {
	a := open(p.shadow)
	if p.answer.status != 0 {
		a.took(p.live.took, p.answer.took)
	}
	if !p.reads {
		m.judge(a, p, &w.finding)
		m.discard(*p)
		return
	}
	size := p.size()
	p.shadow.Bytes.Add(-size)
	p.shadow.InFlight.Add(-1)
	begin, ok := a.waiting.put(p, size)
	if !ok {
		a.failed(monitor.UncomparedBusy)
		p.shadow.Meter.Uncompared(monitor.UncomparedBusy)
		m.release(p)
		return
	}
	if begin {
		m.workers.Go(func() { m.compareAll(a) }) // this worker runs: Close still waits
	}
}

// put takes a parcel, if there is room, and says whether somebody is to begin making the comparisons.
func (q *waiting) put(p *parcel, size int64) (begin, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.parcels) >= mostWaiting || q.bytes+size > p.shadow.Config.MaxBytes {
		return false, false
	}
	q.parcels = append(q.parcels, *p)
	q.bytes += size
	begin = !q.running
	q.running = true
	return begin, true
}

// take gives the next parcel back; when there is none the comparisons are all made.
func (q *waiting) take() (p parcel, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.parcels) == 0 {
		q.running = false
		return parcel{}, false
	}
	p = q.parcels[0]
	q.parcels[0] = parcel{}
	q.parcels = q.parcels[1:]
	q.bytes -= p.size()
	return p, true
}

func (m *Mirror) compareAll(a *account) {
	var f finding
	for p, more := a.waiting.take(); more; p, more = a.waiting.take() {
		m.compare <- struct{}{}
		m.judge(a, &p, &f)
		<-m.compare
		m.release(&p)
	}
}

// judge compares the shadow's answer with the live one, and, if it was asked again, the live pool's second with its first.
func (m *Mirror) judge(a *account, p *parcel, f *finding) {
	meter := p.shadow.Meter
	if a.criteria.hold(p.path(), &p.live, &p.answer, f); f.result == monitor.Failed {
		a.failed(f.why)
		meter.Uncompared(f.why)
	} else {
		a.add(f)
		meter.Compared(f.result, len(f.rows), f.differing())
	}
	if f.result == monitor.Differ && a.wants(f.severity) {
		a.put(p.disagreement(&a.criteria, f))
	}
	if p.again != nil {
		a.criteria.hold(p.path(), &p.live, &p.second, f)
		a.addNoise(f)
		meter.Noise(f.result)
	}
}

// hold holds an answer against the live one.
func (c *criteria) hold(path string, live, other *answer, f *finding) {
	f.reset()
	why, ok := uncompared(c, live, other)
	if ok && c.compare != nil && live.status == other.status {
		for _, a := range [...]*answer{live, other} {
			if why, ok = a.open(c, path); !ok {
				break
			}
		}
	}
	if ok {
		c.judge(live, other, f)
	} else {
		f.fail(why)
	}
	if f.result == monitor.Failed && live.whole && other.whole && live.same(other) {
		f.reset()
		c.sums(live, other, f) // equal bytes are equal in every mode
	}
}

func (a *answer) same(b *answer) bool {
	return a.status == b.status && a.sum == b.sum && a.length == b.length
}

// head reads the head of the request.
func (p *parcel) head() (h upstream.Head, body []byte) {
	n := bytes.Index(p.request, []byte("\r\n\r\n")) + 4
	_ = h.ReadRequest(p.request[:n:n], requestLimits) // which we wrote
	return h, p.request[n:]
}

// requestLimits let every head through that went through before.
var requestLimits = upstream.Limits{Bytes: 1 << 30, Fields: 1 << 20}

// path is the request's, without its query, which may hold credentials.
func (p *parcel) path() string {
	if !p.reads {
		return ""
	}
	h, _ := p.head()
	path, _, _ := bytes.Cut(h.Target, []byte("?"))
	return string(path)
}
