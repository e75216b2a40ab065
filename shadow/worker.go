package shadow

import (
	"errors"
	"strings"
	"time"

	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/upstream"
)

// parcel is one copy and all that is needed to send it and to judge the answer.
type parcel struct {
	shadow  *router.Shadow
	method  string
	key     uint64
	request []byte // as it goes on the wire; counted in shadow.Bytes
	live    answer
}

// answer is what is compared of an answer.
type answer struct {
	status int
	sum    uint64
	length int64
	whole  bool
}

// work carries p, and then what else comes.
func (m *Mirror) work(p parcel) {
	var sum Sum
	sink := sum.Add // bound once: a method value allocates
	timer := time.NewTimer(idleFor)
	defer timer.Stop()
	for more := true; more; p, more = m.next(timer) {
		p.send(&sum, sink)
		m.discard(p)
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

// send brings the copy to an endpoint, once, and counts what came of it.
func (p *parcel) send(sum *Sum, sink func([]byte)) {
	pool, meter := p.shadow.Pool, p.shadow.Meter
	endpoint, unfit := pool.Pick(p.key, nil)
	if endpoint == nil || unfit {
		meter.Dropped(monitor.DropNoEndpoint)
		return
	}
	sum.Reset()
	began := time.Now()
	status, err := endpoint.Send(pool.Options, p.method, p.request, began.Add(p.shadow.Config.Timeout), sink)
	if errors.Is(err, upstream.ErrOpen) {
		meter.Dropped(monitor.DropNoEndpoint)
		return
	}
	meter.Sent(status, time.Since(began))
	meter.Compared(compare(p.live, answer{status: status, sum: sum.Hash(), length: sum.Len(), whole: err == nil}))
}

// compare is exact: the same status and the same bytes.
func compare(live, shadow answer) monitor.Result {
	switch {
	case !live.whole || !shadow.whole:
		return monitor.Failed
	case live != shadow:
		return monitor.Differ
	default:
		return monitor.Agree
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
