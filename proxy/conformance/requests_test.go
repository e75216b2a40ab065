package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// request is a case of one client request: what is sent, and whether it is refused, or what the model server gets.
type request struct {
	name, rfc string
	send      string
	want      string  // statuses, any of which is right: "400|501"; "200" passes
	keeps     bool    // of a refused request: the connection may carry another
	got       []check // on the request as the model server gets it
	answer    string  // of the model server; "" is ok
	sees      []check // on the answer
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// get, post and chunks write requests to the case's route.
func get(lines ...string) string {
	var b strings.Builder
	b.WriteString("GET /~ HTTP/1.1\r\nHost: a.example\r\n")
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n"
}

func post(body string, lines ...string) string {
	return "POST" + strings.TrimPrefix(get(append(lines, "Content-Length: "+strconv.Itoa(len(body)))...), "GET") + body
}

func chunks(raw string, lines ...string) string {
	return "POST" + strings.TrimPrefix(get(append(lines, "Transfer-Encoding: chunked")...), "GET") + raw
}

// requests lets cases play side by side, before one binary.
func requests(t *testing.T, w world, cases []request) {
	t.Parallel()
	th := open(t, w, len(cases))
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.play(th.stage(t, i, c.rfc))
		})
	}
}

func (c *request) play(s *stage) {
	s.t.Helper()
	s.send(c.send)
	if !strings.HasPrefix(c.want, "2") && c.answer == "" {
		s.refused(c.want, c.keeps, c.sees...)
		s.getsNothing()
		return
	}
	s.gets(c.got...)
	if c.answer == "" {
		c.answer = ok
	}
	s.says(c.answer)
	n, _ := strconv.Atoi(c.want)
	s.sees(n, c.sees...)
	s.fence()
}

// reasonOf is what the documentation calls each status that the proxy answers by itself.
var reasonOf = map[int]string{
	400: "bad_request", 404: "no_route", 408: "request_timeout", 413: "body_too_large", 414: "uri_too_long", 417: "expectation",
	431: "headers_too_large", 501: "not_implemented", 505: "version_not_supported", 504: "upstream_timeout",
}

// refused waits for an answer of the proxy itself, with one of these statuses, in the form that its errors have.
func (s *stage) refused(statuses string, keeps bool, checks ...check) {
	s.t.Helper()
	m, err := s.c.readHead(false, s.head)
	if err != nil {
		s.fail("the client reads %q and then %v, in place of %s", m.first, err, statuses)
	}
	if err := m.rest(s.c); err != nil {
		s.fail("the refusal %q ends in %v", m.first, err)
	}
	if !slices.Contains(strings.Split(statuses, "|"), strconv.Itoa(m.status())) {
		s.fail("the client sees %q in place of %s: %s", m.first, statuses, m.body)
	}
	all := append(append(answerInvariants(m), problem(reasonOf[m.status()])...), checks...)
	s.hold(m, all, headChecks)
	s.hold(m, all, bodyChecks)
	if keeps {
		return
	}
	s.hold(m, []check{has("Connection: close")}, headChecks)
	s.seesClosed()
}

