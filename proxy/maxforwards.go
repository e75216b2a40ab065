package proxy

import (
	"errors"
	"strconv"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// mayTravel holds OPTIONS to its Max-Forwards (RFC 9110, section 7.6.2): each proxy takes one off, and the one that finds
// none left answers itself. Of other methods the field says nothing; TRACE is not served at all.
func (x *exchange) mayTravel() bool {
	if !x.counted() {
		return true
	}
	only := x.req.Only("max-forwards")
	n, err := strconv.ParseUint(string(only), 10, 64)
	switch {
	case only == nil:
		return x.refuse(monitor.BadRequest, "Max-Forwards is there twice; send it once")
	case err != nil && !errors.Is(err, strconv.ErrRange): // of too large a number n is the largest
		return x.refuse(monitor.BadRequest, "Max-Forwards is not a number")
	case n == 0:
		return x.answerOptions()
	}
	x.hops = n - 1
	return true
}

// counted says that Max-Forwards counts for this request.
func (x *exchange) counted() bool {
	return x.req.Has(upstream.MaxForwards) && string(x.req.Method) == "OPTIONS"
}

// answerOptions answers OPTIONS in the model server's place, which says that there is a server here and no more.
func (x *exchange) answerOptions() bool {
	x.seen.Status = 200
	if !x.drained() {
		x.conn.closing, x.conn.linger = true, true
	}
	x.out.start(x.conn.wire)
	x.sendOwn(appendLength(x.appendSigned(append(x.out.buf, "HTTP/1.1 200 OK\r\n"...)), 0))
	return false
}

// appendHops appends what is left of Max-Forwards.
func (x *exchange) appendHops(dst []byte) []byte {
	if !x.counted() {
		return dst
	}
	return append(strconv.AppendUint(append(dst, "Max-Forwards: "...), x.hops, 10), crlf...)
}
