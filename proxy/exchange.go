package proxy

import (
	"sync"
	"time"

	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/upstream"
)

// exchange is one request and its answer on their way through. Exchanges are pooled: nothing of one may be kept.
type exchange struct {
	req, ans upstream.Head // as they came
	task     upstream.Try
	shadow   copies
	record   monitor.Record // for those to whom the exchange is offered, and written anew for them
	passage
}

// passage is what is of one exchange alone: the next one finds it zero.
type passage struct {
	conn   *conn
	server *Server
	limits *settings

	// The request.
	looked       int    // bytes in which its head does not end
	started      bool   // begin has been done
	served       bool   // and what came of it: the request is to be served
	entered      bool   // it counts for limits.max_in_flight
	trusted      bool   // its client is one of trusted_proxies
	host         []byte // without port
	absoluteHost []byte // the authority of a target in absolute form; it replaces Host
	target       []byte // path and query, as they go on
	path         []byte
	hops         uint64 // what is left of Max-Forwards, where it counts
	body         upstream.Body
	prefix       []byte // what was read of the body before it is forwarded, without framing
	store        []byte // where a chunked prefix is put together
	invited      bool   // the 100 that the client waits for was sent
	upgrades     bool   // it offers to go on in another protocol
	id           requestID

	// Where it goes.
	found       router.Match
	route       *router.Route
	apiKey      *router.Key   // the client's; nil where the route asks for none
	wait        time.Duration // until the client may come again, when it came too often
	chosen      *router.Version
	version     *router.Version // that serves: the chosen one, or a failover
	by          monitor.By
	key         []byte
	tries       int                // with endpoints, so far
	detours     int                // past breakers that closed the way
	failedAt    *upstream.Endpoint // by the last try
	fresh       bool               // the next try needs a new connection
	replays     bool               // the whole body is in prefix
	request     []byte             // borrowed; the request as it is being sent
	upload      *upload            // of a body that is not in prefix
	clientFault error              // why the upload failed, when its client is to blame

	// The answer.
	ansBody upstream.Body
	out     flow             // to the client
	begun   bool             // a byte of an answer may have reached the client
	capture *monitor.Capture // what is copied for the inspector; nil when nothing is
	came    time.Duration    // when what passes now was read from the model server, since sent; only of a captured stream

	// What is seen of it.
	began, ready, sent, answered, last time.Time
	lined                              time.Time // for an endpoint that was full, before anything was sent; zero if it never stood in line
	seen                               monitor.Observation
	meter                              *monitor.Meter
	endpoint                           *upstream.Endpoint // of the last try
}

var exchanges = sync.Pool{New: func() any {
	x := new(exchange)
	x.task.Carry, x.task.Patience = x.carry, x.patience
	return x
}}

func newExchange(c *conn) *exchange {
	x := exchanges.Get().(*exchange)
	x.conn, x.server, x.limits = c, c.server, c.server.inForce()
	return x
}

// free gives the exchange back; what it borrowed goes first.
func (x *exchange) free() {
	upstream.Return(x.store)
	upstream.Return(x.request)
	x.out.free()
	x.shadow = x.shadow.free()
	x.passage = passage{}
	exchanges.Put(x)
}

// serve is the life of a request.
func (x *exchange) serve() {
	if x.start() && x.match() && x.read() && x.choose() && x.forward() {
		x.offer()
	}
	x.end()
}

// start is begin, once: a connection may have to begin an exchange before it knows how to go on.
func (x *exchange) start() bool {
	if !x.started {
		x.started, x.served = true, x.begin()
	}
	return x.served
}

// end counts the exchange and lets its connection go on, or not.
func (x *exchange) end() {
	x.conn.busy.Store(0)
	x.leave()
	if x.seen.Status == 0 {
		return // nothing came that was a request
	}
	now := x.now()
	x.seen.Duration = now.Sub(x.began)
	x.seen.Overhead = x.overhead(now)
	if x.meter == nil {
		x.meter = x.server.unmatched
		x.meter.Begin()
	}
	x.meter.Observe(&x.seen)
	x.keep()
	x.inspect()
}

// now is the time, by the clock that only runs: half as dear as time.Now, which reads the calendar's too.
func (x *exchange) now() time.Time { return x.began.Add(time.Since(x.began)) }

// overhead is the time that neither the client nor the model server was waited for.
func (x *exchange) overhead(now time.Time) time.Duration {
	if x.sent.IsZero() {
		return now.Sub(x.ready)
	}
	d := x.sent.Sub(x.ready)
	if !x.last.IsZero() {
		d += now.Sub(x.last)
	}
	return d
}
