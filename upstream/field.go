package upstream

import "bytes"

// Kind names the fields that a proxy has business with; all others are Other and pass as they are.
type Kind uint8

// The kinds of fields.
const (
	Other Kind = iota
	Host
	ContentLength
	TransferEncoding
	Connection
	KeepAlive
	ProxyConnection
	ProxyAuthorization
	TE
	Trailer
	Upgrade
	Expect
	Via
	ForwardedFor
	ForwardedProto
	ForwardedHost
	ForwardedMore // any other X-Forwarded-*
	HTTP2Settings
	RequestID
	MLProxy // any X-MLProxy-*
	Authorization
	Cookie
	MaxForwards
	Twin // none of these, but one with a "_" for a "-": some model servers cannot tell the two apart
	kinds
)

// hop says that the field concerns one connection only. The framing fields are among them: each side frames anew.
// Host is not: see Head.Hop.
func (k Kind) hop() bool {
	switch k {
	case Connection, KeepAlive, ProxyConnection, ProxyAuthorization, TE, TransferEncoding, Upgrade, Trailer, HTTP2Settings:
		return true
	}
	return false
}

// kept says that naming the field in Connection does not remove it: a client must not be able to take away what the
// proxy vouches for.
func (k Kind) kept() bool {
	switch k {
	case Host, ContentLength, Via, ForwardedFor, ForwardedProto, ForwardedHost, ForwardedMore, RequestID, MLProxy, Authorization, Cookie:
		return true
	}
	return false
}

// Credential says that the field proves who the client is.
func (k Kind) Credential() bool { return k == Authorization || k == Cookie }

// single says that a second field of the kind makes the message ambiguous.
func (k Kind) single() bool { return k == Host || k == ContentLength || k == TransferEncoding }

type namedKind struct {
	name string
	kind Kind
}

// named are the names of the kinds, in lower case, by their length: few share one.
var named = func() (t [20][]namedKind) {
	for name, kind := range map[string]Kind{
		"host": Host, "content-length": ContentLength, "transfer-encoding": TransferEncoding, "connection": Connection,
		"keep-alive": KeepAlive, "proxy-connection": ProxyConnection, "proxy-authorization": ProxyAuthorization, "te": TE,
		"trailer": Trailer, "upgrade": Upgrade, "expect": Expect, "via": Via, "x-forwarded-for": ForwardedFor,
		"x-forwarded-proto": ForwardedProto, "x-forwarded-host": ForwardedHost, "x-request-id": RequestID,
		"authorization": Authorization, "cookie": Cookie, "max-forwards": MaxForwards, "http2-settings": HTTP2Settings,
	} {
		t[len(name)] = append(t[len(name)], namedKind{name, kind})
	}
	return t
}()

func kindOf(name []byte) Kind {
	kind := plainKindOf(name)
	if kind == Other && bytes.IndexByte(name, '_') >= 0 && isTwin(name) {
		return Twin
	}
	return kind
}

// isTwin says that name is that of a kind to those who make variables of names, as CGI does (RFC 3875, section 4.1.18).
func isTwin(name []byte) bool {
	var b [len(named)]byte // whose length none of the names reaches
	n := copy(b[:], name)
	for i := range n {
		if b[i] == '_' {
			b[i] = '-'
		}
	}
	return plainKindOf(b[:n]) != Other
}

func plainKindOf(name []byte) Kind {
	if len(name) < len(named) {
		for _, n := range named[len(name)] {
			if equalFold(name, n.name) {
				return n.kind
			}
		}
	}
	switch {
	case begins(name, ours):
		return MLProxy
	case begins(name, forwarded):
		return ForwardedMore
	}
	return Other
}

func begins(name []byte, with string) bool {
	return len(name) >= len(with) && equalFold(name[:len(with)], with)
}

// How the names of fields begin that are between proxies and those they trust.
const (
	ours      = "x-mlproxy-"
	forwarded = "x-forwarded-"
)

// Is says that the field has this name, which is given in lower case.
func (f *Field) Is(name string) bool { return equalFold(f.Name, name) }

// equalFold says that b is s, whatever its ASCII case; s is lower-case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// Classes of bytes (RFC 9110, section 5.5 and 5.6.2; RFC 3986 for targets).
const (
	tokenByte uint8 = 1 << iota
	valueByte
	targetByte
)

var class = func() (t [256]uint8) {
	for c := range 256 {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if letter || c >= '0' && c <= '9' {
			t[c] |= tokenByte
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= valueByte
		}
		if c > ' ' && c < 0x7f && c != '#' {
			t[c] |= targetByte
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= tokenByte
	}
	return t
}()

// all says that every byte of b is of the class; true for none where an empty value may stand, see isToken.
func all(b []byte, is uint8) bool {
	for _, c := range b {
		if class[c]&is == 0 {
			return false
		}
	}
	return len(b) > 0 || is == valueByte
}

func isToken(b []byte) bool { return all(b, tokenByte) }

func digit(c byte) bool { return c >= '0' && c <= '9' }

// trim cuts optional white space (SP and HTAB) off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
