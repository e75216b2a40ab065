package conformance

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// TestReader shows the reference reader accepting and refusing: a reader that takes everything would prove nothing.
func TestReader(t *testing.T) {
	// f reads one message; what is left on the wire after it, or "refused".
	f := func(request bool, text, want string) {
		t.Helper()
		one, two := net.Pipe()
		go func() {
			_, _ = io.Copy(one, bytes.NewReader([]byte(text)))
			_ = one.Close()
		}()
		defer two.Close()
		p := &peer{Conn: two}
		m, err := p.readHead(request, false)
		if err == nil {
			err = m.rest(p)
		}
		got := string(p.in)
		if err != nil {
			got = "refused"
		}
		if got != want {
			t.Errorf("%q leaves %q, not %q (%v)", text, got, want, err)
		}
	}
	const ask, tell = "POST / HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1 200 OK\r\n"
	for _, head := range []string{ask, tell} {
		f(head == ask, head+"Content-Length: 2\r\n\r\nok.", ".")
		f(head == ask, head+"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: b\r\n\r\n.", ".")
		for _, bad := range []string{
			"Content-Length: 2\r\n\r\no",
			"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
			"Content-Length: 2, 2\r\n\r\nok",
			"Content-Length: +2\r\n\r\nok",
			"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
			"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
			"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
			"Transfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n",
			"Transfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n0\r\n\r\n",
			"Transfer-Encoding: chunked\r\n\r\n2;a\r\nok\r\n0\r\n\r\n",
			"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX A: b\r\n\r\n",
			"X-A: b\n\r\n",
			"X-A: b\rc\r\n\r\n",
			"X-A : b\r\n\r\n",
			"X-A\r\n\r\n",
			"X-A: b\r\n c\r\n\r\n",
			"X-A: \x00\r\n\r\n",
		} {
			f(head == ask, head+bad, "refused")
		}
	}
	f(true, ask+"\r\nnext", "next")
	f(false, tell+"\r\nto the end", "")
	f(false, "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok", "ok")
	for _, bad := range []string{"GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET /# HTTP/1.1\r\n\r\n", "G(T / HTTP/1.1\r\n\r\n", ""} {
		f(true, bad, "refused")
	}
	for _, bad := range []string{"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200\r\n\r\n", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\n"} {
		f(false, bad, "refused")
	}
}

// TestChecks shows every check failing.
func TestChecks(t *testing.T) {
	m := &message{first: "GET /c1/ HTTP/1.1", lines: []string{"X-A: b", "x-a: c", "Y: z"}, framing: length, body: []byte("ok")}
	s := &stage{t: t, base: "/c1/"}
	// f says whether a check lets m pass.
	f := func(c check, want bool) {
		t.Helper()
		if fault := c.fault(m, s); (fault == "") != want {
			t.Errorf("%q", fault)
		}
	}
	f(first("GET /~ HTTP/1.1"), true)
	f(first("GET / HTTP/1.1"), false)
	f(has("Y: z"), true)
	f(has("y: z"), false)
	f(has("X-B: b"), false)
	f(lacks("Z"), true)
	f(lacks("Z", "y"), false)
	f(value("y", "z"), true)
	f(value("y", "Z"), false)
	f(value("x-a", "b"), false)
	f(matches("Y", "[a-z]"), true)
	f(matches("X-A", "b"), false)
	f(matches("Z", ".+"), false)
	f(inOrder("X-A: b", "Y: z"), true)
	f(inOrder("Y: z", "X-A: b"), false)
	f(framed(length), true)
	f(framed(chunked), false)
	f(bodyIs("ok"), true)
	f(bodyIs("o"), false)
	f(trailers(), true)
	f(trailers("X: y"), false)
}
