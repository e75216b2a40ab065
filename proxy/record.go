package proxy

import "mlproxy/monitor"

// Access takes evidence of single exchanges. Its methods are called by many at once, and must wait for nothing.
type Access interface {
	// Wants says whether an exchange that ended like this is to be offered.
	Wants(status int, reason monitor.Reason) bool
	// Offer takes what it wants of a record, and keeps nothing of it.
	Offer(*monitor.Record)
}

// keep offers the finished exchange to the access log, if that wants it.
func (x *exchange) keep() {
	access := x.server.opt.Access
	if access == nil || !access.Wants(x.seen.Status, x.seen.Reason) {
		return
	}
	r := &x.record
	*r = monitor.Record{
		At: x.began, RequestID: x.id.bytes(), Client: x.clientAddress(),
		Method: x.req.Method, Host: x.host, Path: x.path, Protocol: x.protocol(), UserAgent: x.req.Get("user-agent"),
		Tries: x.tries, Seen: &x.seen,
	}
	x.retrace(r)
	access.Offer(r)
}

// retrace says where the exchange went, as far as it came.
func (x *exchange) retrace(r *monitor.Record) {
	if x.route != nil {
		r.Route = x.route.Name
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
