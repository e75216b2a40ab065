package upstream

import (
	"bytes"
	"net/netip"
)

// frameRequest decides how the request's body ends, and what else its fields say of the exchange.
func (h *Head) frameRequest() *HeadError {
	if err := h.checkHost(); err != nil {
		return err
	}
	if err := h.checkExpect(); err != nil {
		return err
	}
	h.Close = h.Close || h.Minor == 0 && !h.keepAlive
	h.Framing = NoBody
	if h.Has(TransferEncoding) {
		return h.frameChunked()
	}
	return h.frameLength()
}

// checkExpect takes 100-continue and nothing else, whatever the number of fields (RFC 9110, section 10.1.1).
func (h *Head) checkExpect() *HeadError {
	if !h.Has(Expect) {
		return nil
	}
	for i := range h.Fields {
		if f := &h.Fields[i]; f.Kind == Expect && !equalFold(f.Value, "100-continue") {
			return &HeadError{417, "the only expectation served is 100-continue"}
		}
	}
	h.Expect = h.Minor == 1
	return nil
}

// frameAnswer decides how the answer's body ends (RFC 9112, section 6.3).
func (h *Head) frameAnswer(bodiless bool) *HeadError {
	h.Close = h.Close || h.Minor == 0 && !h.keepAlive
	if err := h.frameAnswerBody(); err != nil {
		return err
	}
	if bodiless || h.Status < 200 || h.Status == 204 || h.Status == 304 {
		h.Framing = NoBody
	}
	return nil
}

func (h *Head) frameAnswerBody() *HeadError {
	h.Framing = UntilClose
	if h.Has(TransferEncoding) {
		return h.frameChunked()
	}
	return h.frameLength()
}

func (h *Head) frameChunked() *HeadError {
	coding := h.Value(TransferEncoding)
	switch {
	case h.Has(ContentLength):
		return bad("Content-Length and Transfer-Encoding are both there; send one")
	case h.Minor == 0:
		return bad("Transfer-Encoding is not for HTTP/1.0")
	case equalFold(coding, "chunked"):
		h.Framing = Chunked
		return nil
	}
	last := trim(coding[bytes.LastIndexByte(coding, ',')+1:])
	if !equalFold(last, "chunked") || bytes.Count(bytes.ToLower(coding), []byte("chunked")) > 1 {
		return bad("Transfer-Encoding does not end in chunked, once") // 400, not 501: RFC 9112, section 6.3
	}
	return &HeadError{501, "the only transfer coding served is chunked"}
}

func (h *Head) frameLength() *HeadError {
	v := h.Value(ContentLength)
	if v == nil {
		return nil
	}
	n, ok := decimal(v)
	if !ok {
		return bad("Content-Length is not a number")
	}
	h.Length = n
	h.Framing = ByLength
	return nil
}

// decimal reads 1*DIGIT below 2^62.
func decimal(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if !digit(c) || n >= 1<<58 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}

// checkHost holds the request to RFC 9112, section 3.2: one Host, and a name in it.
func (h *Head) checkHost() *HeadError {
	host := h.Value(Host)
	if host == nil {
		if h.Minor == 1 {
			return bad("there is no Host; HTTP/1.1 asks for one")
		}
		return nil
	}
	if !ValidHost(host) {
		return bad("Host is not a name or an address, with a port or without")
	}
	return nil
}

// ValidHost says that b is uri-host [ ":" port ] (RFC 3986, section 3.2.2).
func ValidHost(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		return end > 0 && ipv6(b[1:end]) && validPort(b[end+1:])
	}
	name, port := b, []byte(nil)
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		name, port = b[:i], b[i:]
	}
	return hostName(name) && validPort(port)
}

func ipv6(b []byte) bool {
	a, err := netip.ParseAddr(string(b))
	return err == nil && a.Is6() && a.Zone() == ""
}

// hostName takes the bytes of RFC 3986's reg-name, in which a % is followed by two hexadecimal digits, but for the comma: what has one may
// be two hosts that somebody has joined.
func hostName(b []byte) bool {
	for i, c := range b {
		if class[c]&tokenByte == 0 && c != '(' && c != ')' && c != ';' && c != '=' || c == '`' || c == '^' || c == '|' || c == '#' {
			return false
		}
		if c == '%' && (len(b) < i+3 || !isHex(b[i+1]) || !isHex(b[i+2])) {
			return false
		}
	}
	return len(b) > 0
}

// validPort takes nothing, ":" and ":8080".
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) > 6 {
		return false
	}
	port := 0
	for _, c := range b[1:] {
		if !digit(c) {
			return false
		}
		port = 10*port + int(c-'0')
	}
	return port < 1<<16
}

func isHex(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
