package proxy

import (
	"bytes"

	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/upstream"
)

// soleReading refuses a path that a model server may read in another way than it was matched, if that would lead to another
// route: nobody gets past a route's rules by writing /public/../private or /publi%63. The path goes on as it came. model is
// what the body names, where routing has read it.
func (x *exchange) soleReading(model []byte, known bool) bool {
	if plainPath(x.path) || !plainPath([]byte(x.route.Config.Match.Path)) { // a route that is written so is meant so
		return true
	}
	buf := upstream.Borrow()
	defer upstream.Return(buf)
	decoded := appendDecoded(buf[:0], x.path)
	if bytes.IndexByte(decoded, 0) >= 0 {
		return x.refuse(monitor.BadRequest, "the path has a NUL")
	}
	there := func(path []byte) bool { return x.routeOf(path, model, known) == x.route }
	rest := decoded[len(decoded):]
	if there(decoded) && there(appendResolved(rest, decoded)) && there(appendResolved(rest, x.path)) {
		return true
	}
	return x.refuse(monitor.BadRequest, "the path may be read as another route's; send it without dot segments, and encode only what needs it")
}

// routeOf is the route of another path; nil when there is none, or when it hangs on a model that is not known.
func (x *exchange) routeOf(path, model []byte, known bool) *router.Route {
	m := x.limits.table.Match(x.host, x.req.Method, path, &x.req)
	if m.NeedsModel && !known {
		return nil
	}
	return m.Model(model)
}

// plainPath says that a path can be read in one way only.
func plainPath(path []byte) bool {
	for i, c := range path {
		switch c {
		case '%', ';', '\\':
			return false
		case '/', '.':
			if i > 0 && path[i-1] == '/' {
				return false
			}
		}
	}
	return true
}

// appendDecoded appends path without percent-encoding. What is no encoding stays as it is.
func appendDecoded(dst, path []byte) []byte {
	for i := 0; i < len(path); i++ {
		if c := path[i]; c != '%' || i+2 >= len(path) {
			dst = append(dst, c)
			continue
		}
		high, ok := upstream.HexDigit(path[i+1])
		low, also := upstream.HexDigit(path[i+2])
		if !ok || !also {
			dst = append(dst, '%')
			continue
		}
		dst = append(dst, byte(high<<4|low))
		i += 2
	}
	return dst
}

// appendResolved appends path as the most obliging of servers reads it: a backslash is a slash, several slashes are one, a
// segment's parameters (;v=1) are none of its name, and dot segments are followed (RFC 3986, section 5.2.4).
func appendResolved(dst, path []byte) []byte {
	start := len(dst)
	for more := true; more; {
		var segment []byte
		i := bytes.IndexAny(path, `/\`)
		if more = i >= 0; more {
			segment, path = path[:i], path[i+1:]
		} else {
			segment = path
		}
		segment, _, _ = bytes.Cut(segment, []byte(";"))
		switch string(segment) {
		case "", ".":
		case "..":
			dst = dst[:start+max(0, bytes.LastIndexByte(dst[start:], '/'))]
		default:
			dst = append(append(dst, '/'), segment...)
			if !more {
				return dst
			}
		}
	}
	return append(dst, '/')
}