func TestFraming(t *testing.T) {
	five := []check{bodyIs("hello"), framed(length), value("Content-Length", "5")}
	passes := func(send string) request { return request{send: send, want: "200", got: []check{bodyIs("hello")}} }
	refused := func(send string) request { return request{send: send, want: "400"} }
	named := func(name, rfc string, r request) request { r.name, r.rfc = name, rfc; return r }
	raw := func(fields, body string) string {
		return "POST /~ HTTP/1.1\r\nHost: a.example\r\n" + fields + "\r\n\r\n" + body
	}
	const cl, te, chunk = "RFC 9112 6.2", "RFC 9112 6.1", "0\r\n\r\n"
	requests(t, world{}, []request{
		named("length", cl, request{send: post("hello"), want: "200", got: five}),
		named("length zero", cl, request{send: post(""), want: "200", got: []check{bodyIs(""), value("Content-Length", "0")}}),
		named("length on GET", "RFC 9110 9.3.1", passes("GET /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")),
		named("length on DELETE", "RFC 9110 9.3.5", passes("DELETE /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")),
		named("no length, no body", "RFC 9112 6.3", request{
			send: "POST /~ HTTP/1.1\r\nHost: a\r\n\r\n", want: "200",
			got: []check{bodyIs("")},
		}),
		named("length after HTAB", "RFC 9110 5.5", passes(raw("Content-Length:\t5\t", "hello"))),
		named("length without space", "RFC 9110 5.5", passes(raw("Content-Length:5", "hello"))),
		named("length with leading zeros", cl, passes(raw("Content-Length: 0005", "hello"))),
		named("length in other case", "RFC 9110 5.1", passes(raw("cOnTeNt-LeNgTh: 5", "hello"))),
		named("length twice, same", cl, refused(raw("Content-Length: 5\r\nContent-Length: 5", "hello"))),
		named("length twice, differing", cl, refused(raw("Content-Length: 5\r\nContent-Length: 6", "hello!"))),
		named("length twice, in other case", cl, refused(raw("Content-Length: 5\r\ncontent-length: 6", "hello!"))),
		named("length twice, apart", cl, refused(raw("Content-Length: 5\r\nX-A: b\r\nContent-Length: 0", "hello"))),
		named("length list, same", cl, refused(raw("Content-Length: 5, 5", "hello"))),
		named("length list, differing", cl, refused(raw("Content-Length: 5,6", "hello!"))),
		named("length list with empty item", cl, refused(raw("Content-Length: 5,", "hello"))),
		named("length plus", cl, refused(raw("Content-Length: +5", "hello"))),
		named("length minus", cl, refused(raw("Content-Length: -5", "hello"))),
		named("length minus zero", cl, refused(raw("Content-Length: -0", ""))),
		named("length hex", cl, refused(raw("Content-Length: 0x5", "hello"))),
		named("length hex digits", cl, refused(raw("Content-Length: a", "hellohello"))),
		named("length fraction", cl, refused(raw("Content-Length: 5.0", "hello"))),
		named("length exponent", cl, refused(raw("Content-Length: 5e0", "hello"))),
		named("length with space inside", cl, refused(raw("Content-Length: 5 5", "hello"))),
		named("length with underscore", cl, refused(raw("Content-Length: 1_0", "hellohello"))),
		named("length quoted", cl, refused(raw("Content-Length: \"5\"", "hello"))),
		named("length empty", cl, refused(raw("Content-Length:", ""))),
		named("length of other digits", cl, refused(raw("Content-Length: ٥", "hello"))),
		named("length followed by semicolon", cl, refused(raw("Content-Length: 5;", "hello"))),
		named("length beyond 64 bits", cl, request{send: raw("Content-Length: 18446744073709551621", "hello"), want: "400|413"}),
		named("length beyond signed 64 bits", cl, request{send: raw("Content-Length: 9223372036854775808", "hello"), want: "400|413"}),
		named("length at the end of 64 bits", cl, request{send: raw("Content-Length: 9223372036854775807", "hello"), want: "400|413"}),
		named("length with space before the colon", "RFC 9112 5.1", refused(raw("Content-Length : 5", "hello"))),
		named("length with HTAB before the colon", "RFC 9112 5.1", refused(raw("Content-Length\t: 5", "hello"))),
		named("length folded", "RFC 9112 5.2", refused(raw("Content-Length:\r\n 5", "hello"))),
		named("length after VT", "RFC 9110 5.5", refused(raw("Content-Length: \x0b5", "hello"))),
		named("length after NUL", "RFC 9110 5.5", refused(raw("Content-Length: \x005", "hello"))),

		named("chunked", te, request{send: chunks("5\r\nhello\r\n0\r\n\r\n"), want: "200", got: []check{bodyIs("hello")}}),
		named("chunked in capitals", te, passes(raw("Transfer-Encoding: CHUNKED", "5\r\nhello\r\n0\r\n\r\n"))),
		named("chunked without space", te, passes(raw("transfer-encoding:chunked", "5\r\nhello\r\n0\r\n\r\n"))),
		named("chunked after HTAB", te, passes(raw("Transfer-Encoding:\tchunked ", "5\r\nhello\r\n0\r\n\r\n"))),
		named("chunked on GET", te, passes("GET /~ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")),
		named("chunked nominated in Connection", "RFC 9110 7.6.1", passes(raw("Connection: transfer-encoding\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"))),
		named("length nominated in Connection", "RFC 9110 7.6.1", passes(raw("Connection: content-length\r\nContent-Length: 5", "hello"))),
		named("length and chunked", te, refused(raw("Content-Length: 5\r\nTransfer-Encoding: chunked", chunk))),
		named("chunked and length", te, refused(raw("Transfer-Encoding: chunked\r\nContent-Length: 5", chunk))),
		named("chunked and length zero", te, refused(raw("Transfer-Encoding: chunked\r\nContent-Length: 0", chunk))),
		named("chunked and length nominated", te, refused(raw("Connection: content-length\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", chunk))),
		named("length and unknown coding", te, request{send: raw("Content-Length: 5\r\nTransfer-Encoding: x", "hello"), want: "400|501"}),
		named("length and empty coding", te, refused(raw("Content-Length: 5\r\nTransfer-Encoding:", "hello"))),
		named("chunked twice in a list", te, refused(raw("Transfer-Encoding: chunked, chunked", chunk))),
		named("chunked in two fields", te, refused(raw("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", chunk))),
		named("chunked then identity in two fields", te, request{send: raw("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", chunk), want: "400|501"}),
		named("chunked is not last", te, request{send: raw("Transfer-Encoding: chunked, gzip", chunk), want: "400|501"}),
		named("chunked then identity", te, request{send: raw("Transfer-Encoding: chunked, identity", chunk), want: "400|501"}),
		named("gzip then chunked", te, request{send: raw("Transfer-Encoding: gzip, chunked", chunk), want: "400|501"}),
		named("gzip", te, request{send: raw("Transfer-Encoding: gzip", "hello"), want: "400|501"}),
		named("identity", te, request{send: raw("Transfer-Encoding: identity", "hello"), want: "400|501"}),
		named("identity then chunked", te, request{send: raw("Transfer-Encoding: identity, chunked", chunk), want: "400|501"}),
		named("unknown coding", te, request{send: raw("Transfer-Encoding: xchunked", chunk), want: "400|501"}),
		named("chunked quoted", te, request{send: raw("Transfer-Encoding: \"chunked\"", chunk), want: "400|501"}),
		named("chunked with parameter", te, request{send: raw("Transfer-Encoding: chunked;q=1", chunk), want: "400|501"}),
		named("chunked with comma", te, request{send: raw("Transfer-Encoding: chunked,", chunk), want: "400|501"}),
		named("chunked after comma", te, request{send: raw("Transfer-Encoding: ,chunked", chunk), want: "400|501"}),
		named("chunked with space inside", te, request{send: raw("Transfer-Encoding: chun ked", chunk), want: "400|501"}),
		named("chunked after VT", te, refused(raw("Transfer-Encoding: \x0bchunked", chunk))),
		named("chunked before NUL", te, refused(raw("Transfer-Encoding: chunked\x00", chunk))),
		named("chunked with obs-text", te, request{send: raw("Transfer-Encoding: chunked\xa0", chunk), want: "400|501"}),
		named("coding empty", te, request{send: raw("Transfer-Encoding:", ""), want: "400|501"}),
		named("coding folded", "RFC 9112 5.2", refused(raw("Transfer-Encoding:\r\n chunked", chunk))),
		named("coding with space before the colon", "RFC 9112 5.1", refused(raw("Transfer-Encoding : chunked", chunk))),
		named("coding in a line of bare LF", "RFC 9112 2.2", refused(raw("X: y\nTransfer-Encoding: chunked", chunk))),
		named("coding after bare CR", "RFC 9112 2.2", refused(raw("X: y\rTransfer-Encoding: chunked", chunk))),
		named("coding of HTTP/1.0", "RFC 9112 6.1", request{send: "POST /~ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", want: "400|501"}),
		named("coding with underscore is another field", "RFC 9110 5.1", request{
			send: raw("Transfer_Encoding: chunked\r\nContent-Length: 5", "hello"), want: "200",
			got: []check{bodyIs("hello"), framed(length)},
		}),
		named("length with underscore is another field", "RFC 9110 5.1", request{
			send: raw("Content_Length: 7\r\nContent-Length: 5", "hello"), want: "200",
			got: []check{bodyIs("hello"), value("Content-Length", "5")},
		}),
	})
}

