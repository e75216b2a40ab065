package proxy

import (
	"bytes"
	"strconv"

	"mlproxy/router"
	"mlproxy/upstream"
)

// The field lines that every message gets on its way.
const (
	viaLine    = "Via: 1.1 mlproxy\r\n"
	viaLine10  = "Via: 1.0 mlproxy\r\n"
	shadowLine = "X-MLProxy-Shadow: true\r\n"
)

// What mlproxy says of an answer it alone says: no model server can pass for it.
var (
	poolName  = []byte("X-MLProxy-Pool")
	errorName = []byte("X-MLProxy-Error")
	receipt   = []byte("X-MLProxy-Receipt")
)

// destination is where a request's head is written for.
type destination struct {
	pool      *router.Pool
	authority string // the endpoint's, for a client that names no host
	copied    bool   // a copy for a shadow
	anonymous bool   // without the client's credentials
	length    int64  // of a copy's body
}

// appendRequest appends the head of the request as it goes on. Field lines that pass do so byte by byte, in their order.
func (x *exchange) appendRequest(dst []byte, to *destination) []byte {
	dst = append(append(append(dst, x.req.Method...), ' '), x.target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	rehost := to.pool.Host != "" || x.absoluteHost != nil || !x.req.Has(upstream.Host)
	if rehost {
		dst = x.appendHost(dst, to)
	}
	from := 0 // start of the run of lines to copy as they are
	for i := range x.req.Fields {
		f := &x.req.Fields[i]
		if x.dropsFromRequest(f) || rehost && f.Kind == upstream.Host || to.anonymous && f.Kind.Credential() {
			dst = appendLines(dst, x.req.Fields[from:i])
			from = i + 1
		}
	}
	dst = appendLines(dst, x.req.Fields[from:])
	dst = x.appendHops(x.appendForwarded(dst))
	dst = appendVia(dst, x.req.Minor)
	if to.copied {
		dst = append(dst, shadowLine...)
	}
	if x.upgrades {
		dst = x.req.AppendUpgrade(dst)
	}
	dst = appendField(dst, "X-Request-ID: ", x.id.bytes())
	if to.copied && x.req.Framing == upstream.Chunked {
		return appendLength(dst, to.length)
	}
	return x.appendFraming(dst)
}

// appendHost names a host that is not the client's Host field: the pool's, the target's, or the endpoint itself.
func (x *exchange) appendHost(dst []byte, to *destination) []byte {
	switch {
	case to.pool.Host != "":
		return append(append(append(dst, "Host: "...), to.pool.Host...), crlf...)
	case x.absoluteHost != nil:
		return appendField(dst, "Host: ", x.absoluteHost)
	}
	return append(append(append(dst, "Host: "...), to.authority...), crlf...)
}

// authority is what the client calls the host, with its port; nil when it does not.
func (x *exchange) authority() []byte {
	if x.absoluteHost != nil {
		return x.absoluteHost
	}
	return x.req.Value(upstream.Host)
}

// dropsFromRequest says that f ends here: it concerns this hop, or it is set anew.
func (x *exchange) dropsFromRequest(f *upstream.Field) bool {
	switch f.Kind {
	case upstream.Expect, upstream.RequestID, upstream.ForwardedFor:
		return true
	case upstream.MaxForwards:
		return x.counted() || x.req.Hop(f)
	case upstream.ForwardedProto, upstream.ForwardedHost, upstream.ForwardedMore, upstream.MLProxy:
		return !x.trusted
	case upstream.Twin:
		return !x.trusted || x.req.Hop(f) || x.isKey(f)
	}
	return x.req.Hop(f) || x.isKey(f)
}

// appendForwarded says for whom the request is made. What the client says of that passes only if it is trusted.
func (x *exchange) appendForwarded(dst []byte) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	if x.trusted {
		for i := range x.req.Fields {
			if f := &x.req.Fields[i]; f.Kind == upstream.ForwardedFor && len(f.Value) > 0 {
				dst = append(append(dst, f.Value...), ", "...)
			}
		}
	}
	dst = append(append(dst, x.conn.address...), crlf...)
	if !x.trusted || !x.req.Has(upstream.ForwardedProto) {
		dst = append(dst, x.conn.proto()...)
	}
	if host := x.authority(); host != nil && (!x.trusted || !x.req.Has(upstream.ForwardedHost)) {
		dst = appendField(dst, "X-Forwarded-Host: ", host)
	}
	return dst
}

