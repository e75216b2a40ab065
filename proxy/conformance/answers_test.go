package conformance

import (
	"fmt"
	"strings"
	"testing"
)

// answer is a case of one answer of the model server, to a GET unless ask says otherwise: what it says, and what the
// client sees of it.
type answer struct {
	name, rfc string
	says      string
	sees      []check
	status    int    // 0 is 200
	ask       string // the client's request
	spoilt    bool   // the connection to the model server must not be used again
}

func (c *answer) play(s *stage) {
	s.t.Helper()
	if c.ask == "" {
		c.ask = get()
	}
	if c.status == 0 {
		c.status = 200
	}
	s.send(c.ask)
	n := s.gets().number
	s.says(c.says)
	s.sees(c.status, c.sees...)
	s.send(get())
	second := s.gets()
	if c.spoilt == (second.number == n) {
		s.fail("the next request came on connection %d, the first on %d", second.number, n)
	}
	s.says(ok)
	s.sees(200, bodyIs("ok"))
}

func answers(t *testing.T, cases []answer) {
	t.Parallel()
	th := open(t, world{}, len(cases))
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.play(th.stage(t, i, c.rfc))
		})
	}
}

func TestAnswers(t *testing.T) {
	const head = "HEAD /~ HTTP/1.1\r\nHost: a\r\n\r\n"
	body := func(lines string) string { return "HTTP/1.1 200 OK\r\n" + lines + "\r\n" }
	status := func(n int, phrase string) answer {
		line := fmt.Sprintf("HTTP/1.1 %d %s", n, phrase)
		return answer{
			name: "status " + line[9:], rfc: "RFC 9110 15", says: line + "\r\nContent-Length: 2\r\n\r\nok", status: n,
			sees: []check{first(line), bodyIs("ok")},
		}
	}
	answers(t, []answer{
		{name: "length", rfc: "RFC 9112 6.2", says: ok, sees: []check{bodyIs("ok"), framed(length)}},
		{
			name: "length zero", rfc: "RFC 9112 6.2", says: body("Content-Length: 0\r\n"),
			sees: []check{bodyIs(""), value("Content-Length", "0")},
		},
		{name: "length with leading zeros", rfc: "RFC 9112 6.2", says: body("Content-Length: 002\r\n") + "ok", sees: []check{bodyIs("ok")}},
		{
			name: "chunks", rfc: "RFC 9112 7.1", says: body("Transfer-Encoding: chunked\r\n") + "2\r\nok\r\n0\r\n\r\n",
			sees: []check{bodyIs("ok"), framed(chunked)},
		},
		{
			name: "chunks in capitals", rfc: "RFC 9112 7", says: body("transfer-encoding: Chunked\r\n") + "2\r\nok\r\n0\r\n\r\n",
			sees: []check{bodyIs("ok"), framed(chunked)},
		},
		{
			name: "chunks with extensions", rfc: "RFC 9112 7.1.1",
			says: body("Transfer-Encoding: chunked\r\n") + "2;a=\"b\"\r\nok\r\n0;c\r\n\r\n", sees: []check{bodyIs("ok")},
		},
		{name: "chunks none", rfc: "RFC 9112 7.1", says: body("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", sees: []check{bodyIs("")}},
		{
			name: "chunks with trailers", rfc: "RFC 9112 7.1.2",
			says: body("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n") + "2\r\nok\r\n0\r\nX-Sum: 1\r\nx-b: 2\r\n\r\n",
			sees: []check{bodyIs("ok"), trailers("X-Sum: 1", "x-b: 2")},
		},
		{
			name: "trailers that belong into heads", rfc: "RFC 9110 6.5.1",
			says: body("Transfer-Encoding: chunked\r\n") + "2\r\nok\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nConnection: close\r\nX-MLProxy-Pool: x\r\nX-A: b\r\n\r\n",
			sees: []check{bodyIs("ok"), trailers("X-A: b")},
		},
		{
			name: "close", rfc: "RFC 9112 9.6", says: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
			sees: []check{bodyIs("ok"), lacks("Connection")}, spoilt: true,
		},
		{
			name: "of HTTP/1.0", rfc: "RFC 9110 2.5", says: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
			sees: []check{first("HTTP/1.1 200 OK"), bodyIs("ok")}, spoilt: true,
		},
		{
			name: "of HTTP/1.0 with keep-alive", rfc: "RFC 9112 9.3",
			says: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", sees: []check{bodyIs("ok")},
		},
		{name: "close among others", rfc: "RFC 9112 9.6", says: body("Connection: x, Close\r\nContent-Length: 2\r\n") + "ok", spoilt: true},
		{
			name: "HEAD with length", rfc: "RFC 9110 9.3.2", ask: head, says: body("Content-Length: 500\r\n"),
			sees: []check{value("Content-Length", "500"), bodyIs("")},
		},
		{
			name: "HEAD with chunks", rfc: "RFC 9110 9.3.2", ask: head, says: body("Transfer-Encoding: chunked\r\n"),
			sees: []check{bodyIs("")},
		},
		{name: "HEAD with neither", rfc: "RFC 9110 9.3.2", ask: head, says: body(""), sees: []check{bodyIs("")}},
		{name: "HEAD with a body", rfc: "RFC 9110 9.3.2", ask: head, says: ok, sees: []check{bodyIs("")}, spoilt: true},
		{
			name: "HEAD of 404", rfc: "RFC 9110 9.3.2", ask: head, says: "HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\n", status: 404,
			sees: []check{value("Content-Length", "5")},
		},
		{
			name: "204", rfc: "RFC 9110 15.3.5", says: "HTTP/1.1 204 No Content\r\n\r\n", status: 204,
			sees: []check{lacks("Content-Length", "Transfer-Encoding")},
		},
		{
			name: "204 with length zero", rfc: "RFC 9110 8.6", says: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", status: 204,
			sees: []check{lacks("Content-Length")},
		},
		{
			name: "204 with a body", rfc: "RFC 9112 6.3", says: "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", status: 204,
			sees: []check{lacks("Content-Length")}, spoilt: true,
		},
		{
			name: "204 with chunks", rfc: "RFC 9112 6.1",
			says: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 204,
			sees: []check{lacks("Transfer-Encoding")}, spoilt: true,
		},
		{
			name: "304", rfc: "RFC 9110 15.4.5", says: "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", status: 304,
			sees: []check{has("ETag: \"x\"")},
		},
		{
			name: "304 with length", rfc: "RFC 9110 8.6", says: "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", status: 304,
			sees: []check{value("Content-Length", "500")},
		},
		{
			name: "304 with a body", rfc: "RFC 9112 6.3",
			says: "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok", status: 304, spoilt: true,
		},
		{name: "205", rfc: "RFC 9110 15.3.6", says: "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", status: 205},
		{name: "stray bytes", rfc: "RELIABILITY 4", says: ok + "x", sees: []check{bodyIs("ok")}, spoilt: true},
		{
			name: "stray answer", rfc: "RELIABILITY 4", says: ok + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
			sees: []check{bodyIs("ok")}, spoilt: true,
		},
		{name: "stray CRLF", rfc: "RELIABILITY 4", says: ok + "\r\n", sees: []check{bodyIs("ok")}, spoilt: true},
		{
			name: "stray bytes after chunks", rfc: "RELIABILITY 4", says: body("Transfer-Encoding: chunked\r\n") + "2\r\nok\r\n0\r\n\r\nx",
			sees: []check{bodyIs("ok")}, spoilt: true,
		},
		{name: "stray bytes after no body", rfc: "RELIABILITY 4", says: body("Content-Length: 0\r\n") + "x", spoilt: true},
		{
			name: "nothing is invented", rfc: "DESIGN 6 Headers", says: ok,
			sees: []check{lacks("Date", "Content-Type", "Server", "Connection", "Cache-Control")},
		},
		{
			name: "Date and Content-Type pass", rfc: "RELIABILITY 2",
			says: body("Date: x\r\nContent-Type: y\r\nServer: z\r\nContent-Length: 0\r\n"),
			sees: []check{has("Date: x"), has("Content-Type: y"), has("Server: z")},
		},
		{
			name: "order, case and duplicates", rfc: "DESIGN 6 Headers",
			says: body("x-B: 1\r\nSet-Cookie: a\r\nContent-Length:  0\r\nX-b:2\r\nSet-Cookie: b\r\n"),
			sees: []check{inOrder("x-B: 1", "Set-Cookie: a", "Content-Length:  0", "X-b:2", "Set-Cookie: b")},
		},
		{
			name: "obs-text passes", rfc: "RFC 9110 5.5", says: body("X-A: \xff\xfe\r\nContent-Length: 0\r\n"),
			sees: []check{has("X-A: \xff\xfe")},
		},
		{
			name: "Content-Encoding is not touched", rfc: "DESIGN 6 Headers",
			says: body("Content-Encoding: gzip\r\nContent-Length: 3\r\n") + "\x1f\x8b\x00",
			sees: []check{has("Content-Encoding: gzip"), bodyIs("\x1f\x8b\x00")},
		},
		{name: "a long head", rfc: "RELIABILITY 3", says: body("X-A: "+strings.Repeat("x", 60<<10)+"\r\nContent-Length: 2\r\n") + "ok", sees: []check{bodyIs("ok")}},
		{name: "many fields", rfc: "RELIABILITY 3", says: body(strings.Repeat("X-A: b\r\n", 250)+"Content-Length: 2\r\n") + "ok", sees: []check{bodyIs("ok")}},
		{name: "many cookies", rfc: "RFC 6265 3", says: body(strings.Repeat("Set-Cookie: a=b; Path=/\r\n", 100)+"Content-Length: 2\r\n") + "ok", sees: []check{
			{headChecks, func(m *message, _ *stage) string {
				if n := len(m.values("Set-Cookie")); n != 100 {
					return fmt.Sprintf("%d cookies of 100", n)
				}
				return ""
			}},
		}},
		{name: "empty values", rfc: "RFC 9110 5.5", says: body("X-A:\r\nX-B: \r\nContent-Length: 0\r\n"), sees: []check{has("X-A:"), has("X-B: ")}},
		{name: "205 with a body", rfc: "RFC 9112 6.3", says: "HTTP/1.1 205 Reset\r\nContent-Length: 2\r\n\r\nok", status: 205, sees: []check{bodyIs("ok")}},
		{
			name: "206 with a range", rfc: "RFC 9110 14.4", says: "HTTP/1.1 206 Part\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nok", status: 206,
			sees: []check{has("Content-Range: bytes 0-1/9"), bodyIs("ok")},
		},
		{
			name: "304 with chunks", rfc: "RFC 9112 6.1", says: "HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n", status: 304,
			sees: []check{lacks("Transfer-Encoding")},
		},
		{name: "HEAD of 204", rfc: "RFC 9110 9.3.2", ask: head, says: "HTTP/1.1 204 No\r\n\r\n", status: 204},
		{
			name: "HEAD and close", rfc: "RFC 9110 9.3.2", ask: head, says: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n",
			sees: []check{value("Content-Length", "7")}, spoilt: true,
		},
		{
			name: "HEAD of HTTP/1.0", rfc: "RFC 9110 9.3.2", ask: head, says: "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n",
			sees: []check{value("Content-Length", "7")}, spoilt: true,
		},
		{
			name: "chunk sizes in capitals and with zeros", rfc: "RFC 9112 7.1", says: body("Transfer-Encoding: chunked\r\n") + "000A\r\n0123456789\r\n0000\r\n\r\n",
			sees: []check{bodyIs("0123456789")},
		},
		{
			name: "a chunk for every byte", rfc: "RFC 9112 7.1", says: body("Transfer-Encoding: chunked\r\n") + strings.Repeat("1\r\nx\r\n", 5000) + "0\r\n\r\n",
			sees: []check{bodyIs(strings.Repeat("x", 5000))},
		},
		{
			name: "a body that looks like chunks", rfc: "RFC 9112 6.3", says: body("Content-Length: 12\r\n") + "2\r\nok\r\n0\r\n\r\n"[:12],
			sees: []check{bodyIs("2\r\nok\r\n0\r\n\r\n"[:12])},
		},
		{name: "a body that looks like an answer", rfc: "RFC 9112 6.3", says: body(fmt.Sprintf("Content-Length: %d\r\n", len(ok))) + ok, sees: []check{bodyIs(ok)}},
		{
			name: "103 of a long head", rfc: "RFC 9110 15.2", says: "HTTP/1.1 102 X\r\nX-A: " + strings.Repeat("x", 60<<10) + "\r\n\r\n" + ok,
			ask: "GET /~ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", sees: []check{bodyIs("ok")},
		},
		{name: "no phrase", rfc: "RFC 9112 4", says: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", sees: []check{first("HTTP/1.1 200 ")}},
		{
			name: "no phrase, no space", rfc: "RFC 9112 4", says: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
			sees: []check{first("HTTP/1.1 200 ")},
		},
		status(201, "Created"), status(206, "Partial Content"), status(299, "Odd"), status(302, "Found"), status(400, "Bad"), status(401, "Who"),
		status(407, "Proxy"), status(418, "Teapot"), status(429, "Slow down"), status(500, "Oops \xfc"), status(502, "Theirs"), status(503, "Busy"),
		status(504, "Late"), status(599, "Odd"), status(600, "Odder"), status(999, "Oddest"),
		{name: "100", rfc: "RFC 9110 15.2", says: "HTTP/1.1 100 Continue\r\n\r\n" + ok, sees: []check{bodyIs("ok")}},
		{
			name: "100 often", rfc: "RFC 9110 15.2", says: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 20) + ok,
			sees: []check{bodyIs("ok")},
		},
		{
			name: "100 with a length", rfc: "RFC 9112 6.3", says: "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + ok,
			sees: []check{bodyIs("ok")},
		},
	})
}

func TestInterimAnswers(t *testing.T) {
	const rfc = "RFC 9110 15.2"
	plays(t, world{}, []play{
		{"103", "RFC 8297", func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </b>\r\n\r\n")
			s.seesHead(103, inOrder("Link: </a>", "link: </b>"), value("Via", "1.1 mlproxy"), lacks("X-Request-ID"))
			s.says(ok)
			s.sees(200, lacks("Link"))
		}},
		{"several", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 199 Odd\r\n\r\n" + ok)
			s.seesHead(102)
			s.seesHead(103)
			s.seesHead(199)
			s.sees(200, bodyIs("ok"))
		}},
		{"fields of one hop", "RFC 9110 7.6.1", func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 103 Early Hints\r\nConnection: X-A\r\nX-A: b\r\nContent-Length: 5\r\nLink: x\r\n\r\n" + ok)
			s.seesHead(103, lacks("X-A", "Connection"), has("Link: x"))
			s.sees(200)
		}},
		{"before a bad answer", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/9.9 200 OK\r\n\r\n")
			s.seesHead(103)
			s.seesProblem(502, "upstream_invalid")
		}},
		{"before HEAD", rfc, func(s *stage) {
			s.send("HEAD /~ HTTP/1.1\r\nHost: a\r\n\r\n")
			s.gets()
			s.says("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
			s.seesHead(103)
			s.sees(200, bodyIs(""))
			s.fence()
		}},
		{"without end", "RELIABILITY 1", func(s *stage) {
			s.send(get())
			s.gets()
			s.says(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000))
			s.seesProblem(502, "upstream_invalid")
		}},
		{"passed on without end", "RELIABILITY 1", func(s *stage) {
			s.send(get())
			s.gets()
			s.says(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 1000))
			for range 1000 {
				m, err := s.c.readHead(false, false)
				if err != nil {
					s.fail("%v", err)
				}
				if m.status() == 103 {
					continue
				}
				if m.status() != 502 || m.value("X-MLProxy-Error") != "upstream_invalid" {
					s.fail("the client sees %q", m.first)
				}
				return
			}
			s.fail("a thousand interim answers were passed on")
		}},
		{"a head too long", "RELIABILITY 1", func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("x", 70<<10) + "\r\n\r\n" + ok)
			s.seesProblem(502, "upstream_invalid")
		}},
		{"close of one of them", "RFC 9112 9.6", func(s *stage) {
			n := s.warm()
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n" + ok)
			s.seesHead(103, lacks("Connection"))
			s.sees(200, lacks("Connection"))
			s.send(get())
			if s.gets().number != n {
				s.fail("another connection was made")
			}
			s.says(ok)
			s.sees(200)
		}},
		{"with a bad framing of its own", "RFC 9112 6.3", func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + ok)
			s.seesProblem(502, "upstream_invalid")
		}},
		{"101 that nobody asked for", "RFC 9110 15.2.2", func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nxyz")
			s.seesProblem(502, "upstream_invalid")
			s.freed(patience)
		}},
		{"101 to h2c", "RFC 9110 7.8", func(s *stage) {
			s.send(get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"))
			s.gets(lacks("Upgrade"))
			s.says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
			s.seesProblem(502, "upstream_invalid")
		}},
	})
}

