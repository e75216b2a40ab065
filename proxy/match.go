package proxy

import (
	"bytes"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// match finds the route and asks whether the client may have it, or the routes among which the body's model decides.
func (x *exchange) match() bool {
	if !x.aim() || !x.mayTravel() {
		return false
	}
	if x.isFeedback() {
		return x.takeFeedback()
	}
	if x.req.Framing == upstream.ByLength && x.req.Length > x.limits.maxBody {
		return x.refuse(monitor.BodyTooLarge, "the body is longer than limits.max_body")
	}
	x.found = x.limits.table.Match(x.host, x.req.Method, x.path, &x.req)
	if x.found.Route == nil && !x.found.NeedsModel {
		return x.refuse(monitor.NoRoute, "no route matches this host, path, method and headers; see GET /api/v1/status on the admin listener")
	}
	x.route = x.found.Route
	return x.found.NeedsModel || x.soleReading(nil, false) && x.admit()
}

const notServed = "CONNECT and TRACE are not served"

// aim takes the request target apart (RFC 9112, section 3.2): host, and the path and query that go on.
func (x *exchange) aim() bool {
	x.target = x.req.Target
	x.host = x.req.Value(upstream.Host)
	switch method := x.req.Method; {
	case string(method) == "CONNECT":
		x.conn.closing, x.conn.linger = true, true // its client may have sent ahead what was meant for the tunnel: that is no request
		return x.refuse(monitor.NotImplemented, notServed)
	case x.target[0] == '/':
	case string(x.target) == "*":
		if string(method) != "OPTIONS" {
			return x.refuse(monitor.BadRequest, "the target * is for OPTIONS")
		}
	case !x.absolute():
		return x.refuse(monitor.BadRequest, "the target is no path, and no URL that is served here")
	}
	if string(x.req.Method) == "TRACE" {
		return x.refuse(monitor.NotImplemented, notServed)
	}
	x.path = x.target
	if string(x.path) == "*" {
		x.path = root // for routes; the model server is asked for *
	}
	if i := bytes.IndexByte(x.path, '?'); i >= 0 {
		x.path = x.path[:i]
	}
	x.host = withoutPort(x.host)
	return true
}

// absolute takes a target in absolute form, whose authority counts in place of Host.
func (x *exchange) absolute() bool {
	i := bytes.Index(x.target, []byte("://"))
	if i < 0 || !x.serves(x.target[:i]) {
		return false
	}
	rest := x.target[i+len("://"):]
	if i = bytes.IndexAny(rest, "/?"); i < 0 {
		i = len(rest)
	}
	if !upstream.ValidHost(rest[:i]) {
		return false
	}
	x.host, x.absoluteHost = rest[:i], rest[:i]
	switch x.target = rest[i:]; {
	case len(x.target) == 0 && string(x.req.Method) == "OPTIONS":
		x.target = []byte("*") // RFC 9112, section 3.2.4: the last proxy says so
	case len(x.target) == 0, x.target[0] == '?':
		x.target = append([]byte{'/'}, x.target...)
	}
	return true
}

// serves says that a URL with the scheme may be asked for here: https where the client speaks TLS, and http anywhere.
func (x *exchange) serves(scheme []byte) bool {
	return bytes.EqualFold(scheme, []byte("http")) || x.conn.encrypted() && bytes.EqualFold(scheme, []byte("https"))
}

var root = []byte("/")

func withoutPort(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}
