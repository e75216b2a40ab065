package router

import (
	"bytes"

	"mlproxy/config"
	"mlproxy/protocol"
)

// Fields are the named fields of a request's head.
type Fields interface {
	// Get returns the first value of a field whose name is given in lower case; nil when there is none.
	Get(name string) []byte
}

// NeedsBody reports whether the sticky key may be in the body.
func (r *Route) NeedsBody() bool {
	for i := range r.Config.Sticky {
		if r.Config.Sticky[i].Kind == "json" {
			return true
		}
	}
	return false
}

// Key is what the first of the route's sticky sources says that says something; nil when none does. It aliases what it was
// read from. A body that is not there, or is no JSON, says nothing.
func (r *Route) Key(f Fields, body, clientIP []byte) []byte {
	for i := range r.Config.Sticky {
		if key := read(&r.Config.Sticky[i], f, body, clientIP); len(key) > 0 {
			return key
		}
	}
	return nil
}

func read(s *config.KeySource, f Fields, body, clientIP []byte) []byte {
	switch s.Kind {
	case "header":
		return f.Get(s.Name)
	case "cookie":
		return cookie(f.Get("cookie"), s.Name)
	case "json":
		value, _, _ := protocol.Field(body, s.Name) // nil unless found
		return value
	case "client_ip":
		return clientIP
	}
	return nil
}

// cookie is the value of the first cookie of that name in a Cookie field (RFC 6265, section 4.2.1), without quotes.
func cookie(field []byte, name string) []byte {
	for len(field) > 0 {
		var pair []byte
		pair, field, _ = bytes.Cut(field, []byte{';'})
		key, value, ok := bytes.Cut(pair, []byte{'='})
		if ok && string(bytes.TrimSpace(key)) == name {
			return unquote(bytes.TrimSpace(value))
		}
	}
	return nil
}

func unquote(value []byte) []byte {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}
