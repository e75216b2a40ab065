package proxy

import "mlproxy/monitor"

// Access takes evidence of single exchanges. Its methods are called by many at once, and must wait for nothing.
type Access interface {
	// Wants says whether an exchange that ended like this is to be offered.
	Wants(status int, reason monitor.Reason) bool
	// Offer takes what it wants of a record, and keeps nothing of it.
	Offer(*monitor.Record)
}

// Traces takes evidence of exchanges that are traced. Its methods are called by many at once, and must wait for nothing.
type Traces interface {
	// On says whether any exchange may be wanted.
	On() bool
	// Wants says whether an exchange with this traceparent is to be offered; trusted says that its client is believed.
	Wants(traceparent []byte, trusted bool) bool
	// Offer takes what it wants of a record, and keeps nothing of it.
	Offer(*monitor.Record)
}

// Journal takes evidence of exchanges with model servers. Its methods are called by many at once, and must wait for nothing.
type Journal interface {
	// Wants says, anew for each exchange, whether one is to be offered.
	Wants() bool
	// Offer takes what it wants of a record, and keeps nothing of it.
	Offer(*monitor.Record)
}

// note offers the finished exchange to the journal, if a model server was chosen for it.
func (x *exchange) note() {
	if journal := x.server.opt.Journal; journal != nil && x.version != nil && journal.Wants() {
		x.describe()
		journal.Offer(&x.record)
	}
}

// keep offers the finished exchange to the access log and to those who trace, if they want it.
func (x *exchange) keep() {
	logged, traced := x.logged(), x.traced()
	if !logged && !traced {
		return
	}
	x.describe()
	if logged {
		x.server.opt.Access.Offer(&x.record)
	}
	if traced {
		x.server.opt.Traces.Offer(&x.record)
	}
}

func (x *exchange) logged() bool {
	access := x.server.opt.Access
	return access != nil && access.Wants(x.seen.Status, x.seen.Reason)
}

func (x *exchange) traced() bool {
	traces := x.server.opt.Traces
	return traces != nil && traces.On() && traces.Wants(x.req.Get("traceparent"), x.trusted)
}

// describe makes the record of the finished exchange.
func (x *exchange) describe() {
	r := &x.record
	*r = monitor.Record{
		At: x.began, RequestID: x.id.bytes(), Client: x.clientAddress(),
		Method: x.req.Method, Host: x.host, Path: x.path, Protocol: x.protocol(), UserAgent: x.req.Get("user-agent"),
		Tries: x.tries, Traceparent: x.req.Get("traceparent"), SentAt: x.sent, Seen: &x.seen, Key: x.key,
	}
	x.retrace(r)
}

// retrace says where the exchange went, as far as it came.
func (x *exchange) retrace(r *monitor.Record) {
	if x.route != nil {
		r.Route = x.route.Name
	}
	if x.apiKey != nil {
		r.APIKey = x.apiKey.Name
	}
	if x.chosen != nil {
		r.Pool, r.AssignedBy = x.chosen.Pool.Name, x.by.String()
	}
	if x.version != nil && x.version != x.chosen {
		r.Pool, r.FailedOverFrom = x.version.Pool.Name, r.Pool
	}
	if x.endpoint != nil {
		r.Endpoint = x.endpoint.URL()
	}
}

// protocol is the version of HTTP that the request was read in.
func (x *exchange) protocol() string {
	switch {
	case len(x.req.Method) == 0:
		return ""
	case x.req.Minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}
