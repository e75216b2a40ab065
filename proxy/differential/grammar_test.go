package differential

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// dice make up messages: most as they should be, many with one thing wrong, some changed at random on top.
type dice struct{ *rand.Rand }

func roll(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 9112))} }

func (d dice) one(of ...string) string { return of[d.IntN(len(of))] }

// rarely is one of odd once in about n times, else usual.
func (d dice) rarely(n int, usual string, odd ...string) string {
	if d.IntN(n) > 0 {
		return usual
	}
	return d.one(odd...)
}

// eol ends a line.
func (d dice) eol() string {
	return d.rarely(150, "\r\n", "\n", "\r", "\r\r\n", "\n\r\n", "\r\n ", "\x00\r\n", "")
}

// requests are pipelined.
func (d dice) requests() string {
	var b strings.Builder
	for range 1 + d.IntN(4) {
		b.WriteString(d.rarely(30, "", "\r\n", "\r\n\r\n", "\n", " ", "\x00"))
		b.WriteString(d.request())
	}
	return d.mangled(b.String())
}

func (d dice) request() string {
	method := d.one("GET", "GET", "POST", "POST", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "X!Y")
	method = d.rarely(40, method, "CONNECT", "TRACE", "get", "", "G(T", "PRI", " GET")
	line := method + d.rarely(80, " ", "  ", "\t", "", " \x0b") + d.target(method) + d.rarely(80, " ", "  ", "\t", "", " x ") +
		d.rarely(12, "HTTP/1.1", "HTTP/1.0", "HTTP/1.0", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/1.01", "http/1.1", "HTTP/1,1", "HTTP/1.1 ", "")
	lines := []string{line, d.host()}
	for range d.IntN(4) {
		lines = append(lines, d.field())
	}
	framing, body := d.body()
	lines = append(lines, framing...)
	d.Shuffle(len(lines)-1, func(i, j int) { lines[i+1], lines[j+1] = lines[j+1], lines[i+1] })
	return d.lines(lines) + body
}

// lines are joined to a head.
func (d dice) lines(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		if line != "" {
			b.WriteString(line + d.eol())
		}
	}
	return b.String() + d.eol()
}

func (d dice) target(method string) string {
	path := d.one("/", "/a", "/key/x", "/a?q=1", "/%41/b;c", "//a", "/?", "/{x}")
	target := d.rarely(6, path, "http://h"+path, "HTTP://h:80"+path, "http://h", "http://h?q", "http://[::1]:1/")
	if method == "OPTIONS" {
		target = d.rarely(2, target, "*")
	}
	return d.rarely(40, target, "*", "a", "h:80", "https://h/", "http:///", "http://u@h/", "http:// h/", "/#f", "/\x7f", "/\xff", "/ /", "",
		"http://h\\x/", "http://[::1/", "http://h:x/", "http://%/", "http://[1::2::3]/")
}

func (d dice) host() string {
	return d.rarely(25, "Host: "+d.one("h", "H.example:80", "127.0.0.1", "[::1]:8080", "a_b", "a:"), "", "Host:", "Host: h\r\nHost: h", "Host: a b", "Host: a/b",
		"Host : h", " Host: h", "Host: a@b", "Host: [::", "Host: %zz", "Host: [:::]", "Host: [::1]x", "host: h, h", "Host: h:1:2", "Host: \xff", "Host: h:x")
}

func (d dice) field() string {
	return d.one(
		"X-A: "+d.rarely(8, "b", "", "a, b", "b\t c", "\xff", "b\x00", "b\x7f", "b\r", "b\r\n c", "b\r\n\tc", "b\r\n\r\n"),
		"Connection: "+d.one("close", "keep-alive", "Keep-Alive", "x-a", "close, x-a", "host", "content-length", "transfer-encoding", "", ",", "TE", "upgrade"),
		d.one("Accept: */*", "Cookie: a=b", "User-Agent: x", "Trailer: X-T", "TE: trailers", "Keep-Alive: 1", "Proxy-Connection: close", "Upgrade: h2c"),
		d.one("Expect: 100-continue", "Expect: 100-Continue", "Expect: x", "Expect:", "Max-Forwards: 1", "Max-Forwards: 0", "Max-Forwards: -1", "X-Forwarded-For: x", "X-Forwarded-Port: 1",
			"HTTP2-Settings: AA"),
		d.rarely(4, "X-B: c", "X-A", "X A: b", ": b", "X-A : b", "X-A\t: b", " X-A: b", "X\x00A: b", "X-Ä: b", "X-A:b:c", "X-MLProxy-Pool: stable", "X-Request-ID: 1"),
	)
}