func TestChunks(t *testing.T) {
	const rfc, data = "RFC 9112 7.1", "5\r\nhello\r\n"
	passes := func(name, raw string) request {
		return request{name: name, rfc: rfc, send: chunks(raw), want: "200", got: []check{bodyIs("hello"), trailers()}}
	}
	refused := func(name, raw string) request { return request{name: name, rfc: rfc, send: chunks(raw), want: "400"} }
	trailer := func(name, raw string, want ...string) request {
		return request{
			name: name, rfc: "RFC 9112 7.1.2", send: chunks(data + "0\r\n" + raw + "\r\n"), want: "200",
			got: []check{bodyIs("hello"), trailers(want...)},
		}
	}
	badTrailer := func(name, raw string) request {
		return request{name: name, rfc: "RFC 9112 7.1.2", send: chunks(data + "0\r\n" + raw + "\r\n"), want: "400|431"}
	}
	requests(t, world{}, []request{
		passes("one", data+"0\r\n\r\n"),
		passes("several", "1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n"),
		passes("size with leading zeros", "0005\r\nhello\r\n000\r\n\r\n"),
		passes("extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n"),
		passes("extension quoted", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"),
		passes("extension with an escaped quote", "5;a=\"b\\\"c\"\r\nhello\r\n0\r\n\r\n"),
		passes("extension with spaces", "5; a = b \r\nhello\r\n0\r\n\r\n"),
		refused("extension after a space", "5 ;a\r\nhello\r\n0\r\n\r\n"),
		{
			name: "size in hex", rfc: rfc, send: chunks("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), want: "200",
			got: []check{bodyIs("01234567890123456789")},
		},
		{name: "size zero alone", rfc: rfc, send: chunks("0\r\n\r\n"), want: "200", got: []check{bodyIs("")}},
		{
			name: "CRLF is data", rfc: rfc, send: chunks("9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n"), want: "200",
			got: []check{bodyIs("\r\n0\r\n\r\n\r\n")},
		},
		refused("size missing", "\r\nhello\r\n0\r\n\r\n"),
		refused("size not hex", "g\r\nhello\r\n0\r\n\r\n"),
		refused("size 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
		refused("size plus", "+5\r\nhello\r\n0\r\n\r\n"),
		refused("size minus", "-5\r\nhello\r\n0\r\n\r\n"),
		refused("size after space", " 5\r\nhello\r\n0\r\n\r\n"),
		refused("size before space", "5 \r\nhello\r\n0\r\n\r\n"),
		refused("size with underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
		refused("size with comma", "5,5\r\nhello\r\n0\r\n\r\n"),
		refused("size of 64 bits and more", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
		refused("size that is negative in 64 bits", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
		refused("size with very many zeros", strings.Repeat("0", 5000)+"5\r\nhello\r\n0\r\n\r\n"),
		refused("size line ends in LF", "5\nhello\r\n0\r\n\r\n"),
		refused("size line ends in CR", "5\rhello\r\n0\r\n\r\n"),
		refused("size line ends in CRCRLF", "5\r\r\nhello\r\n0\r\n\r\n"),
		refused("data ends in LF", "5\r\nhello\n0\r\n\r\n"),
		refused("data ends in CR", "5\r\nhello\r0\r\n\r\n"),
		refused("data ends in another byte and LF", "5\r\nhellox\n0\r\n\r\n"),
		refused("data ends in CR and another byte", "5\r\nhello\rx0\r\n\r\n"),
		refused("data without end", "5\r\nhello0\r\n\r\n"),
		refused("data longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
		refused("data shorter than its size", "6\r\nhello\r\n0\r\n\r\n"),
		refused("last size line ends in LF", data+"0\n\r\n"),
		refused("end in LF", data+"0\r\n\n"),
		refused("second size bad", data+"z\r\n"),
		refused("last size is not hex", data+"0z\r\n\r\n"),
		refused("extension ends in LF", "5;a\nhello\r\n0\r\n\r\n"),
		refused("extension has CR", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
		refused("extension has NUL", "5;a\x00\r\nhello\r\n0\r\n\r\n"),
		refused("extension quotes a CRLF", "5;a=\"\r\nhello\r\n0\r\n\r\n"),
		refused("extension too long", "5;"+strings.Repeat("a", 20<<10)+"\r\nhello\r\n0\r\n\r\n"),
		refused("extensions too many", strings.Repeat("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n", 1000)+"0\r\n\r\n"),

		trailer("trailer", "X-Sum: 1\r\n", "X-Sum: 1"),
		trailer("trailers keep order and case", "x-b: 1\r\nX-A: 2\r\nx-b: 3\r\n", "x-b: 1", "X-A: 2", "x-b: 3"),
		trailer("trailer Content-Length is dropped", "Content-Length: 3\r\nX-A: 1\r\n", "X-A: 1"),
		trailer("trailer Transfer-Encoding is dropped", "Transfer-Encoding: gzip\r\nX-A: 1\r\n", "X-A: 1"),
		trailer("trailer Host is dropped", "Host: evil\r\nX-A: 1\r\n", "X-A: 1"),
		trailer("trailer Connection is dropped", "Connection: close\r\nX-A: 1\r\n", "X-A: 1"),
		trailer("trailer Authorization is dropped", "Authorization: x\r\nX-A: 1\r\n", "X-A: 1"),
		trailer("trailer X-Forwarded-For is dropped", "X-Forwarded-For: 1.2.3.4\r\nX-A: 1\r\n", "X-A: 1"),
		trailer("trailer X-MLProxy-Pool is dropped", "X-MLProxy-Pool: evil\r\nX-A: 1\r\n", "X-A: 1"),
		trailer("trailer X-Request-ID is dropped", "X-Request-ID: evil\r\nX-A: 1\r\n", "X-A: 1"),
		badTrailer("trailer without colon", "X-A\r\n"),
		badTrailer("trailer with space before the colon", "X-A : 1\r\n"),
		badTrailer("trailer with empty name", ": 1\r\n"),
		badTrailer("trailer folded", "X-A: 1\r\n 2\r\n"),
		badTrailer("trailer with NUL", "X-A: \x00\r\n"),
		badTrailer("trailer with CR", "X-A: 1\rX-B: 2\r\n"),
		badTrailer("trailer ends in LF", "X-A: 1\n"),
		badTrailer("trailer too long", "X-A: "+strings.Repeat("a", 20<<10)+"\r\n"),
		badTrailer("trailers too long together", strings.Repeat("X-A: "+strings.Repeat("a", 90)+"\r\n", 300)),
		{
			name: "trailer field is not announced onward", rfc: "RFC 9110 6.6.2",
			send: chunks(data+"0\r\nX-A: 1\r\n\r\n", "Trailer: X-A"), want: "200",
			got: []check{bodyIs("hello"), lacks("Trailer")},
		},
	})
}

func TestRequestLine(t *testing.T) {
	line := func(name, rfc, first, want string) request {
		return request{name: name, rfc: rfc, send: first + "\r\nHost: a.example\r\n\r\n", want: want}
	}
	kept := func(r request) request { r.keeps = true; return r }
	const syntax, version = "RFC 9112 3", "RFC 9112 2.3"
	cases := []request{
		line("plain", syntax, "GET /~ HTTP/1.1", "200"),
		line("method is any token", "RFC 9110 9.1", "PR0P-find!#$%&'*+.^_`|~ /~ HTTP/1.1", "200"),
		line("method keeps its case", "RFC 9110 9.1", "get /~ HTTP/1.1", "200"),
		line("method with a bracket", "RFC 9110 9.1", "GE(T /~ HTTP/1.1", "400"),
		line("method with a colon", "RFC 9110 9.1", "GET: /~ HTTP/1.1", "400"),
		line("method with obs-text", "RFC 9110 9.1", "G\xc9T /~ HTTP/1.1", "400"),
		line("method with NUL", "RFC 9110 9.1", "GET\x00 /~ HTTP/1.1", "400"),
		line("method missing", syntax, " /~ HTTP/1.1", "400"),
		line("space before the method", syntax, " GET /~ HTTP/1.1", "400"),
		line("two spaces after the method", syntax, "GET  /~ HTTP/1.1", "400"),
		line("two spaces before the version", syntax, "GET /~  HTTP/1.1", "400"),
		line("space after the version", syntax, "GET /~ HTTP/1.1 ", "400"),
		line("HTAB after the method", syntax, "GET\t/~ HTTP/1.1", "400"),
		line("HTAB before the version", syntax, "GET /~\tHTTP/1.1", "400"),
		line("VT in place of a space", syntax, "GET\x0b/~ HTTP/1.1", "400"),
		line("target missing", syntax, "GET HTTP/1.1", "400"),
		line("target empty", syntax, "GET  HTTP/1.1", "400"),
		line("version missing", version, "GET /~", "400|505"),
		line("version empty", version, "GET /~ ", "400|505"),
		line("version 0.9", version, "GET /~ HTTP/0.9", "400|505"),
		line("version 1.2", version, "GET /~ HTTP/1.2", "400|505"),
		line("version 2.0", "RFC 9110 15.6.6", "GET /~ HTTP/2.0", "505"),
		line("version 3.0", "RFC 9110 15.6.6", "GET /~ HTTP/3.0", "505"),
		line("version 2", version, "GET /~ HTTP/2", "400|505"),
		line("version 1.10", version, "GET /~ HTTP/1.10", "400"),
		line("version 11", version, "GET /~ HTTP/11", "400"),
		line("version 01.1", version, "GET /~ HTTP/01.1", "400"),
		line("version 1.1.1", version, "GET /~ HTTP/1.1.1", "400"),
		line("version 1,1", version, "GET /~ HTTP/1,1", "400"),
		line("version x.y", version, "GET /~ HTTP/x.y", "400"),
		line("version in lower case", version, "GET /~ http/1.1", "400"),
		line("version with a space", version, "GET /~ HTTP/ 1.1", "400"),
		line("version of another protocol", version, "GET /~ RTSP/1.1", "400"),
		line("version with NUL", version, "GET /~ HTTP/1.1\x00", "400"),
		{name: "preface of HTTP/2", rfc: "RFC 9113 3.4", send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", want: "400|505"},
		{name: "a TLS hello", rfc: syntax, send: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", want: "400"},
		{name: "one empty line before", rfc: "RFC 9112 2.2", send: "\r\n" + get(), want: "200"},
		{name: "empty lines before", rfc: "RFC 9112 2.2", send: "\r\n\r\n" + get(), want: "200"},
		{name: "a bare LF before", rfc: "RFC 9112 2.2", send: "\n" + get(), want: "400"},
		{name: "line ends in LF", rfc: "RFC 9112 2.2", send: "GET /~ HTTP/1.1\nHost: a\r\n\r\n", want: "400"},
		{name: "all lines end in LF", rfc: "RFC 9112 2.2", send: "GET /~ HTTP/1.1\nHost: a\n\n", want: "400"},
		{name: "line ends in CR", rfc: "RFC 9112 2.2", send: "GET /~ HTTP/1.1\rHost: a\r\n\r\n", want: "400"},

		line("target with query", "RFC 9112 3.2.1", "GET /~v2/x?a=b&c=/?d HTTP/1.1", "200"),
		line("target with empty query", "RFC 9112 3.2.1", "GET /~? HTTP/1.1", "200"),
		line("target with encoded bytes", "RFC 9112 3.2.1", "GET /~%7euser/%C3%bc%2F%41?%2e%2E/%00%zz HTTP/1.1", "200"),
		line("target with odd bytes that print", "RFC 9112 3.2.1", "GET /~!$&'()*+,=:@[]{}|^`\"<>?\\/;{}%00%zz HTTP/1.1", "200"),
		line("target of 4,000 bytes", "RFC 9112 3", "GET /~"+strings.Repeat("x", 4000)+" HTTP/1.1", "200"),
		line("query of 4,000 bytes", "RFC 9112 3", "GET /~?"+strings.Repeat("x", 4000)+" HTTP/1.1", "200"),
		line("method of 200 bytes", "RFC 9110 9.1", strings.Repeat("M", 200)+" /~ HTTP/1.1", "200"),
		line("query with obs-text", "RFC 9112 3.2", "GET /~?\xff HTTP/1.1", "400"),
		line("query with a fragment", "RFC 9112 3.2", "GET /~?a#b HTTP/1.1", "400"),
		line("absolute form of IPv6 with zone", "RFC 9112 3.2.2", "GET http://[fe80::1%25eth0]/~ HTTP/1.1", "400"),
		line("absolute form with a user and no host", "RFC 9110 4.2.4", "GET http://u@/~ HTTP/1.1", "400"),
		line("absolute form without slashes", "RFC 9112 3.2.2", "GET http:/~ HTTP/1.1", "400"),
		line("target with fragment", "RFC 9112 3.2.1", "GET /~#f HTTP/1.1", "400"),
		line("target with space", "RFC 9112 3.2", "GET /~a b HTTP/1.1", "400"),
		line("target with NUL", "RFC 9112 3.2", "GET /~\x00 HTTP/1.1", "400"),
		line("target with DEL", "RFC 9112 3.2", "GET /~\x7f HTTP/1.1", "400"),
		line("target with obs-text", "RFC 9112 3.2", "GET /~\xc3\xbc HTTP/1.1", "400"),
		line("target without slash", "RFC 9112 3.2", "GET x HTTP/1.1", "400"),
		line("target of query only", "RFC 9112 3.2", "GET ?a HTTP/1.1", "400"),
		line("authority form", "RFC 9112 3.2.3", "GET a.example:80 HTTP/1.1", "400"),
		line("asterisk form for GET", "RFC 9112 3.2.4", "GET * HTTP/1.1", "400"),
		line("CONNECT", "RFC 9110 9.3.6", "CONNECT a.example:443 HTTP/1.1", "400|405|501"),
		line("CONNECT with a path", "RFC 9110 9.3.6", "CONNECT /~ HTTP/1.1", "400|405|501"),
		kept(line("TRACE", "RFC 9110 9.3.8", "TRACE /~ HTTP/1.1", "405|501")),
		line("absolute form of another scheme", "RFC 9112 3.2.2", "GET ftp://a.example/~ HTTP/1.1", "400"),
		line("absolute form without host", "RFC 9110 4.2.1", "GET http:///~ HTTP/1.1", "400"),
		line("absolute form with user", "RFC 9110 4.2.4", "GET http://u:p@a.example/~ HTTP/1.1", "400"),
		line("absolute form with bad port", "RFC 9112 3.2.2", "GET http://a.example:x/~ HTTP/1.1", "400"),
		line("absolute form with fragment", "RFC 9112 3.2.2", "GET http://a.example/~#f HTTP/1.1", "400"),
	}
	for i := range cases {
		if c := &cases[i]; c.want == "200" {
			line, _, _ := strings.Cut(strings.TrimLeft(c.send, "\r\n"), "\r\n")
			c.got = append(c.got, first(line), has("Host: a.example"))
		}
	}
	requests(t, world{}, append(cases,
		request{
			name: "absolute form of https", rfc: "RFC 9112 3.2.2", send: "GET https://a.example/~ HTTP/1.1\r\nHost: a.example\r\n\r\n",
			want: map[bool]string{false: "400", true: "200"}[*overTLS], got: []check{first("GET /~ HTTP/1.1"), has("X-Forwarded-Proto: https")},
		},
		request{
			name: "absolute form", rfc: "RFC 9112 3.2.2",
			send: "GET http://a.example/~x?y HTTP/1.1\r\nHost: a.example\r\n\r\n", want: "200",
			got: []check{first("GET /~x?y HTTP/1.1"), has("Host: a.example")},
		},
		request{
			name: "absolute form outdoes Host", rfc: "RFC 9112 3.2.2",
			send: "GET http://b.example:81/~ HTTP/1.1\r\nHost: a.example\r\n\r\n", want: "200",
			got: []check{first("GET /~ HTTP/1.1"), value("Host", "b.example:81"), value("X-Forwarded-Host", "b.example:81")},
		},
		request{
			name: "absolute form of scheme in capitals", rfc: "RFC 9110 4.2.3",
			send: "GET HTTP://a.example/~ HTTP/1.1\r\nHost: a.example\r\n\r\n", want: "200",
			got: []check{first("GET /~ HTTP/1.1"), has("Host: a.example")},
		},
		request{
			name: "absolute form of HTTP/1.0", rfc: "RFC 9112 3.2.2", send: "GET http://b.example/~ HTTP/1.0\r\n\r\n", want: "200",
			got: []check{first("GET /~ HTTP/1.1"), value("Host", "b.example")},
		},
		request{
			name: "absolute form of IPv6", rfc: "RFC 9112 3.2.2", send: "GET http://[::1]:81/~ HTTP/1.1\r\nHost: a\r\n\r\n", want: "200",
			got: []check{first("GET /~ HTTP/1.1"), value("Host", "[::1]:81"), value("X-Forwarded-Host", "[::1]:81")},
		},
		request{
			name: "absolute form and a bad Host", rfc: "RFC 9112 3.2", send: "GET http://b.example/~ HTTP/1.1\r\nHost: a b\r\n\r\n", want: "400",
		},
		request{name: "absolute form asks for Host", rfc: "RFC 9112 3.2", send: "GET http://b.example/~ HTTP/1.1\r\n\r\n", want: "400"},
	))
}

// TestTargetsOfAll has targets that name no path of a case's own: each has a binary to itself.
func TestTargetsOfAll(t *testing.T) {
	cases := []request{
		{
			name: "asterisk form", rfc: "RFC 9112 3.2.4", send: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", want: "200",
			got: []check{first("OPTIONS * HTTP/1.1")},
		},
		{
			name: "absolute form of OPTIONS without path", rfc: "RFC 9112 3.2.4",
			send: "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", want: "200",
			got: []check{first("OPTIONS * HTTP/1.1"), value("Host", "a")},
		},
		{
			name: "absolute form without path", rfc: "RFC 9112 3.2.1", send: "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", want: "200",
			got: []check{first("GET / HTTP/1.1")},
		},
		{
			name: "absolute form with query only", rfc: "RFC 9112 3.2.1", send: "GET http://a?x=/y HTTP/1.1\r\nHost: a\r\n\r\n", want: "200",
			got: []check{first("GET /?x=/y HTTP/1.1")},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.play(open(t, world{alone: true}, 1).stage(t, 0, c.rfc))
		})
	}
}

func TestHost(t *testing.T) {
	host := func(name, value, want string) request {
		c := request{name: name, rfc: "RFC 9112 3.2", send: "GET /~ HTTP/1.1\r\nHost: " + value + "\r\n\r\n", want: want}
		if want == "200" {
			c.got = []check{has("Host: " + value)}
		}
		return c
	}
	requests(t, world{}, []request{
		host("name", "a.example", "200"),
		host("name in capitals", "A.Example", "200"),
		host("name and port", "a.example:8080", "200"),
		host("name and empty port", "a.example:", "200"),
		host("address", "127.0.0.1:80", "200"),
		host("address of IPv6", "[::1]:80", "200"),
		host("service name", "my_service-1", "200"),
		host("two names", "a b", "400"),
		host("URL", "http://a.example", "400"),
		host("path", "a.example/x", "400"),
		host("query", "a.example?x", "400"),
		host("fragment", "a.example#x", "400"),
		host("user", "u@a.example", "400"),
		host("backslash", "a.example\\x", "400"),
		host("port of letters", "a.example:http", "400"),
		host("port negative", "a.example:-1", "400"),
		host("two ports", "a.example:80:80", "400"),
		host("port alone", ":80", "400"),
		host("bracket open", "[::1", "400"),
		host("bracket with name", "[a.example]", "400"),
		host("bracket empty", "[]", "400"),
		host("behind the bracket", "[::1]x", "400"),
		host("NUL", "a\x00b", "400"),
		host("obs-text", "\xc3\xbc", "400"),
		host("quoted", "\"a\"", "400"),
		host("angle", "a<b>", "400"),
		{name: "missing", rfc: "RFC 9112 3.2", send: "GET /~ HTTP/1.1\r\nX: y\r\n\r\n", want: "400"},
		{name: "twice", rfc: "RFC 9112 3.2", send: "GET /~ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", want: "400"},
		{name: "twice, same", rfc: "RFC 9112 3.2", send: "GET /~ HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", want: "400"},
		{name: "space before the colon", rfc: "RFC 9112 5.1", send: "GET /~ HTTP/1.1\r\nHost : a\r\n\r\n", want: "400"},
		{name: "twice of HTTP/1.0", rfc: "RFC 9112 3.2", send: "GET /~ HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", want: "400"},
		{
			name: "missing of HTTP/1.0", rfc: "RFC 9112 3.2", send: "GET /~ HTTP/1.0\r\n\r\n", want: "200",
			got: []check{matches("Host", `127\.0\.0\.1:\d+`), lacks("X-Forwarded-Host")},
		},
		{name: "nominated", rfc: "RELIABILITY 2", send: get("Connection: host"), want: "200", got: []check{has("Host: a.example")}},
		{
			name: "not first", rfc: "RFC 9110 7.2", send: "GET /~ HTTP/1.1\r\nA: b\r\nHost: a\r\n\r\n", want: "200",
			got: []check{inOrder("A: b", "Host: a")},
		},
	})
}

func TestFieldSyntax(t *testing.T) {
	field := func(name, line, want string) request {
		c := request{name: name, rfc: "RFC 9112 5", send: get(line), want: want}
		if want == "200" {
			c.got = []check{has(line)}
		}
		return c
	}
	requests(t, world{}, []request{
		field("plain", "X-A: b", "200"),
		field("no space", "X-A:b", "200"),
		field("spaces around", "X-A: \t b \t ", "200"),
		field("empty value", "X-A:", "200"),
		field("value of spaces", "X-A:   ", "200"),
		field("HTAB in value", "X-A: b\tc", "200"),
		field("obs-text in value", "X-A: \xc3\xbc\xff", "200"),
		field("colons in value", "X-A: b:c::d", "200"),
		field("odd name", "x!#$%&'*+-.^_`|~9: b", "200"),
		field("long value", "X-A: "+strings.Repeat("b", 8000), "200"),
		field("no colon", "X-A", "400"),
		field("no name", ": b", "400"),
		field("space before the colon", "X-A : b", "400"),
		field("HTAB before the colon", "X-A\t: b", "400"),
		field("space in the name", "X A: b", "400"),
		field("bracket in the name", "X(A): b", "400"),
		field("obs-text in the name", "X-\xc3\xbc: b", "400"),
		field("NUL in the name", "X\x00A: b", "400"),
		field("NUL in the value", "X-A: b\x00c", "400"),
		field("CR in the value", "X-A: b\rc", "400"),
		field("CR CR LF", "X-A: b\r", "400"),
		field("BEL in the value", "X-A: \x07", "400"),
		field("VT in the value", "X-A: \x0b", "400"),
		field("DEL in the value", "X-A: \x7f", "400"),
		field("folded", "X-A: b\r\n c", "400"),
		field("folded by HTAB", "X-A: b\r\n\tc", "400"),
		field("folded empty", "X-A: b\r\n ", "400"),
		field("LF", "X-A: b\nX-B: c", "400"),
		field("LF and a framing field", "X-A: b\nContent-Length: 5", "400"),
		{name: "first line folded", rfc: "RFC 9112 2.2", send: "GET /~ HTTP/1.1\r\n X-A: b\r\nHost: a\r\n\r\n", want: "400"},
		{name: "end in LF LF", rfc: "RFC 9112 2.2", send: "GET /~ HTTP/1.1\r\nHost: a\n\n", want: "400"},
		{name: "end in CRLF LF", rfc: "RFC 9112 2.2", send: "GET /~ HTTP/1.1\r\nHost: a\r\n\n", want: "400"},
		{
			name: "order, case and duplicates", rfc: "DESIGN 6 Headers", want: "200",
			send: "GET /~ HTTP/1.1\r\nzZ: 1\r\nHost: a\r\nAccept:  text/x\r\nX-b: 2\r\nx-B: 3\r\nCookie: c=1\r\nCookie: d=2\r\nzZ: 4\r\ntraceparent: 00-1\r\n\r\n",
			got:  []check{inOrder("zZ: 1", "Host: a", "Accept:  text/x", "X-b: 2", "x-B: 3", "Cookie: c=1", "Cookie: d=2", "zZ: 4", "traceparent: 00-1")},
		},
		{
			name: "credentials pass", rfc: "DESIGN 6 Headers", send: get("Authorization: Bearer x"), want: "200",
			got: []check{has("Authorization: Bearer x")},
		},
		{
			name: "nothing is invented", rfc: "DESIGN 6 Headers", send: post("x"), want: "200",
			got: []check{lacks("Content-Type", "User-Agent", "Accept", "Accept-Encoding", "Date", "Connection")},
		},
	})
}

func TestLimits(t *testing.T) {
	fields := func(n int) []string {
		lines := make([]string, n)
		for i := range lines {
			lines[i] = fmt.Sprintf("X-%d: y", i)
		}
		return lines
	}
	pad := func(total int) string {
		return get("X-Pad: " + strings.Repeat("p", total-len(strings.ReplaceAll(get("X-Pad: "), "/~", "/c0/"))))
	}
	requests(t, world{limits: "max_header: 2KiB, max_header_count: 20, max_body: 1000B"}, []request{
		{name: "head just short enough", rfc: "RFC 6585 5", send: pad(2048), want: "200"},
		{name: "head one byte too long", rfc: "RFC 6585 5", send: pad(2049), want: "431"},
		{name: "head far too long", rfc: "RFC 6585 5", send: pad(1 << 20)[:100<<10], want: "431"},
		{
			name: "request line too long", rfc: "RFC 9112 3",
			send: "GET /~" + strings.Repeat("x", 4000) + " HTTP/1.1\r\nHost: a\r\n\r\n", want: "414",
		},
		{name: "fields just few enough", rfc: "RFC 6585 5", send: get(fields(19)...), want: "200"},
		{name: "one field too many", rfc: "RFC 6585 5", send: get(fields(20)...), want: "431"},
		{name: "body just short enough", rfc: "RFC 9110 15.5.14", send: post(strings.Repeat("b", 1000)), want: "200"},
		{name: "body one byte too long", rfc: "RFC 9110 15.5.14", send: post(strings.Repeat("b", 1001)), want: "413", keeps: true},
		{
			name: "body announced too long", rfc: "RFC 9110 15.5.14",
			send: "POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", want: "413",
		},
		{
			name: "chunks just short enough", rfc: "RFC 9110 15.5.14",
			send: chunks("3e8\r\n" + strings.Repeat("b", 1000) + "\r\n0\r\n\r\n"), want: "200",
		},
		{
			name: "chunks one byte too long", rfc: "RFC 9110 15.5.14",
			send: chunks("3e9\r\n" + strings.Repeat("b", 1001) + "\r\n0\r\n\r\n"), want: "413", keeps: true,
		},
		{
			name: "body too long is not asked for", rfc: "RFC 9110 10.1.1",
			send: "POST /~ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n", want: "413",
		},
	})
}