// invalid plays a model server whose answer is none, whether or not more of it is to come.
func invalid(name, rfc, says string) play {
	return play{name, rfc, func(s *stage) {
		s.send(get())
		n := s.gets().number
		s.says(says)
		s.seesProblem(502, "upstream_invalid")
		s.freed(patience)
		if next := s.fence(); next == n {
			s.fail("its connection was used again")
		}
	}}
}

func TestInvalidAnswers(t *testing.T) {
	long := strings.Repeat("x", 70<<10)
	bad := invalid
	// fields has a body that a reader who forgives would take for good.
	fields := func(name, rfc, lines string) play {
		body := "ok"
		if strings.Contains(lines, "chunked") {
			body = "2\r\nok\r\n0\r\n\r\n"
		}
		return bad(name, rfc, "HTTP/1.1 200 OK\r\n"+lines+"\r\n\r\n"+body)
	}
	const line, syntax, te, cl = "RFC 9112 4", "RFC 9112 5", "RFC 9112 6.1", "RFC 9112 6.3"
	// toHead is an answer to HEAD: though it has no body, its head must say of one what can be read.
	toHead := func(name, rfc, lines string) play {
		return play{"HEAD, " + name, rfc, func(s *stage) {
			s.send(strings.Replace(get(), "GET", "HEAD", 1))
			s.gets()
			s.says("HTTP/1.1 200 OK\r\n" + lines + "\r\n\r\n")
			s.sees(502, value("X-MLProxy-Error", "upstream_invalid"))
			s.freed(patience)
		}}
	}
	plays(t, world{}, []play{
		toHead("length and chunked", te, "Content-Length: 2\r\nTransfer-Encoding: chunked"),
		toHead("length twice", cl, "Content-Length: 2\r\nContent-Length: 3"),
		toHead("length minus", cl, "Content-Length: -2"),
		toHead("unknown coding", te, "Transfer-Encoding: gzip"),
		bad("204 with length and chunked", te, "HTTP/1.1 204 No\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"),
		bad("304 with two lengths", cl, "HTTP/1.1 304 Not\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
		bad("garbage", line, "hello, world\r\n\r\n"),
		bad("binary", line, "\x00\x00\x12\x04\x00\r\n\r\n"),
		bad("no status line", line, "\r\n\r\n"),
		bad("body without head", line, "<html>\r\n\r\n</html>"),
		bad("status of two digits", line, "HTTP/1.1 20 OK\r\n\r\n"),
		bad("status of four digits", line, "HTTP/1.1 2000 OK\r\n\r\n"),
		bad("status of letters", line, "HTTP/1.1 abc OK\r\n\r\n"),
		bad("status 099", line, "HTTP/1.1 099 OK\r\n\r\n"),
		bad("status negative", line, "HTTP/1.1 -20 OK\r\n\r\n"),
		bad("status missing", line, "HTTP/1.1 \r\n\r\n"),
		bad("two spaces", line, "HTTP/1.1  200 OK\r\n\r\n"),
		bad("HTAB", line, "HTTP/1.1\t200 OK\r\n\r\n"),
		bad("NUL in the phrase", line, "HTTP/1.1 200 O\x00K\r\n\r\n"),
		bad("CR in the phrase", line, "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"),
		bad("version 2", "RFC 9112 2.3", "HTTP/2 200 OK\r\n\r\n"),
		bad("version 2.0", "RFC 9112 2.3", "HTTP/2.0 200 OK\r\n\r\n"),
		bad("version 0.9", "RFC 9112 2.3", "HTTP/0.9 200 OK\r\n\r\n"),
		bad("version in lower case", "RFC 9112 2.3", "http/1.1 200 OK\r\n\r\n"),
		bad("another protocol", "RFC 9112 2.3", "ICY 200 OK\r\n\r\n"),
		bad("lines end in LF", "RFC 9112 2.2", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
		bad("status line ends in LF", "RFC 9112 2.2", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok"),
		fields("a field line ends in LF", "RFC 9112 2.2", "X-A: b\nContent-Length: 2"),
		fields("no colon", syntax, "X-A"),
		fields("no name", syntax, ": x"),
		fields("space before the colon", syntax, "Content-Length : 2"),
		fields("folded", syntax, "Content-Length: 2\r\nX-A: b\r\n c"),
		fields("NUL", syntax, "Content-Length: 2\r\nX-A: \x00"),
		fields("CR", syntax, "Content-Length: 2\r\nX-A: b\rX-B: c"),
		fields("space in a name", syntax, "Content-Length: 2\r\nX A: b"),
		fields("a field too long", "RELIABILITY 3", "Content-Length: 2\r\nX-A: "+long),
		fields("fields too many", "RELIABILITY 3", "Content-Length: 2"+strings.Repeat("\r\nX: y", 300)),
		bad("a status line too long", "RELIABILITY 3", "HTTP/1.1 200 "+long),
		fields("length and chunked", te, "Content-Length: 2\r\nTransfer-Encoding: chunked"),
		fields("chunked and length", te, "Transfer-Encoding: chunked\r\nContent-Length: 2"),
		fields("length twice", cl, "Content-Length: 2\r\nContent-Length: 3"),
		fields("length list", cl, "Content-Length: 2, 3"),
		fields("length minus", cl, "Content-Length: -2"),
		fields("length plus", cl, "Content-Length: +2"),
		fields("length empty", cl, "Content-Length:"),
		fields("length hex", cl, "Content-Length: 0x2"),
		fields("length too great", cl, "Content-Length: 99999999999999999999"),
		fields("gzip", te, "Transfer-Encoding: gzip"),
		fields("gzip then chunked", te, "Transfer-Encoding: gzip, chunked"),
		fields("chunked then gzip", te, "Transfer-Encoding: chunked, gzip"),
		fields("chunked twice", te, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
		fields("identity", te, "Transfer-Encoding: identity"),
		fields("unknown coding", te, "Transfer-Encoding: xchunked"),
		bad("chunked of HTTP/1.0", te, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
	})
}

func TestBrokenAnswers(t *testing.T) {
	const rfc = "RELIABILITY 3"
	const byLength, byChunks = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	// nothing plays a model server that ends before an answer: the client gets an error of the proxy's.
	nothing := func(name, says string, end func(*stage)) play {
		return play{name, rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(says)
			end(s)
			s.seesProblem(502, "upstream_reset")
			s.fence()
		}}
	}
	// broken plays one that ends midway: the client must see that.
	broken := func(name, says, piece string, end func(*stage)) play {
		return play{name, rfc, func(s *stage) {
			s.send(get())
			n := s.gets().number
			s.says(says)
			s.seesHead(200)
			s.seesPiece(piece)
			end(s)
			s.seesBroken()
			if s.fence() == n {
				s.fail("its connection was used again")
			}
		}}
	}
	says := func(text string) func(*stage) { return func(s *stage) { s.says(text) } }
	plays(t, world{}, []play{
		nothing("closed without a byte", "", (*stage).hangsUp),
		nothing("reset without a byte", "", (*stage).resets),
		nothing("closed in the status line", "HTTP/1.1 20", (*stage).hangsUp),
		nothing("closed in the head", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", (*stage).hangsUp),
		nothing("closed before the last LF of the head", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r", (*stage).hangsUp),
		nothing("closed after 100", "HTTP/1.1 100 Continue\r\n\r\n", (*stage).hangsUp),
		broken("length, closed", byLength+"he", "he", (*stage).hangsUp),
		broken("length, reset", byLength+"he", "he", (*stage).resets),
		broken("length, closed before the first byte", byLength, "", (*stage).hangsUp),
		broken("chunks, closed in a size", byChunks+"2\r\nhe\r\n5", "he", (*stage).hangsUp),
		broken("chunks, closed in data", byChunks+"5\r\nhe", "he", (*stage).hangsUp),
		broken("chunks, closed after data", byChunks+"2\r\nhe", "he", (*stage).hangsUp),
		broken("chunks, closed between chunks", byChunks+"2\r\nhe\r\n", "he", (*stage).hangsUp),
		broken("chunks, reset between chunks", byChunks+"2\r\nhe\r\n", "he", (*stage).resets),
		broken("chunks, closed in the last size", byChunks+"2\r\nhe\r\n0", "he", (*stage).hangsUp),
		broken("chunks, closed after the last size", byChunks+"2\r\nhe\r\n0\r\n", "he", (*stage).hangsUp),
		broken("chunks, closed in the last CRLF", byChunks+"2\r\nhe\r\n0\r\n\r", "he", (*stage).hangsUp),
		broken("chunks, closed in a trailer", byChunks+"2\r\nhe\r\n0\r\nX-A: b\r\n", "he", (*stage).hangsUp),
		broken("chunks, bad size", byChunks+"2\r\nhe\r\n", "he", says("z\r\n")),
		broken("chunks, negative size", byChunks+"2\r\nhe\r\n", "he", says("-1\r\n")),
		broken("chunks, size too great", byChunks+"2\r\nhe\r\n", "he", says("ffffffffffffffffff\r\n")),
		broken("chunks, size after space", byChunks+"2\r\nhe\r\n", "he", says(" 2\r\nhe\r\n0\r\n\r\n")),
		broken("chunks, size line ends in LF", byChunks+"2\r\nhe\r\n", "he", says("2\nhe\r\n0\r\n\r\n")),
		broken("chunks, data ends in LF", byChunks+"2\r\nhe", "he", says("\n0\r\n\r\n")),
		broken("chunks, data ends in another byte and LF", byChunks+"2\r\nhe", "he", says("x\n0\r\n\r\n")),
		broken("chunks, data too long", byChunks+"2\r\nhe", "he", says("y\r\n0\r\n\r\n")),
		broken("chunks, no size", byChunks+"2\r\nhe\r\n", "he", says("\r\n\r\n")),
		broken("chunks, bad trailer", byChunks+"2\r\nhe\r\n0\r\n", "he", says("X A: b\r\n\r\n")),
		broken("chunks, trailers without end", byChunks+"2\r\nhe\r\n0\r\n", "he", says(strings.Repeat("X-A: b\r\n", 4000))),
		broken("chunks, extension without end", byChunks+"2\r\nhe\r\n", "he", says("2;"+strings.Repeat("x", 40<<10))),
		broken("length beyond all memory, closed", "HTTP/1.1 200 OK\r\nContent-Length: 100000000000000000\r\n\r\nhe", "he", (*stage).hangsUp),
		broken("chunk beyond all memory, closed", byChunks+"ffffffffffffff\r\nhe", "he", (*stage).hangsUp),
		broken("until close, reset", "HTTP/1.1 200 OK\r\n\r\nhe", "he", (*stage).resets),
		{"until close", "RFC 9112 6.3", func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 200 OK\r\n\r\nhe")
			s.seesHead(200, framed(chunked))
			s.seesPiece("he")
			s.hangsUp()
			s.seesEnd()
			s.send(get())
			s.gets()
			s.says(ok)
			s.sees(200)
		}},
		{"until close, no byte", "RFC 9112 6.3", func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 200 OK\r\n\r\n")
			s.hangsUp()
			s.sees(200, bodyIs(""))
		}},
	})
}

func TestReuse(t *testing.T) {
	const stale, kept = "DESIGN 6 Retry", "RELIABILITY 4"
	warm := (*stage).warm
	// replayed has the kept connection end without a byte of answer: a request that may be is sent once more.
	replayed := func(method string) func(*stage) {
		return func(s *stage) {
			n := warm(s)
			s.send(strings.Replace(post("hello"), "POST", method, 1))
			if s.gets(bodyIs("hello")).number != n {
				s.fail("the connection was not used again")
			}
			s.hangsUp()
			if s.gets(bodyIs("hello")).number == n {
				s.fail("the closed connection was used again")
			}
			s.says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			s.sees(200)
			s.fence()
		}
	}
	refused := func(method string, end func(*stage)) func(*stage) {
		return func(s *stage) {
			warm(s)
			s.send(strings.Replace(post("hello"), "POST", method, 1))
			s.gets()
			end(s)
			s.seesProblem(502, "upstream_reset")
			s.getsNothing()
		}
	}
	plays(t, world{}, []play{
		{"kept", kept, func(s *stage) {
			n := warm(s)
			for range 5 {
				if warm(s) != n {
					s.fail("another connection was made")
				}
			}
		}},
		{"kept for another client", kept, func(s *stage) {
			n := warm(s)
			s.dial()
			if warm(s) != n {
				s.fail("another connection was made")
			}
		}},
		{"kept though the client closes", kept, func(s *stage) {
			s.send(get("Connection: close"))
			n := s.gets().number
			s.says(ok)
			s.sees(200)
			s.seesClosed()
			if s.fence() != n {
				s.fail("another connection was made")
			}
		}},
		{"stray bytes while it waits", kept, func(s *stage) {
			n := warm(s)
			s.says("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			if warm(s) == n {
				s.fail("the poisoned connection was used again")
			}
		}},
		{"a single stray byte while it waits", kept, func(s *stage) {
			n := warm(s)
			s.says("\r")
			if warm(s) == n {
				s.fail("the poisoned connection was used again")
			}
		}},
		{"408 and close while it waits", kept, func(s *stage) {
			n := warm(s)
			s.says("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
			s.hangsUp()
			if warm(s) == n {
				s.fail("the closed connection was used again")
			}
		}},
		{"closed while it waits", kept, func(s *stage) {
			n := warm(s)
			s.hangsUp()
			if warm(s) == n {
				s.fail("the closed connection was used again")
			}
		}},
		{"closed while it waits, POST", kept, func(s *stage) {
			warm(s)
			s.hangsUp()
			s.send(post("hello"))
			s.gets(bodyIs("hello"))
			s.says(ok)
			s.sees(200)
		}},
		{"reset while it waits", kept, func(s *stage) {
			n := warm(s)
			s.resets()
			if warm(s) == n {
				s.fail("the closed connection was used again")
			}
		}},
		{"stray bytes of several connections", kept, func(s *stage) {
			one, two := s.dial(), s.dial()
			var servers []*arrival
			for _, c := range []*peer{one, two} {
				s.c = c
				s.send(get())
				servers = append(servers, s.gets())
			}
			for i, c := range []*peer{one, two} {
				s.c, s.a = c, servers[i]
				s.says(ok + "stray")
				s.sees(200, bodyIs("ok"))
			}
			if n := warm(s); n != 3 {
				s.fail("connection %d was used", n)
			}
		}},
		{"stale GET", stale, replayed("GET")},
		{"stale HEAD", stale, replayed("HEAD")},
		{"stale PUT", stale, replayed("PUT")},
		{"stale DELETE", stale, replayed("DELETE")},
		{"stale OPTIONS", stale, replayed("OPTIONS")},
		{"stale POST", "RELIABILITY 5", refused("POST", (*stage).hangsUp)},
		{"stale PATCH", "RELIABILITY 5", refused("PATCH", (*stage).hangsUp)},
		{"stale of another method", "RELIABILITY 5", refused("get", (*stage).hangsUp)},
		{"stale POST by reset", "RELIABILITY 5", refused("POST", (*stage).resets)},
		{"GET after a byte of answer", "RELIABILITY 5", refused("GET", func(s *stage) { s.says("H"); s.hangsUp() })},
		{"GET after an interim answer", "RELIABILITY 5", refused("GET", func(s *stage) { s.says("HTTP/1.1 100 Continue\r\n\r\n"); s.hangsUp() })},
		{"GET on a fresh connection", "RELIABILITY 5", func(s *stage) {
			s.send(get())
			s.gets()
			s.hangsUp()
			s.seesProblem(502, "upstream_reset")
			s.getsNothing()
		}},
		{"stale only once", "RELIABILITY 5", func(s *stage) {
			n := warm(s)
			s.send(get())
			s.gets()
			s.hangsUp()
			if s.gets().number == n {
				s.fail("the closed connection was used again")
			}
			s.hangsUp()
			s.seesProblem(502, "upstream_reset")
			s.getsNothing()
		}},
		{"stale with a long body", "RELIABILITY 5", func(s *stage) {
			warm(s)
			s.send("PUT /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("b", 100000))
			s.getsHead()
			s.hangsUp()
			s.seesHead(502, value("X-MLProxy-Error", "upstream_reset"))
			s.getsNothing()
		}},
		{"invalid answer to GET", "RELIABILITY 5", func(s *stage) {
			warm(s)
			s.send(get())
			s.gets()
			s.says("nonsense\r\n\r\n")
			s.seesProblem(502, "upstream_invalid")
			s.getsNothing()
		}},
	})
}
