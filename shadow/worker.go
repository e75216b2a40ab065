package shadow

import (
	"errors"
	"strings"
	"time"

	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/upstream"
)

// parcel is one copy and all that is needed to send it and to judge the answer. Its bytes are counted in shadow.Bytes.
type parcel struct {
	shadow   *router.Shadow
	method   string
	key      uint64
	request  []byte // as it goes on the wire
	livePool string
	live     answer
	reads    bool // the answers are looked into

	again *router.Pool // the live pool, if it is asked again; nil if not
	probe []byte       // as it goes there

	answer answer // the shadow's
	second answer // the live pool's, to the probe
}

// size is how many bytes p holds.
func (p *parcel) size() int64 {
	return int64(len(p.request) + len(p.probe) + len(p.live.Bytes) + len(p.answer.Bytes) + len(p.second.Bytes))
}

// worker carries copies, one after the other.
type worker struct {
	capture Capture
	head    func(*upstream.Head) // bound once: a method value allocates
	take    func([]byte)
	finding finding
}

// work carries p, and then what else comes.
func (m *Mirror) work(p parcel) {
	var w worker
	w.head, w.take = w.capture.TakeHead, w.capture.Take
	timer := time.NewTimer(idleFor)
	defer timer.Stop()
	for more := true; more; p, more = m.next(timer) {
		if m.carry(&p, &w) {
			m.settle(&p, &w)
		} else {
			m.discard(p)
		}
	}
}

// next waits for another parcel; false when the worker should end.
func (m *Mirror) next(timer *time.Timer) (p parcel, more bool) {
	defer m.idle.Add(-1)
	if m.idle.Add(1) > maxIdle {
		return parcel{}, false
	}
	timer.Reset(idleFor)
	select {
	case p = <-m.parcels:
		return p, true
	case <-timer.C:
		return parcel{}, false
	case <-m.stop:
		return parcel{}, false
	}
}

// carry brings the copy to an endpoint of the shadow, once, and to one of the live pool if that is asked again. It says whether
// the shadow's was sent.
func (m *Mirror) carry(p *parcel, w *worker) (sent bool) {
	meter := p.shadow.Meter
	if p.answer, sent = m.send(p, w, p.shadow.Pool, p.request); !sent {
		meter.Dropped(monitor.DropNoEndpoint)
		return false
	}
	meter.Sent(p.answer.status, p.answer.took)
	if p.again != nil {
		if p.second, sent = m.send(p, w, p.again, p.probe); !sent {
			p.again = nil
		}
	}
	return true
}

// send sends a request to an endpoint of a pool. Not to one that is unfit: then nothing is sent.
func (m *Mirror) send(p *parcel, w *worker, to *router.Pool, request []byte) (a answer, sent bool) {
	endpoint, unfit := to.Pick(p.key, nil)
	if endpoint == nil || unfit {
		return a, false
	}
	m.expect(&w.capture, p)
	began := time.Now()
	status, err := endpoint.Send(to.Options, p.method, request, began.Add(p.shadow.Config.Timeout), w.head, w.take)
	a = w.capture.answer()
	a.status, a.whole, a.took = status, err == nil, time.Since(began)
	return a, !errors.Is(err, upstream.ErrOpen)
}

// expect prepares c for an answer to a copy.
func (m *Mirror) expect(c *Capture, p *parcel) {
	c.Reset()
	c.Kept, c.from = Kept{}, nil
	if p.reads {
		c.from, c.used, c.limit, c.most = &m.buffers, p.shadow.Bytes, p.shadow.Config.MaxBytes, p.shadow.Config.MaxBody
	}
}

var methods = [...]string{"POST", "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"}

// constant is method in memory that nobody will use again: a proxy's method may be a view of its read buffer.
func constant(method string) string {
	for _, m := range methods {
		if m == method {
			return m
		}
	}
	return strings.Clone(method)
}
