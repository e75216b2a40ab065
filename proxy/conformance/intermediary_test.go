package conformance

import (
	"fmt"
	"strings"
	"testing"
)

// play is a case that takes more than one request and its answer.
type play struct {
	name, rfc string
	act       func(s *stage)
}

// plays lets plays run side by side, before one binary.
func plays(t *testing.T, w world, cases []play) {
	t.Parallel()
	th := open(t, w, len(cases))
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.act(th.stage(t, i, c.rfc))
		})
	}
}

func TestHopByHop(t *testing.T) {
	const rfc = "RFC 9110 7.6.1"
	gone := func(name string, lines []string, names ...string) request {
		return request{name: name, rfc: rfc, send: get(lines...), want: "200", got: []check{lacks(names...)}}
	}
	stays := func(name string, lines []string, want ...string) request {
		c := request{name: name, rfc: rfc, send: get(lines...), want: "200"}
		for _, line := range want {
			c.got = append(c.got, has(line))
		}
		return c
	}
	l := func(lines ...string) []string { return lines }
	answers := func(name, head string, sees ...check) request {
		return request{
			name: name, rfc: rfc, send: get(), want: "200", answer: "HTTP/1.1 200 OK\r\n" + head + "Content-Length: 2\r\n\r\nok",
			sees: sees,
		}
	}
	requests(t, world{}, []request{
		gone("Connection keep-alive", l("Connection: keep-alive"), "Connection"),
		gone("Keep-Alive", l("Keep-Alive: timeout=5"), "Keep-Alive"),
		gone("Proxy-Connection", l("Proxy-Connection: keep-alive"), "Proxy-Connection"),
		gone("Proxy-Authorization", l("Proxy-Authorization: Basic x"), "Proxy-Authorization"),
		gone("TE", l("TE: trailers, deflate", "Connection: TE"), "TE"),
		gone("TE not nominated", l("TE: trailers"), "TE"),
		gone("Trailer", l("Trailer: X-Sum"), "Trailer"),
		gone("Upgrade alone", l("Upgrade: foo/2"), "Upgrade"),
		gone("Upgrade to TLS", l("Connection: Upgrade", "Upgrade: TLS/1.0"), "Upgrade"),
		gone("Upgrade to h2c", l("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), "Upgrade", "HTTP2-Settings"),
		gone("Upgrade to h2c, not nominated", l("Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), "Upgrade"),
		gone("nominated", l("Connection: X-A", "X-A: b"), "X-A"),
		gone("nominated in other case", l("connection: x-a", "X-A: b"), "X-A"),
		gone("nominated in a list", l("Connection: close ,\tX-A,, X-B", "X-A: b", "x-b: c"), "X-A", "X-B"),
		gone("nominated in two fields", l("Connection: X-A", "X-A: b", "Connection: X-B", "X-B: c"), "X-A", "X-B"),
		gone("nominated after its field", l("X-A: b", "Connection: X-A"), "X-A"),
		gone("nominated, several of a name", l("Connection: X-A", "X-A: b", "x-a: c"), "X-A"),
		gone("nominated Content-Type", l("Connection: Content-Type", "Content-Type: x/y"), "Content-Type"),
		gone("nominated Cache-Control", l("Connection: cache-control", "Cache-Control: no-store"), "Cache-Control"),
		gone("nominated Proxy-Authenticate", l("Connection: Proxy-Authenticate", "Proxy-Authenticate: x"), "Proxy-Authenticate"),
		gone("nominated Sec-WebSocket-Key", l("Connection: Sec-WebSocket-Key", "Sec-WebSocket-Key: x"), "Sec-WebSocket-Key"),
		gone("HTTP2-Settings", l("HTTP2-Settings: AAMAAABk"), "HTTP2-Settings"),
		gone("X-Forwarded-* that nobody vouches for", l("X-Forwarded-Port: 1", "X-Forwarded-Prefix: /x"), "X-Forwarded-Port", "X-Forwarded-Prefix"),
		gone("X_Forwarded_* and their like", l("X_Forwarded_For: 1.2.3.4", "X-Forwarded_Proto: https", "x_mlproxy_shadow: true", "X_Request_ID: a"),
			"X_Forwarded_For", "X-Forwarded_Proto", "x_mlproxy_shadow", "X_Request_ID"),
		gone("framing with underscores", l("Content_Length: 5", "Transfer_Encoding: chunked"), "Content_Length", "Transfer_Encoding"),
		gone("nominated Max-Forwards", l("Connection: Max-Forwards", "Max-Forwards: 3"), "Max-Forwards"),
		gone("nominated traceparent", l("Connection: traceparent", "traceparent: 00-x"), "traceparent"),
		gone("nominated but absent", l("Connection: X-Absent"), "Connection"),
		gone("nominated Expect", l("Connection: Expect", "Expect: 100-continue"), "Expect"),
		gone("empty Connection", l("Connection:"), "Connection"),
		gone("Connection of commas", l("Connection: ,, ,"), "Connection"),
		gone("nominates itself", l("Connection: Connection"), "Connection"),
		gone("several of one hop", l("Keep-Alive: a", "keep-alive: b", "TE: trailers", "te: gzip", "Proxy-Connection: c"), "Keep-Alive", "TE", "Proxy-Connection"),
		gone("Trailer of a request without chunks", l("Trailer: X-A", "Content-Length: 0"), "Trailer"),
		stays("other names with underscores", l("user_id: 7", "Content_Type: a"), "user_id: 7", "Content_Type: a"),
		stays("nominated Authorization", l("Connection: Authorization", "Authorization: Bearer x"), "Authorization: Bearer x"),
		stays("nominated Cookie", l("Connection: cookie", "Cookie: a=b"), "Cookie: a=b"),
		stays("nominated Host", l("Connection: HOST, close"), "Host: a.example"),
		stays("names in quotes are none", l("Connection: \"X-A\"", "X-A: b"), "X-A: b"),
		stays("Proxy-Authenticate", l("Proxy-Authenticate: x"), "Proxy-Authenticate: x"),
		stays("duplicate Content-Type", l("Content-Type: a/b", "content-type: c/d"), "Content-Type: a/b", "content-type: c/d"),
		stays("duplicate Authorization", l("Authorization: a", "Authorization: b"), "Authorization: a", "Authorization: b"),
		stays("what only looks like one hop's", l("Connection-X: a", "X-Connection: b", "Upgrade-Insecure-Requests: 1", "TEX: c"),
			"Connection-X: a", "X-Connection: b", "Upgrade-Insecure-Requests: 1", "TEX: c"),
		stays("conditions and ranges", l("If-None-Match: \"x\"", "Range: bytes=0-1", "If-Range: \"x\""), "If-None-Match: \"x\"", "Range: bytes=0-1", "If-Range: \"x\""),
		stays("nominated is not a prefix", l("Connection: X-A", "X-AB: c", "X: d"), "X-AB: c", "X: d"),
		stays("not nominated beside", l("Connection: X-A", "X-A: b", "Accept: c"), "Accept: c"),
		stays("traceparent", l("traceparent: 00-x"), "traceparent: 00-x"),
		{
			name: "X-Forwarded-For nominated", rfc: "RELIABILITY 2",
			send: get("Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, Via"), want: "200",
			got: []check{value("X-Forwarded-For", "127.0.0.1"), value("X-Forwarded-Host", "a.example"), value("X-Forwarded-Proto", scheme())},
		},
		{
			name: "X-Request-ID nominated", rfc: "RELIABILITY 2", send: get("Connection: X-Request-ID"), want: "200",
			got: []check{matches("X-Request-ID", mlproxyID)},
		},
		answers("answer Connection", "Connection: keep-alive\r\n", lacks("Connection")),
		answers("answer Keep-Alive", "Keep-Alive: timeout=5\r\n", lacks("Keep-Alive")),
		answers("answer Proxy-Connection", "Proxy-Connection: keep-alive\r\n", lacks("Proxy-Connection")),
		answers("answer Upgrade", "Connection: Upgrade\r\nUpgrade: h2c\r\n", lacks("Upgrade", "Connection")),
		answers("answer nominated", "Connection: X-A\r\nX-A: b\r\nX-B: c\r\n", lacks("X-A", "Connection"), has("X-B: c")),
		answers("answer close stays with the hop", "Connection: close\r\n", lacks("Connection")),
		answers("answer nominates Content-Length", "Connection: Content-Length\r\n", framed(length), bodyIs("ok")),
		answers("answer nominates Via", "Connection: Via\r\nVia: 1.1 there\r\n", lacks("Connection")),
		answers("answer nominates Set-Cookie", "Connection: Set-Cookie\r\nSet-Cookie: a\r\nX-B: c\r\n", lacks("Connection"), has("X-B: c")),
		answers("answer TE and Trailer", "TE: trailers\r\nTrailer: X-A\r\n", lacks("TE", "Trailer")),
		answers("answer Proxy-Authorization", "Proxy-Authorization: x\r\n", lacks("Proxy-Authorization")),
		answers("answer Connection twice", "Connection: X-A\r\nconnection: X-B\r\nX-A: 1\r\nX-B: 2\r\n", lacks("Connection", "X-A", "X-B")),
		answers("answer HTTP2-Settings and Alt-Svc pass", "Alt-Svc: h2=\":1\"\r\n", has("Alt-Svc: h2=\":1\"")),
		answers("answer WWW-Authenticate passes, twice", "WWW-Authenticate: Basic\r\nWWW-Authenticate: Digest\r\n",
			inOrder("WWW-Authenticate: Basic", "WWW-Authenticate: Digest")),
		answers("answer Proxy-Authenticate passes", "Proxy-Authenticate: Basic\r\n", has("Proxy-Authenticate: Basic")),
	})
}

func TestForwarding(t *testing.T) {
	requests(t, world{}, []request{
		{
			name: "Via on both sides", rfc: "RFC 9110 7.6.3", send: get(), want: "200", got: []check{value("Via", "1.1 mlproxy")},
			sees: []check{value("Via", "1.1 mlproxy")},
		},
		{
			name: "Via of HTTP/1.0", rfc: "RFC 9110 7.6.3", send: "GET /~ HTTP/1.0\r\nHost: a\r\n\r\n", want: "200",
			got: []check{value("Via", "1.0 mlproxy")},
		},
		{
			name: "Via of an answer of HTTP/1.0", rfc: "RFC 9110 7.6.3", send: get(), want: "200",
			answer: "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", sees: []check{value("Via", "1.0 mlproxy")},
		},
		{
			name: "Via is added behind", rfc: "RFC 9110 7.6.3", send: get("Via: 1.0 fred"), want: "200",
			got: []check{inOrder("Via: 1.0 fred", "Via: 1.1 mlproxy")},
		},
		{
			name: "Via of the model server stays", rfc: "RFC 9110 7.6.3", send: get(), want: "200",
			answer: "HTTP/1.1 200 OK\r\nVia: 1.1 x\r\nContent-Length: 0\r\n\r\n",
			sees:   []check{inOrder("Via: 1.1 x", "Via: 1.1 mlproxy")},
		},
		{
			name: "X-Forwarded set", rfc: "DESIGN 6 Headers", send: get(), want: "200",
			got: []check{value("X-Forwarded-For", "127.0.0.1"), value("X-Forwarded-Proto", scheme()), value("X-Forwarded-Host", "a.example")},
		},
		{
			name: "X-Forwarded forged", rfc: "DESIGN 6 Headers",
			send: get("X-Forwarded-For: 1.2.3.4", "x-forwarded-for: 5.6.7.8", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil"), want: "200",
			got: []check{value("X-Forwarded-For", "127.0.0.1"), value("X-Forwarded-Proto", scheme()), value("X-Forwarded-Host", "a.example")},
		},
		{
			name: "X-Request-ID made", rfc: "DESIGN 6 Headers", send: get(), want: "200", got: []check{matches("X-Request-ID", mlproxyID)},
			sees: []check{matches("X-Request-ID", mlproxyID)},
		},
		{
			name: "X-Request-ID forged", rfc: "DESIGN 6 Headers", send: get("X-Request-ID: mine"), want: "200",
			got: []check{matches("X-Request-ID", mlproxyID)}, sees: []check{matches("X-Request-ID", mlproxyID)},
		},
		{
			name: "X-Request-ID of the model server is not the answer's", rfc: "DESIGN 6 Headers", send: get(), want: "200",
			answer: "HTTP/1.1 200 OK\r\nX-Request-ID: theirs\r\nContent-Length: 0\r\n\r\n",
			sees:   []check{matches("X-Request-ID", mlproxyID)},
		},
		{
			name: "X-MLProxy fields forged", rfc: "DESIGN 6 Headers",
			send: get("X-MLProxy-Pool: c1", "x-mlproxy-shadow: true", "X-MLPROXY-ERROR: x"), want: "200",
			got: []check{lacks("X-MLProxy-Pool", "X-MLProxy-Shadow", "X-MLProxy-Error")},
		},
		{
			name: "X-MLProxy-Pool on the answer", rfc: "DESIGN 6 Headers", send: get(), want: "200",
			sees: []check{matches("X-MLProxy-Pool", `c\d+`)},
		},
		{
			name: "X-MLProxy-Pool of the model server", rfc: "DESIGN 6 Headers", send: get(), want: "200",
			answer: "HTTP/1.1 200 OK\r\nX-MLProxy-Pool: theirs\r\nContent-Length: 0\r\n\r\n",
			sees:   []check{matches("X-MLProxy-Pool", `c\d+`)},
		},
		{
			name: "X-MLProxy-Error of the model server", rfc: "DESIGN 6 Errors", send: get(), want: "503",
			answer: "HTTP/1.1 503 Busy\r\nx-mlproxy-error: draining\r\nX-MLProxy-Other: theirs\r\nContent-Length: 0\r\n\r\n",
			sees:   []check{lacks("X-MLProxy-Error"), has("X-MLProxy-Other: theirs")},
		},
		{
			name: "Max-Forwards of GET", rfc: "RFC 9110 7.6.2", send: get("Max-Forwards: 0"), want: "200",
			got: []check{has("Max-Forwards: 0")},
		},
		{
			name: "Max-Forwards of OPTIONS", rfc: "RFC 9110 7.6.2",
			send: "OPTIONS /~ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n", want: "200", got: []check{value("Max-Forwards", "2")},
		},
		{
			name: "Max-Forwards beyond all numbers", rfc: "RFC 9110 7.6.2",
			send: "OPTIONS /~ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 99999999999999999999\r\n\r\n", want: "200",
			got: []check{value("Max-Forwards", "18446744073709551614")},
		},
		{
			name: "client's close stays with the hop", rfc: "RFC 9112 9.6", send: get("Connection: close"), want: "200",
			sees: []check{has("Connection: close")},
		},
		{name: "connection goes on unless said", rfc: "RFC 9112 9.3", send: get(), want: "200", sees: []check{lacks("Connection")}},
	})
}

func TestMaxForwardsEndsHere(t *testing.T) {
	plays(t, world{}, []play{
		{"OPTIONS", "RFC 9110 7.6.2", func(s *stage) {
			s.send("OPTIONS /~ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
			s.answered("200|204")
			s.getsNothing()
		}},
		{"TRACE", "RFC 9110 7.6.2", func(s *stage) {
			s.send("TRACE /~ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
			s.answered("200|405|501")
			s.getsNothing()
		}},
		{"twice", "RFC 9110 7.6.2", func(s *stage) {
			s.send("OPTIONS /~ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\nMax-Forwards: 0\r\n\r\n")
			s.refused("400", false, says("twice"))
			s.getsNothing()
		}},
		{"malformed", "RFC 9110 7.6.2", func(s *stage) {
			s.send("OPTIONS /~ HTTP/1.1\r\nHost: a\r\nMax-Forwards: -1\r\n\r\n")
			s.refused("400", false)
			s.getsNothing()
		}},
	})
}

// answered waits for an answer that the proxy gives by itself, good or bad.
func (s *stage) answered(statuses string) {
	s.t.Helper()
	m, err := s.c.readHead(false, s.head)
	if err != nil || !strings.Contains(statuses, m.first[9:12]) {
		s.fail("the client reads %q (%v) in place of %s", m.first, err, statuses)
	}
	if err := m.rest(s.c); err != nil {
		s.fail("%v", err)
	}
}

func TestTrusted(t *testing.T) {
	requests(t, world{more: "trusted_proxies: [127.0.0.0/8]"}, []request{
		{
			name: "X-Forwarded-For is continued", rfc: "DESIGN 6 Headers", send: get("X-Forwarded-For: 1.2.3.4"), want: "200",
			got: []check{value("X-Forwarded-For", "1.2.3.4, 127.0.0.1")},
		},
		{
			name: "X-Forwarded-For of several fields", rfc: "DESIGN 6 Headers",
			send: get("X-Forwarded-For: 1.2.3.4, 5.6.7.8", "x-forwarded-for: 9.9.9.9"), want: "200",
			got: []check{value("X-Forwarded-For", "1.2.3.4, 5.6.7.8, 9.9.9.9, 127.0.0.1")},
		},
		{
			name: "X-Forwarded-Proto and -Host are believed", rfc: "DESIGN 6 Headers",
			send: get("X-Forwarded-Proto: https", "X-Forwarded-Host: front"), want: "200",
			got: []check{has("X-Forwarded-Proto: https"), has("X-Forwarded-Host: front"), value("X-Forwarded-Proto", "https"), value("X-Forwarded-Host", "front")},
		},
		{
			name: "X-Forwarded-Proto and -Host are made up for", rfc: "DESIGN 6 Headers", send: get(), want: "200",
			got: []check{value("X-Forwarded-Proto", scheme()), value("X-Forwarded-Host", "a.example")},
		},
		{
			name: "X_Forwarded is theirs to send", rfc: "DESIGN 6 Headers", send: get("X_Forwarded_Foo: 1"), want: "200", got: []check{has("X_Forwarded_Foo: 1")},
		},
		{
			name: "X_Forwarded nominated", rfc: "9110 7.6.1", send: get("Connection: X_Forwarded_Foo", "X_Forwarded_Foo: 1"), want: "200",
			got: []check{lacks("X_Forwarded_Foo")},
		},
		{
			name: "X-Forwarded nominated", rfc: "RELIABILITY 2",
			send: get("Connection: X-Forwarded-For, X-Forwarded-Proto", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https"), want: "200",
			got: []check{value("X-Forwarded-For", "1.2.3.4, 127.0.0.1"), value("X-Forwarded-Proto", "https")},
		},
		{
			name: "X-Request-ID is kept", rfc: "DESIGN 6 Headers", send: get("X-Request-ID: mine"), want: "200",
			got: []check{value("X-Request-ID", "mine")}, sees: []check{value("X-Request-ID", "mine")},
		},
		{
			name: "X-Request-ID empty", rfc: "DESIGN 6 Headers", send: get("X-Request-ID:"), want: "200",
			got: []check{matches("X-Request-ID", mlproxyID)},
		},
		{
			name: "X-Request-ID too long", rfc: "DESIGN 6 Headers", send: get("X-Request-ID: " + strings.Repeat("x", 500)), want: "200",
			got: []check{matches("X-Request-ID", mlproxyID)},
		},
		{
			name: "X-Request-ID twice", rfc: "DESIGN 6 Headers", send: get("X-Request-ID: a", "X-Request-ID: b"), want: "200",
			got: []check{matches("X-Request-ID", "a|"+mlproxyID)},
		},
		{
			name: "X-Request-ID with quotes, of a refusal", rfc: "RFC 9457",
			send: get("X-Request-ID: a\"b\\c", "Max-Forwards: 0", "Expect: x"), want: "417",
			sees: []check{value("X-Request-ID", "a\"b\\c")},
		},
		{
			name: "X-Request-ID of other bytes", rfc: "RELIABILITY 21", send: get("X-Request-ID: a\xff"), want: "200",
			got: []check{matches("X-Request-ID", mlproxyID)},
		},
		{
			name: "X-Request-ID of two words", rfc: "RELIABILITY 21", send: get("X-Request-ID: a\tb"), want: "200",
			got: []check{matches("X-Request-ID", mlproxyID)},
		},
		{
			name: "X-MLProxy fields are kept", rfc: "DESIGN 6 Headers", send: get("X-MLProxy-Class: gold"), want: "200",
			got: []check{has("X-MLProxy-Class: gold")},
		},
	})
}

func TestHostOfPool(t *testing.T) {
	requests(t, world{pool: "host: models.internal"}, []request{
		{
			name: "the pool's", rfc: "DESIGN 5 pools", send: get(), want: "200",
			got: []check{value("Host", "models.internal"), value("X-Forwarded-Host", "a.example")},
		},
		{
			name: "the pool's over absolute form", rfc: "DESIGN 5 pools",
			send: "GET http://b.example/~ HTTP/1.1\r\nHost: a\r\n\r\n", want: "200",
			got: []check{value("Host", "models.internal"), value("X-Forwarded-Host", "b.example")},
		},
		{
			name: "the pool's for HTTP/1.0", rfc: "DESIGN 5 pools", send: "GET /~ HTTP/1.0\r\n\r\n", want: "200",
			got: []check{value("Host", "models.internal"), lacks("X-Forwarded-Host")},
		},
	})
}

func TestExpect(t *testing.T) {
	const rfc = "RFC 9110 10.1.1"
	head := func(lines ...string) string {
		return "POST /~ HTTP/1.1\r\nHost: a\r\n" + strings.Join(append(lines, "\r\n"), "\r\n")
	}
	// asked plays an exchange in which the client waits for a 100 before it sends the body.
	asked := func(head, body string) func(s *stage) {
		return func(s *stage) {
			s.send(head)
			s.seesHead(100)
			s.send(body)
			s.gets(bodyIs("hello"), lacks("Expect"))
			s.says(ok)
			s.sees(200)
			s.fence()
		}
	}
	refused := func(head, status string) func(s *stage) {
		return func(s *stage) {
			s.send(head)
			s.refused(status, false)
			s.getsNothing()
		}
	}
	plays(t, world{}, []play{
		{"asked for", rfc, asked(head("Expect: 100-continue", "Content-Length: 5"), "hello")},
		{"asked for in other case", rfc, asked(head("eXpect: 100-Continue", "Content-Length: 5"), "hello")},
		{"asked for in chunks", rfc, asked(head("Expect: 100-continue", "Transfer-Encoding: chunked"), "5\r\nhello\r\n0\r\n\r\n")},
		{"unknown", rfc, refused(head("Expect: 200-maybe", "Content-Length: 5"), "417")},
		{"unknown beside the known", rfc, refused(head("Expect: 100-continue, x", "Content-Length: 5"), "417")},
		{"unknown in a second field", rfc, refused(head("Expect: 100-continue", "Expect: x", "Content-Length: 5"), "417")},
		{"empty", rfc, refused(head("Expect:", "Content-Length: 5"), "417")},
		{"unknown on GET", rfc, refused(get("Expect: x"), "417")},
		{"no route", rfc, func(s *stage) {
			s.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
			s.refused("404", false)
			s.getsNothing()
		}},
		{"bad framing", rfc, refused(head("Expect: 100-continue", "Content-Length: 5", "Transfer-Encoding: chunked"), "400")},
		{"without body", rfc, func(s *stage) {
			s.send(get("Expect: 100-continue"))
			s.gets(lacks("Expect"), bodyIs(""))
			s.says(ok)
			s.sees(200)
		}},
		{"body is there already", rfc, func(s *stage) {
			s.send(post("hello", "Expect: 100-continue"))
			s.gets(bodyIs("hello"), lacks("Expect"))
			s.says(ok)
			s.sees(200)
		}},
		{"of HTTP/1.0 is ignored", rfc, func(s *stage) {
			s.send("POST /~ HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
			s.send("hello")
			s.gets(bodyIs("hello"))
			s.says(ok)
			s.sees(200)
			s.seesClosed()
		}},
		{"100 of the model server is not passed twice", rfc, func(s *stage) {
			s.send(head("Expect: 100-continue", "Content-Length: 5"))
			s.seesHead(100)
			s.send("hello")
			s.gets()
			s.says("HTTP/1.1 100 Continue\r\n\r\n" + ok)
			s.sees(200)
		}},
		{"client leaves after the 100", "RELIABILITY 3", func(s *stage) {
			s.send(head("Expect: 100-continue", "Content-Length: 5"))
			s.seesHead(100)
			s.send("hel")
			s.leaves()
			s.getsNothing()
		}},
		{"large body whose client leaves after the 100", "RELIABILITY 3", func(s *stage) {
			s.send(head("Expect: 100-continue", "Content-Length: 100000"))
			s.seesHead(100)
			s.getsHead(lacks("Expect"))
			s.send("hel")
			s.leaves()
			s.getsCut()
		}},
		{"large body and no model server", rfc, func(s *stage) {
			_ = s.model.Close()
			s.send(head("Expect: 100-continue", "Content-Length: 100000"))
			s.refusedBy("upstream_connect", 502)
		}},
		{"early refusal by the model server", rfc, func(s *stage) {
			s.send(head("Expect: 100-continue", "Content-Length: 100000"))
			s.seesHead(100)
			s.getsHead()
			s.says("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
			s.sees(413, has("Connection: close"))
		}},
		{"asked twice in a row", rfc, func(s *stage) {
			for range 2 {
				asked(head("Expect: 100-continue", "Content-Length: 5"), "hello")(s)
			}
		}},
		{"two fields of the same", rfc, asked(head("Expect: 100-continue", "expect: 100-continue", "Content-Length: 5"), "hello")},
		{"chunks malformed after the 100", "RFC 9112 7.1", func(s *stage) {
			s.send(head("Expect: 100-continue", "Transfer-Encoding: chunked"))
			s.seesHead(100)
			s.send("z\r\n")
			s.getsHead()
			s.getsCut()
			s.refused("400", false)
		}},
		{"of a body of no bytes", rfc, func(s *stage) {
			s.send(head("Expect: 100-continue", "Content-Length: 0"))
			s.gets(lacks("Expect"), bodyIs(""))
			s.says(ok)
			s.sees(200)
		}},
		{"large body", rfc, func(s *stage) {
			s.send(head("Expect: 100-continue", "Content-Length: 100000"))
			s.seesHead(100)
			s.send(strings.Repeat("b", 100000))
			s.gets(bodyIs(strings.Repeat("b", 100000)))
			s.says(ok)
			s.sees(200)
		}},
	})
}

func TestPipelining(t *testing.T) {
	const rfc = "RFC 9112 9.3.2"
	answer := func(body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	numbered := func(i int) string { return strings.Replace(get(), "/~", fmt.Sprintf("/~%d", i), 1) }
	plays(t, world{}, []play{
		{"two", rfc, func(s *stage) {
			s.send(numbered(1) + numbered(2))
			for i := 1; i <= 2; i++ {
				s.gets(first(fmt.Sprintf("GET /~%d HTTP/1.1", i)))
				s.says(answer(fmt.Sprint(i)))
				s.sees(200, bodyIs(fmt.Sprint(i)))
			}
		}},
		{"many", rfc, func(s *stage) {
			all := ""
			for i := range 50 {
				all += numbered(i)
			}
			s.send(all)
			for i := range 50 {
				s.gets(first(fmt.Sprintf("GET /~%d HTTP/1.1", i)))
				s.says(answer(fmt.Sprint(i)))
			}
			for i := range 50 {
				s.sees(200, bodyIs(fmt.Sprint(i)))
			}
		}},
		{"with bodies", rfc, func(s *stage) {
			s.send(post("one") + chunks("3\r\ntwo\r\n0\r\n\r\n") + post("") + get())
			for _, body := range []string{"one", "two", "", ""} {
				s.gets(bodyIs(body))
				s.says(answer("<" + body + ">"))
				s.sees(200, bodyIs("<"+body+">"))
			}
		}},
		{"in pieces that cut heads", rfc, func(s *stage) {
			both := post("one") + post("two")
			s.send(both[:len(both)-30])
			s.gets(bodyIs("one"))
			s.says(ok)
			s.sees(200)
			s.send(both[len(both)-30:])
			s.gets(bodyIs("two"))
			s.says(ok)
			s.sees(200)
		}},
		{"CRLF between", "RFC 9112 2.2", func(s *stage) {
			s.send(post("one") + "\r\n" + get())
			for range 2 {
				s.gets()
				s.says(ok)
				s.sees(200)
			}
		}},
		{"nothing after close", "RFC 9112 9.6", func(s *stage) {
			s.send(get("Connection: close") + get("X-A: second"))
			s.gets(lacks("X-A"))
			s.says(ok)
			s.sees(200, has("Connection: close"))
			s.seesClosed()
			s.getsNothing()
		}},
		{"nothing after HTTP/1.0", "RFC 9112 9.3", func(s *stage) {
			s.send("GET /~ HTTP/1.0\r\n\r\n" + get("X-A: second"))
			s.gets(lacks("X-A"))
			s.says(ok)
			s.sees(200)
			s.seesClosed()
			s.getsNothing()
		}},
		{"a bad one after a good one", rfc, func(s *stage) {
			s.send(get() + "GET /~ HTTP/1.1\r\n\r\n")
			s.gets()
			s.says(ok)
			s.sees(200)
			s.refused("400", false)
			s.getsNothing()
		}},
		{"nothing after a bad one", "RELIABILITY 1", func(s *stage) {
			s.send("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get())
			s.refused("400", false)
			s.getsNothing()
		}},
		{"smuggled in a body", "RELIABILITY 1", func(s *stage) {
			inner := strings.ReplaceAll(get("X-A: smuggled"), "/~", s.base)
			s.send(post(inner) + get())
			s.gets(bodyIs(inner))
			s.says(ok)
			s.sees(200)
			s.gets(lacks("X-A"))
			s.says(ok)
			s.sees(200)
		}},
		{"HEAD and GET", rfc, func(s *stage) {
			s.send(strings.Replace(get(), "GET", "HEAD", 1))
			s.gets()
			s.says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
			s.sees(200, has("Content-Length: 9"))
			s.send(get())
			s.gets()
			s.says(ok)
			s.sees(200, bodyIs("ok"))
		}},
	})
}

func TestVersion10(t *testing.T) {
	const rfc, old = "RFC 9112 9.3", "GET /~ HTTP/1.0\r\nHost: a\r\n\r\n"
	const kept = "GET /~ HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
	plays(t, world{}, []play{
		{"closes", rfc, func(s *stage) {
			s.send(old)
			s.gets()
			s.says(ok)
			s.sees(200, bodyIs("ok"), lacks("Transfer-Encoding"))
			s.seesClosed()
		}},
		{"keep-alive asked for", "RFC 9112 C.2.2", func(s *stage) {
			for range 2 {
				s.send(kept)
				s.gets(lacks("Connection"))
				s.says(ok)
				s.sees(200, bodyIs("ok"), has("Connection: keep-alive"))
			}
		}},
		{"keep-alive in a list", "RFC 9112 C.2.2", func(s *stage) {
			s.send(strings.Replace(kept, "keep-alive", "X-A, Keep-Alive", 1))
			s.gets()
			s.says(ok)
			s.sees(200, has("Connection: keep-alive"))
		}},
		{"keep-alive and close", rfc, func(s *stage) {
			s.send(strings.Replace(kept, "keep-alive", "keep-alive, close", 1))
			s.gets()
			s.says(ok)
			s.sees(200)
			s.seesClosed()
		}},
		{"no chunks", "RFC 9112 6.1", func(s *stage) {
			s.send(old)
			s.gets()
			s.says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")
			s.sees(200, framed(toClose), bodyIs("ok"))
		}},
		{"no chunks in spite of keep-alive", "RFC 9112 6.1", func(s *stage) {
			s.send(kept)
			s.gets()
			s.says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
			s.sees(200, framed(toClose), bodyIs("ok"), has("Connection: close"))
		}},
		{"until close in spite of keep-alive", "RFC 9112 6.3", func(s *stage) {
			s.send(kept)
			s.gets()
			s.says("HTTP/1.1 200 OK\r\n\r\nok")
			s.hangsUp()
			s.sees(200, framed(toClose), bodyIs("ok"))
		}},
		{"no interim answers", "RFC 9110 15.2", func(s *stage) {
			s.send(old)
			s.gets()
			s.says("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok)
			s.sees(200)
		}},
		{"chunks cut off", "RELIABILITY 3", func(s *stage) {
			s.send(old)
			s.gets()
			s.says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
			s.seesHead(200, framed(toClose))
			s.seesPiece("ok")
			s.hangsUp()
			s.seesBroken()
		}},
		{"length cut off", "RELIABILITY 3", func(s *stage) {
			s.send(old)
			s.gets()
			s.says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
			s.hangsUp()
			s.seesBroken()
		}},
		{"HEAD", "RFC 9110 9.3.2", func(s *stage) {
			s.send("HEAD /~ HTTP/1.0\r\nHost: a\r\n\r\n")
			s.gets()
			s.says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
			s.sees(200, has("Content-Length: 9"))
			s.seesClosed()
		}},
		{"a body of it", rfc, func(s *stage) {
			s.send("POST /~ HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
			s.gets(bodyIs("hello"))
			s.says(ok)
			s.sees(200)
			s.seesClosed()
		}},
	})
}

func TestProblems(t *testing.T) {
	plays(t, world{route: "timeout: 300ms", limits: "read_header_timeout: 300ms"}, []play{
		{"no route", "DESIGN 6 Errors", func(s *stage) {
			s.send("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
			s.refused("404", true)
			s.send(get())
			s.gets()
			s.says(ok)
			s.sees(200)
		}},
		{"no route for a body that is there", "DESIGN 6 Errors", func(s *stage) {
			s.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + get())
			s.refused("404", true)
			s.gets()
			s.says(ok)
			s.sees(200)
		}},
		{"no route for chunks that are there", "DESIGN 6 Errors", func(s *stage) {
			s.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: b\r\n\r\n" + get())
			s.refused("404", true)
			s.gets()
			s.says(ok)
			s.sees(200)
		}},
		{"no route for chunks that are malformed", "RFC 9112 9.3", func(s *stage) {
			s.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n" + get())
			s.refused("404|400", false)
			s.getsNothing()
		}},
		{"no route for a body that is not", "RFC 9112 9.3", func(s *stage) {
			s.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
			s.refused("404", false)
			s.getsNothing()
		}},
		{"HEAD without body", "RFC 9110 9.3.2", func(s *stage) {
			s.send("HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
			s.sees(404, value("X-MLProxy-Error", "no_route"), value("Content-Type", "application/problem+json"), matches("Content-Length", `\d+`))
			s.send(get())
			s.gets()
			s.says(ok)
			s.sees(200)
		}},
		{"HTTP/1.0", "DESIGN 6 Errors", func(s *stage) {
			s.send("GET /nowhere HTTP/1.0\r\n\r\n")
			s.refused("404", true)
			s.seesClosed()
		}},
		{"close asked for", "RFC 9112 9.6", func(s *stage) {
			s.send("GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			s.refused("404", false)
		}},
		{"target is not quoted", "RELIABILITY 21", func(s *stage) {
			s.send("GET /<script>\" HTTP/1.1\r\nHost: a\r\n\r\n")
			m := s.sees(404)
			if strings.Contains(string(m.body), "script") {
				s.fail("the problem quotes the target: %s", m.body)
			}
		}},
		{"model server does not answer", "DESIGN 6 Errors", func(s *stage) {
			s.send(get())
			s.gets()
			s.refused("504", true, value("X-MLProxy-Error", "upstream_timeout"))
			s.freed(patience)
		}},
		{"model server does nothing but hint", "DESIGN 5 timeout", func(s *stage) {
			s.send(get())
			s.gets()
			s.says(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 5))
			for range 5 {
				s.seesHead(103)
			}
			s.refused("504", true)
			s.freed(patience)
		}},
		{"no connection", "DESIGN 6 Errors", func(s *stage) {
			_ = s.model.Close()
			s.send(get())
			s.seesProblem(502, "upstream_connect")
		}},
		{"no connection, for POST", "DESIGN 6 Errors", func(s *stage) {
			_ = s.model.Close()
			s.send(post("hello"))
			s.seesProblem(502, "upstream_connect")
		}},
		{"head does not come", "RELIABILITY 17", func(s *stage) {
			s.send("GET /~ HTTP/1.1\r\nHost:")
			s.refused("408", false)
			s.getsNothing()
		}},
		{"head breaks off", "RFC 9112 8", func(s *stage) {
			s.send("GET /~ HTTP/1.1\r\nHost: a\r\n")
			s.stops()
			s.seesNothingGood()
			s.getsNothing()
		}},
		{"nothing comes", "RFC 9112 9.5", func(s *stage) {
			s.dial()
			s.stops()
			s.seesClosed()
		}},
	})
}

// refusedBy waits for an error of the proxy that ends the connection.
func (s *stage) refusedBy(reason string, status int) {
	s.t.Helper()
	s.sees(status, append(problem(reason), has("Connection: close"))...)
	s.seesClosed()
}

// seesProblem waits for an error of the proxy after which the connection goes on.
func (s *stage) seesProblem(status int, reason string) {
	s.t.Helper()
	s.sees(status, problem(reason)...)
}

// seesNothingGood waits for the end of the connection, before which there may be an answer of the client's fault only.
func (s *stage) seesNothingGood() {
	s.t.Helper()
	for {
		if err := s.c.more(); err != nil {
			break
		}
	}
	if in := string(s.c.in); in != "" && !strings.HasPrefix(in, "HTTP/1.1 4") {
		s.fail("the client sees %q", in)
	}
}

func TestTruncatedRequests(t *testing.T) {
	const rfc = "RELIABILITY 3"
	long := strings.Repeat("b", 200<<10)
	quiet := func(send string) func(s *stage) {
		return func(s *stage) {
			s.send(send)
			s.stops()
			s.seesNothingGood()
			s.getsNothing()
		}
	}
	plays(t, world{limits: "max_body: 1MiB"}, []play{
		{"length", rfc, quiet("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello")},
		{"length without a byte", rfc, quiet("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")},
		{"long, midway", rfc, func(s *stage) {
			s.send(fmt.Sprintf("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(long)) + long[1:])
			s.getsHead()
			s.stops()
			s.getsCut()
			s.seesNothingGood()
		}},
		{"long, by reset", rfc, func(s *stage) {
			s.send(fmt.Sprintf("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(long)) + long[1:])
			s.getsHead()
			s.vanishes()
			s.getsCut()
		}},
		{"chunks before the last", rfc, cut("5\r\nhello\r\n")},
		{"chunks in a size", rfc, cut("5\r\nhello\r\n1")},
		{"chunks in data", rfc, cut("5\r\nhello\r\n5\r\nhe")},
		{"chunks before the CRLF of data", rfc, cut("5\r\nhello\r\n5\r\nhello")},
		{"chunks in the last size", rfc, cut("5\r\nhello\r\n0")},
		{"chunks in the end", rfc, cut("5\r\nhello\r\n0\r\n")},
		{"chunks in the last CRLF", rfc, cut("5\r\nhello\r\n0\r\n\r")},
		{"chunks in a trailer", rfc, cut("5\r\nhello\r\n0\r\nX-A: 1\r\n")},
		{"chunks malformed later", "RFC 9112 7.1", func(s *stage) {
			s.send(chunks("5\r\nhello\r\n"))
			s.getsHead()
			s.getsPiece("hello")
			s.send("z\r\n")
			s.getsCut()
			s.refused("400", false)
		}},
		{"chunks too long later", "RFC 9110 15.5.14", func(s *stage) {
			s.send(chunks("5\r\nhello\r\n"))
			s.getsHead()
			s.getsPiece("hello")
			s.send("100000\r\n" + strings.Repeat("b", 1<<20) + "\r\n0\r\n\r\n")
			s.getsCut()
			s.refused("413", false)
		}},
		{"chunks with a bad trailer later", "RFC 9112 7.1.2", func(s *stage) {
			s.send(chunks("5\r\nhello\r\n"))
			s.getsHead()
			s.getsPiece("hello")
			s.send("0\r\nX A: b\r\n\r\n")
			s.getsCut()
			s.refused("400", false)
		}},
	})
}

// cut sends a chunked body that breaks off, in one piece: the model server may have seen its beginning, never its end.
func cut(raw string) func(s *stage) {
	return func(s *stage) {
		s.send(chunks(raw))
		s.getsHead()
		s.stops()
		s.getsCut()
		s.seesNothingGood()
	}
}