// body is framing fields, and a body.
func (d dice) body() (fields []string, body string) {
	data := strings.Repeat(d.one("x", "ab", "0\r\n\r\n", "GET / HTTP/1.1\r\nHost: evil\r\n\r\n", `{"user":"u1"}`), d.IntN(4))
	if d.IntN(60) == 0 {
		data = strings.Repeat("0123456789abcde\n", 1+d.IntN(8<<10))
	}
	n := fmt.Sprint(len(data))
	chunks := d.chunks(data)
	switch d.IntN(8) {
	case 0, 1:
		return nil, ""
	case 2, 3, 4:
		length := d.rarely(10, n, "0"+n, "+"+n, "-"+n, n+" ", n+", "+n, n+","+n, n+".", "0x"+n, n+"\r\nContent-Length: "+n, n+"\r\nContent-Length: 0",
			"", "99999999999999999999", "\v"+n, n+"a", "1e1", "\u0661")
		return []string{d.rarely(20, "Content-Length: ", "content-length:", "Content-Length : ", "Content_Length: ") + length}, data
	case 5, 6:
		coding := d.rarely(10, "chunked", "Chunked", "identity", "gzip, chunked", "chunked, chunked", "chunked, identity", "\"chunked\"", "chunked;a", "xchunked", "",
			"chunked\r\nTransfer-Encoding: chunked", "chunked\r\n ,identity", "\x0bchunked", "chunked,", ",chunked", "chunked\x00", "identity\r\nTransfer-Encoding: chunked")
		return []string{d.rarely(20, "Transfer-Encoding: ", "transfer-encoding:", "Transfer-Encoding : ", "Transfer_Encoding: ", "Transfer-Encoding\x00: ") + coding}, chunks
	}
	if d.IntN(4) > 0 {
		return nil, ""
	}
	return []string{"Content-Length: " + d.one(n, "0", "3", fmt.Sprint(len(chunks))), "Transfer-Encoding: " + d.one("chunked", "identity", "x")}, d.one(data, chunks)
}

// chunks frames data in chunks.
func (d dice) chunks(data string) string {
	var b strings.Builder
	extension := func() string {
		return d.rarely(12, "", ";", ";a", ";a=b", `;a="b;c"`, `;a="\""`, " ;a", ";a\n", `;a="`, ";a\r", " ", "\t", ";\x00", `;a="`+"\r\n"+`"`)
	}
	for len(data) > 0 {
		n := 1 + d.IntN(min(len(data), 5<<d.IntN(14)))
		size := d.rarely(15, fmt.Sprintf("%x", n), fmt.Sprintf("%X", n), fmt.Sprintf("0%x", n), fmt.Sprintf("0x%x", n), fmt.Sprintf("+%x", n), fmt.Sprintf("-%x", n),
			fmt.Sprintf(" %x", n), fmt.Sprintf("1%016x", n), fmt.Sprintf("%x", n+1), fmt.Sprintf("%x", max(n-1, 1)), "", "g", fmt.Sprintf("%x_", n))
		b.WriteString(size + extension() + d.eol() + data[:n] + d.eol())
		data = data[n:]
	}
	last := d.rarely(20, "0", "00", "000000000000000000000", "", "-0", "0x0", "0 ")
	trailer := d.rarely(6, "", "X-T: 1\r\n", "X-T: 1\r\nX-U: 2\r\n", "Content-Length: 5\r\n", "Host: evil\r\n", "X-T\r\n", "X-T : 1\r\n", "X-T: 1\n", " x: 1\r\n",
		"Transfer-Encoding: chunked\r\n", "X-T: \x00\r\n")
	return b.String() + last + extension() + d.eol() + trailer + d.eol()
}

// mangled is text, in one case of four changed anywhere.
func (d dice) mangled(text string) string {
	if d.IntN(4) > 0 {
		return text
	}
	for range 1 + d.IntN(3) {
		i := d.IntN(len(text) + 1)
		j := min(len(text), i+d.IntN(1+d.IntN(20)))
		switch d.IntN(4) {
		case 0:
			text = text[:i] + text[j:]
		case 1:
			text = text[:j] + text[i:]
		case 2:
			text = text[:i]
		case 3:
			text = text[:i] + d.one("\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":", ",", ";", "\x00", "\x0b", "0", "+", "-", "\xff", "0\r\n\r\n", "5\r\n", "#",
				"Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.0") + text[i:]
		}
	}
	return text
}

// answers are one answer, perhaps with interim ones before and something after it.
func (d dice) answers() string {
	var b strings.Builder
	for range d.rarely(5, "", "x", "xx") {
		b.WriteString("HTTP/1.1 " + d.one("100 Continue", "103 Early Hints", "102 Processing", "101 Switching Protocols", "199") + "\r\n" + d.one("", "Link: a\r\n", "Content-Length: 3\r\n") + "\r\n")
	}
	line := d.rarely(10, "HTTP/1.1", "HTTP/1.0", "HTTP/1.0", "HTTP/1.2", "HTTP/2", "HTTP/0.9", "ICY", "") + d.rarely(60, " ", "", "  ", "\t") +
		d.one("200", "200", "200", "404", "500", "204", "304", "206", d.one("099", "20", "2000", "abc", "999", "-20", "")) + d.rarely(8, " OK", "", " ", " \xe4", " a b", "OK", " \x00", " a\rb")
	lines := []string{line}
	for range d.IntN(3) {
		lines = append(lines, d.one("Server: x", "Set-Cookie: a=b", "Set-Cookie: c=d", "Connection: close", "Connection: keep-alive", "Connection: x-a", "Date: x", "Trailer: X-T"), d.field())
	}
	framing, body := d.body()
	b.WriteString(d.lines(append(lines, framing...)) + body)
	b.WriteString(d.rarely(8, "", "x", "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "\x00", "0\r\n\r\n"))
	return d.mangled(b.String())
}

// pieces are text, cut in a few places, or everywhere.
func (d dice) pieces(text string) (pieces []string) {
	switch d.IntN(5) {
	case 0, 1:
		return []string{text}
	case 2:
		if len(text) < 500 {
			return strings.Split(text, "")
		}
	}
	var cuts []int
	for range 1 + d.IntN(6) {
		cuts = append(cuts, d.IntN(len(text)+1))
	}
	slices.Sort(cuts)
	from := 0
	for _, cut := range append(cuts, len(text)) {
		if cut > from {
			pieces = append(pieces, text[from:cut])
			from = cut
		}
	}
	return pieces
}
