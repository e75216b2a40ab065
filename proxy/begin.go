package proxy

import (
	"bytes"
	"time"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// begin reads the request's head, and holds it to what is served here.
func (x *exchange) begin() bool {
	c := x.conn
	bad, err := x.readHead()
	x.began = time.Now()
	x.ready = x.began
	if err != nil && len(c.in.Bytes()) == 0 {
		c.closing = true
		return false
	}
	c.busy.Store(max(1, x.server.opt.Watch.Now()))
	x.trusted = x.limits.trusts(c.client)
	x.id.take(x)
	switch {
	case err == upstream.ErrTimeout && c.hurried.Load():
		return x.refuse(monitor.Draining, "mlproxy is stopping, and the head has not come")
	case err == upstream.ErrTimeout:
		return x.refuse(monitor.RequestTimeout, "the head did not come within limits.read_header_timeout")
	case err != nil:
		return x.abandon()
	case bad != nil:
		return x.refuseHead(bad)
	}
	x.upgrades = x.req.AsksUpgrade()
	x.body.Start(&x.req, x.limits.head)
	c.closing = x.req.Close
	return x.enter()
}

// cameWhole says that nothing more of the request is to come.
func (x *exchange) cameWhole() bool {
	return !x.upgrades && (x.body.Done() || x.req.Framing == upstream.ByLength && int64(len(x.conn.in.Bytes())) >= x.req.Length)
}

// enter counts the exchange in, if limits.max_in_flight allows. Without a limit nothing is counted.
func (x *exchange) enter() bool {
	limit := x.limits.maxInFlight
	if limit <= 0 {
		return true
	}
	x.entered = true
	if x.server.inFlight.Add(1) > limit {
		return x.refuse(monitor.Overloaded, "limits.max_in_flight exchanges are running")
	}
	return true
}

// readHead reads a head whole: an error is the connection's, bad what is wrong with the head. Empty lines before it
// are let pass (RFC 9112, section 2.2). The head must be there read_header_timeout after the first byte.
func (x *exchange) readHead() (bad *upstream.HeadError, err error) {
	x.req.Clear()
	in := &x.conn.in
	in.Wire().ReadWithin(x.limits.readHeader)
	for seen := x.looked; ; {
		b := in.Bytes()
		for seen == 0 && bytes.HasPrefix(b, crlf) {
			in.Skip(len(crlf))
			b = in.Bytes()
		}
		n, bad := upstream.HeadEnd(b, seen, x.limits.head)
		switch {
		case bad != nil:
		case n > 0:
			bad = x.req.ReadRequest(in.Keep(n), x.limits.head)
		default:
			bad = x.req.RequestSoFar(b, seen, x.limits.head)
		}
		if n > 0 || bad != nil {
			in.Wire().ReadWithin(0)
			return bad, nil
		}
		if len(b) >= len(crlf) { // else it may be half of an empty line
			seen = len(b)
		}
		if err := in.Fill(); err != nil {
			return nil, err
		}
	}
}

var crlf = []byte("\r\n")

// leave takes enter back, once: before the last of the answer is written, since its reader may send the next request at once.
func (x *exchange) leave() {
	if x.entered {
		x.entered = false
		x.server.inFlight.Add(-1)
	}
}

// abandon ends an exchange whose client left.
func (x *exchange) abandon() bool {
	x.conn.closing = true
	x.seen.Status, x.seen.Reason = 499, monitor.ClientGone
	return false
}