// appendFraming ends the head with how a chunked body goes on; a length stands among the fields that passed. A chunked
// body that has come whole is sent by its length: some model servers read nothing else.
func (x *exchange) appendFraming(dst []byte) []byte {
	switch {
	case x.chunksOn():
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case x.req.Framing == upstream.Chunked:
		return appendLength(dst, int64(len(x.prefix)))
	}
	return append(dst, crlf...)
}

// appendLength ends a head with the length of its body.
func appendLength(dst []byte, n int64) []byte {
	return append(strconv.AppendInt(append(dst, "Content-Length: "...), n, 10), "\r\n\r\n"...)
}

// chunksOn says that the request goes on in chunks.
func (x *exchange) chunksOn() bool {
	return x.req.Framing == upstream.Chunked && (!x.replays || len(x.body.Trailer()) > 0)
}

// appendAnswer appends the head of the model server's answer as it goes to the client.
func (x *exchange) appendAnswer(dst []byte) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(x.ans.Status), 10)
	dst = append(append(append(dst, ' '), x.ans.Phrase...), crlf...)
	from := 0
	for i := range x.ans.Fields {
		if f := &x.ans.Fields[i]; x.dropsFromAnswer(f) {
			dst = appendLines(dst, x.ans.Fields[from:i])
			from = i + 1
		}
	}
	return appendLines(dst, x.ans.Fields[from:])
}

func (x *exchange) dropsFromAnswer(f *upstream.Field) bool {
	switch f.Kind {
	case upstream.Other:
		return x.ans.Hop(f)
	case upstream.ContentLength:
		return x.ans.Status == 204 || x.ans.Status < 200
	case upstream.RequestID:
		return true
	case upstream.MLProxy:
		return bytes.EqualFold(f.Name, poolName) || bytes.EqualFold(f.Name, errorName) || bytes.EqualFold(f.Name, receipt)
	}
	return x.ans.Hop(f)
}

// appendVia says by which version the message came that goes on (RFC 9110, section 7.6.3).
func appendVia(dst []byte, minor int) []byte {
	if minor == 0 {
		return append(dst, viaLine10...)
	}
	return append(dst, viaLine...)
}

// appendSigned adds what every answer says of its way, and of what becomes of the connection.
func (x *exchange) appendSigned(dst []byte) []byte {
	dst = x.appendIdentity(dst)
	switch {
	case x.parts():
		dst = append(dst, "Connection: close\r\n"...)
	case x.req.Minor == 0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	if x.seen.Answered && x.seen.Status == 426 && x.ans.OffersUpgrade() { // which it must name (RFC 9110, section 15.5.22)
		return x.ans.AppendUpgrade(dst)
	}
	return dst
}

// appendIdentity adds by which way the answer came, to which exchange, and from which pool.
func (x *exchange) appendIdentity(dst []byte) []byte {
	minor := 1
	if x.seen.Answered {
		minor = x.ans.Minor
	}
	dst = appendVia(dst, minor)
	dst = appendField(dst, "X-Request-ID: ", x.id.bytes())
	if x.version != nil {
		dst = append(append(append(dst, "X-MLProxy-Pool: "...), x.version.Pool.Name...), crlf...)
	}
	return dst
}

// parts says whether the connection ends with this answer.
func (x *exchange) parts() bool {
	if x.server.draining.Load() {
		x.conn.closing = true
	}
	return x.conn.closing
}

func appendField(dst []byte, name string, value []byte) []byte {
	return append(append(append(dst, name...), value...), crlf...)
}

// appendLines appends the lines of fields that followed each other as they came, in one copy: all are slices of one
// head, so their capacities tell how far apart they begin.
func appendLines(dst []byte, fields []upstream.Field) []byte {
	if len(fields) == 0 {
		return dst
	}
	first, last := fields[0].Line, fields[len(fields)-1].Line
	n := cap(first) - cap(last) + len(last)
	return append(dst, first[:n]...)
}
