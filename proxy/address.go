package proxy

import (
	"bytes"
	"net/netip"

	"mlproxy/upstream"
)

// clientAddress is the client as far as it can be believed: the last address in X-Forwarded-For that no trusted proxy
// has, when a trusted proxy hands the request in; else the other end of the connection.
func (x *exchange) clientAddress() []byte {
	if !x.trusted {
		return x.conn.address
	}
	for i := len(x.req.Fields) - 1; i >= 0; i-- {
		f := &x.req.Fields[i]
		if f.Kind != upstream.ForwardedFor {
			continue
		}
		if a := x.lastUntrusted(f.Value); a != nil {
			return a
		}
	}
	return x.conn.address
}

// lastUntrusted is the last address of a list that no trusted proxy has; nil when there is none. What is no address ends
// the search: nothing before it can be believed.
func (x *exchange) lastUntrusted(list []byte) []byte {
	for len(list) > 0 {
		item := list
		if i := bytes.LastIndexByte(list, ','); i >= 0 {
			item, list = list[i+1:], list[:i]
		} else {
			list = nil
		}
		item = bytes.TrimSpace(item)
		a, err := netip.ParseAddr(string(item))
		if err != nil || !x.limits.trusts(a.Unmap()) {
			return item
		}
	}
	return nil
}
