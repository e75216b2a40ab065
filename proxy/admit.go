package proxy

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// admit says whether the client may have the route that was found: with a key, if the route asks for one, and not too often.
// It comes as soon as the route is known, before the body is read.
func (x *exchange) admit() bool {
	r := x.route
	if r.Keys != nil {
		x.apiKey = r.Keys.Find(x.sentKey())
		switch {
		case x.apiKey == nil:
			return x.exclude(monitor.Unauthorized, "the route "+r.Name+" needs an API key; send a valid one in "+r.Keys.Header)
		case !x.apiKey.Allowed:
			return x.exclude(monitor.Forbidden, "the API key "+x.apiKey.Name+" is not good for the route "+r.Name)
		}
	}
	if r.Limit != nil {
		if x.wait = r.Limit.Take(x.apiKey, x.clientAddr(), x.began); x.wait > 0 {
			return x.exclude(monitor.RateLimited, "the route "+r.Name+" takes no more requests from this client now; see Retry-After")
		}
	}
	return true
}

// exclude refuses a request that its route does not let in.
func (x *exchange) exclude(reason monitor.Reason, detail string) bool {
	x.meter = x.route.Refused
	x.meter.Begin()
	return x.refuse(reason, detail)
}

// sentKey is the key that the client sent, nil when it sent none: the whole value of the field, or what follows Bearer in Authorization
// (RFC 6750, section 2.1). Of two fields neither is it.
func (x *exchange) sentKey() []byte {
	header := x.route.Keys.Header
	value := x.req.Only(header)
	if header != "authorization" {
		return value
	}
	if len(value) < len(bearer) || !bytes.EqualFold(value[:len(bearer)], bearer) {
		return nil
	}
	return bytes.TrimLeft(value[len(bearer):], " ")
}

var bearer = []byte("Bearer ")

// isKey says that f has the key for the route, which ends here.
func (x *exchange) isKey(f *upstream.Field) bool {
	keys := x.route.Keys
	return keys != nil && f.Is(keys.Header)
}

// clientAddr is the client as far as it can be believed; the zero Addr when a trusted proxy names no address.
func (x *exchange) clientAddr() netip.Addr {
	if !x.trusted {
		return x.conn.client
	}
	a, _ := netip.ParseAddr(string(x.clientAddress()))
	return a
}

// appendAdvice says to a client that is refused what it may do, in the fields that HTTP has for that.
func (x *exchange) appendAdvice(b []byte, status int) []byte {
	switch status {
	case 401:
		if x.route.Keys.Header == "authorization" {
			return append(b, "WWW-Authenticate: Bearer realm=\"mlproxy\"\r\n"...)
		}
		return append(append(append(b, "WWW-Authenticate: APIKey realm=\"mlproxy\", header=\""...), x.route.Keys.Header...), "\"\r\n"...)
	case 429:
		seconds := (x.wait + time.Second - 1) / time.Second
		return append(strconv.AppendInt(append(b, "Retry-After: "...), int64(seconds), 10), crlf...)
	case 503:
		return append(b, "Retry-After: 1\r\n"...)
	}
	return b
}
