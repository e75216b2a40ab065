package upstream

import (
	"fmt"
	"strings"
	"testing"
)

// read reads a request head as one does who has all of it.
func read(raw string, limit Limits) (string, *Head) {
	h := new(Head)
	n, err := HeadEnd([]byte(raw), 0, limit)
	if n > 0 {
		err = h.ReadRequest([]byte(raw[:n]), limit)
	}
	return verdict(n, err, h), h
}

// drip reads a request head as it comes byte by byte.
func drip(raw string, limit Limits) string {
	h := new(Head)
	for i := 1; i <= len(raw); i++ {
		n, err := HeadEnd([]byte(raw[:i]), i-1, limit)
		if n > 0 {
			err = h.ReadRequest([]byte(raw[:n]), limit)
		}
		if n > 0 || err != nil {
			return verdict(n, err, h)
		}
	}
	return "incomplete"
}

func verdict(n int, err *HeadError, h *Head) string {
	switch {
	case err != nil:
		return fmt.Sprint(err.Status)
	case n == 0:
		return "incomplete"
	}
	return meaning(h)
}

// In the tables | stands for CRLF, and every head ends in a blank line. Sections are of RFC 9112 unless they say 9110.
func TestReadRequest(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		if got, _ := read(crlf(raw), wide); got != want {
			t.Errorf("%q: %s; want %s", raw, got, want)
		}
		if got := drip(crlf(raw), wide); got != want {
			t.Errorf("%q byte by byte: %s; want %s", raw, got, want)
		}
	}
	// 3: the request line
	f("GET / HTTP/1.1|Host: a", "GET / 1.1 none")
	f("M-SEARCH!#$%&'*+.^_`|Host: a", "400")                                          // 3: three parts
	f("M-SEARCH!#$%&'*+.^_`~ / HTTP/1.1|Host: a", "M-SEARCH!#$%&'*+.^_`~ / 1.1 none") // 9110 5.6.2: a method is a token
	f("get / HTTP/1.1|Host: a", "get / 1.1 none")                                     // 9110 9.1: methods are case-sensitive, unknown ones no syntax error
	f("GET  / HTTP/1.1|Host: a", "400")                                               // 3: single spaces
	f("GET /  HTTP/1.1|Host: a", "400")                                               // 3
	f("GET / HTTP/1.1 |Host: a", "400")                                               // 3
	f(" GET / HTTP/1.1|Host: a", "400")                                               // 2.2: white space before the first line
	f("GET\t/\tHTTP/1.1|Host: a", "400")                                              // 3: SP, not HTAB
	f("GET /a b HTTP/1.1|Host: a", "400")                                             // 3.2: no white space in targets
	f("GET /", "400")                                                                 // 3: HTTP/0.9
	f("GET HTTP/1.1|Host: a", "400")                                                  // 3: no target
	f("/ HTTP/1.1|Host: a", "400")                                                    // 3: no method
	f("G(T / HTTP/1.1|Host: a", "400")                                                // 9110 5.6.2
	f("G\x00T / HTTP/1.1|Host: a", "400")                                             // 9110 5.6.2
	f("G\xc3T / HTTP/1.1|Host: a", "400")                                             // 9110 5.6.2
	f("GET /a\x00b HTTP/1.1|Host: a", "400")                                          // 3986 2: control bytes
	f("GET /a\x7fb HTTP/1.1|Host: a", "400")                                          // 3986 2
	f("GET /a\tb HTTP/1.1|Host: a", "400")                                            // 3986 2
	f("GET /a\rb HTTP/1.1|Host: a", "400")                                            // 2.2: a bare CR
	f("GET /\xc3\xa4 HTTP/1.1|Host: a", "400")                                        // 3986 2: bytes above 127 are percent-encoded
	f("GET /a#b HTTP/1.1|Host: a", "400")                                             // 3.2: a fragment is no part of a target
	f("GET /a?b=c&d=%20 HTTP/1.1|Host: a", "GET /a?b=c&d=%20 1.1 none")
	f("GET http://a/b HTTP/1.1|Host: a", "GET http://a/b 1.1 none") // 3.2.2: absolute-form
	f("CONNECT a:443 HTTP/1.1|Host: a", "CONNECT a:443 1.1 none")   // 3.2.3: authority-form; who serves it decides elsewhere
	f("OPTIONS * HTTP/1.1|Host: a", "OPTIONS * 1.1 none")           // 3.2.4: asterisk-form

	// 2.3 and 9110 2.5: versions
	f("GET / HTTP/1.0|Host: a", "GET / 1.0 none close")
	f("GET / HTTP/1.2|Host: a", "505") // refused rather than served as 1.1
	f("GET / HTTP/1.9|Host: a", "505")
	f("GET / HTTP/2.0|Host: a", "505") // 9110 15.6.6
	f("GET / HTTP/0.9|Host: a", "505")
	f("PRI * HTTP/2.0", "505") // 9113 3.4
	f("GET / http/1.1|Host: a", "400")
	f("GET / HTTP/1.10|Host: a", "400")
	f("GET / HTTP/11|Host: a", "400")
	f("GET / HTTP/1|Host: a", "400")
	f("GET / HTTP/1.|Host: a", "400")
	f("GET / HTTP/01.1|Host: a", "400")
	f("GET / HTTP/1,1|Host: a", "400")
	f("GET / HTTP/+.1|Host: a", "400")
	f("GET / HTTPS/1.1|Host: a", "400")
	f("GET / HTTP/1.1\x00|Host: a", "400")

	// 3.2: Host
	f("GET / HTTP/1.1", "400")
	f("GET / HTTP/1.0", "GET / 1.0 none close")
	f("GET / HTTP/1.1|Host: a|Host: a", "400")
	f("GET / HTTP/1.1|Host: a|host: b", "400")
	f("GET / HTTP/1.0|Host: a|Host: a", "400")
	f("GET / HTTP/1.1|Host:", "400") // 9110 4.2.1: an http URI has a host
	f("GET / HTTP/1.1|Host:   ", "400")

	// 6.2 and 9110 8.6: Content-Length
	f("POST / HTTP/1.1|Host: a|Content-Length: 5", "POST / 1.1 5")
	f("POST / HTTP/1.1|Host: a|content-LENGTH:5\t ", "POST / 1.1 5")
	f("POST / HTTP/1.1|Host: a|Content-Length: 0", "POST / 1.1 0")
	f("POST / HTTP/1.1|Host: a|Content-Length: 0005", "POST / 1.1 5")
	f("GET / HTTP/1.0|Content-Length: 5", "GET / 1.0 5 close")
	f("POST / HTTP/1.1|Host: a|Content-Length: 1000000000000000000", "POST / 1.1 1000000000000000000")
	for _, v := range []string{
		"", "+5", "-5", "5 5", "5,5", "5, 5", "5;", "0x5", "5.0", "5e1", "five", "\"5\"", "\xd9\xa5", "5\x00", "_5", "1_0", ",5", "5,",
		"9223372036854775807", "9223372036854775808", "18446744073709551616", "18446744073709551621", "99999999999999999999999999",
	} {
		f("POST / HTTP/1.1|Host: a|Content-Length: "+v, "400")
	}
	f("POST / HTTP/1.1|Host: a|Content-Length: 5|Content-Length: 5", "400") // 6.3: could be repaired, is refused
	f("POST / HTTP/1.1|Host: a|Content-Length: 5|Content-Length: 6", "400") // 6.3 (5)
	f("POST / HTTP/1.1|Host: a|Content-Length: 5|CONTENT-LENGTH:", "400")

	// 6.1: Transfer-Encoding
	f("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked", "POST / 1.1 chunked")
	f("POST / HTTP/1.1|Host: a|TRANSFER-encoding:\tChUnKeD ", "POST / 1.1 chunked")
	f("POST / HTTP/1.0|Host: a|Transfer-Encoding: chunked", "400")
	f("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Content-Length: 5", "400")
	f("POST / HTTP/1.1|Host: a|Content-Length: 5|Transfer-Encoding: chunked", "400")
	f("POST / HTTP/1.1|Host: a|Content-Length: 5|Transfer-Encoding: gzip", "400")
	f("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Transfer-Encoding: chunked", "400")
	f("POST / HTTP/1.1|Host: a|Transfer-Encoding: gzip|Transfer-Encoding: chunked", "400")
	f("POST / HTTP/1.1|Host: a|Transfer-Encoding: gzip, chunked", "501") // 6.1: a coding not understood
	f("POST / HTTP/1.1|Host: a|Transfer-Encoding: gzip ,\tchunked", "501")
	for _, v := range []string{ // 6.3 (4): chunked is not the final coding, or there is more than one
		"", "gzip", "identity", "chunked, gzip", "chunked, identity", "chunked, chunked", "chunked,", "xchunked", "chunkedx", "chunke", "\"chunked\"",
		"chunked;q=1", "chunked; a", "chunked\x00", "\x0bchunked", "chunked\x0c", "chunked\xa0", "chunked chunked", "x, chunked chunked", "c\thunked",
	} {
		f("POST / HTTP/1.1|Host: a|Transfer-Encoding: "+v, "400")
	}

	// 5, 5.1, 5.2: field lines
	f("GET / HTTP/1.1|Host: a|Host : b", "400") // 5.1: white space before the colon
	f("GET / HTTP/1.1|Host: a|X : b", "400")
	f("GET / HTTP/1.1|Host: a|X\t: b", "400")
	f("GET / HTTP/1.1|Host: a|X: b| c", "400")     // 5.2: obs-fold
	f("GET / HTTP/1.1|Host: a|X: b|\tc: d", "400") // 5.2
	f("GET / HTTP/1.1| Host: a", "400")            // 2.2: white space before the first field
	f("GET / HTTP/1.1|Host: a|: b", "400")         // 5: an empty name
	f("GET / HTTP/1.1|Host: a|b", "400")           // 5: no colon
	f("GET / HTTP/1.1|Host: a|a b: c", "400")      // 9110 5.6.2
	f("GET / HTTP/1.1|Host: a|a(b: c", "400")
	f("GET / HTTP/1.1|Host: a|a\x00b: c", "400")
	f("GET / HTTP/1.1|Host: a|a\xffb: c", "400")
	f("GET / HTTP/1.1|Host: a|X: \x00", "400") // 9110 5.5: CR, LF, NUL
	f("GET / HTTP/1.1|Host: a|X: a\x00b", "400")
	f("GET / HTTP/1.1|Host: a|X: a\rb", "400")
	f("GET / HTTP/1.1|Host: a|X: a\r", "400")
	f("GET / HTTP/1.1|Host: a|X: a\x01b", "400")
	f("GET / HTTP/1.1|Host: a|X: a\x1bb", "400")
	f("GET / HTTP/1.1|Host: a|X: a\x7fb", "400")
	f("GET / HTTP/1.1|Host: a|X: a\tb\xff\x80\"", "GET / 1.1 none") // 9110 5.5: HTAB and obs-text may stand there
	f("GET / HTTP/1.1|Host: a|X:|Y:|Y: :", "GET / 1.1 none")

	// 2.2: line ends
	f("GET / HTTP/1.1\nHost: a", "400")
	f("GET / HTTP/1.1|Host: a\nX: b", "400")
	f("GET / HTTP/1.1|Host: a\n\nX: b", "400")
	f("GET / HTTP/1.1|Host: a|\n", "400")
	f("GET / HTTP/1.1\rHost: a", "400")
	f("\nGET / HTTP/1.1|Host: a", "400")

	// 9110 10.1.1: Expect
	f("PUT / HTTP/1.1|Host: a|Content-Length: 1|Expect: 100-continue", "PUT / 1.1 1 expect")
	f("PUT / HTTP/1.1|Host: a|Content-Length: 1|expect:100-Continue", "PUT / 1.1 1 expect")
	f("PUT / HTTP/1.0|Host: a|Content-Length: 1|Expect: 100-continue", "PUT / 1.0 1 close")
	f("PUT / HTTP/1.1|Host: a|Content-Length: 1|Expect: 200-ok", "417")
	f("PUT / HTTP/1.1|Host: a|Content-Length: 1|Expect: 100-continue, x", "417")
	f("PUT / HTTP/1.1|Host: a|Content-Length: 1|Expect:", "417")

	// 9.3, 9.6: persistence
	f("GET / HTTP/1.1|Host: a|Connection: close", "GET / 1.1 none close")
	f("GET / HTTP/1.1|Host: a|Connection: Keep-Alive, CLOSE", "GET / 1.1 none close")
	f("GET / HTTP/1.1|Host: a|Connection: x|Connection: , ,close", "GET / 1.1 none close")
	f("GET / HTTP/1.1|Host: a|Connection: keep-alive", "GET / 1.1 none")
	f("GET / HTTP/1.1|Host: a|Connection: closed", "GET / 1.1 none")
	f("GET / HTTP/1.1|Host: a|Connection:", "GET / 1.1 none")
	f("GET / HTTP/1.0|Host: a|Connection: keep-alive", "GET / 1.0 none")
	f("GET / HTTP/1.0|Host: a|Connection: keep-alive, close", "GET / 1.0 none close")
	f("GET / HTTP/1.0|Host: a|Proxy-Connection: keep-alive", "GET / 1.0 none close")
}

// Control bytes: none may stand anywhere in a head (RFC 9110, section 5.5), but HTAB in values.
func TestNoControlByteInHeads(t *testing.T) {
	f := func(raw string, allowed bool) {
		t.Helper()
		got, _ := read(raw, wide)
		if ok := strings.HasPrefix(got, "GET"); ok != allowed {
			t.Errorf("%q: %s", raw, got)
		}
	}
	for c := range 256 {
		s := string([]byte{byte(c)})
		if s == "|" {
			continue // the table's CRLF
		}
		control := c < ' ' || c == 0x7f
		f(crlf("GET /"+s+" HTTP/1.1|Host: a"), !control && c < 0x80 && c != ' ' && c != '#')
		f(crlf("GET / HTTP/1.1|Host: a|X: b"+s+"c"), !control || c == '\t')
		f(crlf("GET / HTTP/1.1|Host: a|X"+s+"Y: c"), isToken([]byte(s)) || c == ':')
	}
}

// RFC 9112, section 3.2: Host = uri-host [ ":" port ].
func TestValidHost(t *testing.T) {
	f := func(host string, want bool) {
		t.Helper()
		if got := ValidHost([]byte(host)); got != want {
			t.Errorf("%q: %t", host, got)
		}
		got, _ := read(crlf("GET / HTTP/1.1|Host: "+host), wide)
		if ok := got == "GET / 1.1 none"; ok != want {
			t.Errorf("Host: %q: %s", host, got)
		}
	}
	for _, good := range []string{
		"a", "a.example", "a.example.", "A-1.example:8080", "model_server:1", "127.0.0.1", "127.0.0.1:80", "a:", "a%41", "a~b!$&'()*+;=", "a:65535",
		"[::1]", "[::1]:80", "[::ffff:1.2.3.4]:443", "[2001:DB8::f]", "[::1]:",
	} {
		f(good, true)
	}
	for _, bad := range []string{
		"", ":", ":80", "a b", "a\tb", "a/b", "a?b", "a#b", "a@b", "user@a", "user:pass@a", "a:b", "a:80:80", "a:-1", "a:+1", "a:80a", "a:123456", "a:65536", "a:99999", "a,b",
		"http://a", "a\\b", "a\"b", "<a>", "a{b}", "a^b", "a`b", "a|b", "\xc3\xa4", "::1", "2001:db8::f", "[]", "[", "[::1", "::1]", "[::1]a", "[::1]80",
		"[::g]", "[::1]]", "[[::1]]", "[fe80::1%25eth0]", "[v1.a]", "[a@b]", "a,b:c", "[]:80",
	} {
		f(bad, false)
	}
}

// What is not complete is waited for, as long as it may become a head.
func TestHeadEnd(t *testing.T) {
	f := func(b string, seen, want int) {
		t.Helper()
		if got, err := HeadEnd([]byte(b), seen, wide); got != want || err != nil {
			t.Errorf("%q after %d: %d, %v; want %d", b, seen, got, err, want)
		}
	}
	head := crlf("GET / HTTP/1.1|Host: a")
	f("", 0, 0)
	f("\r", 0, 0)
	f("G", 0, 0)
	for seen := range head {
		f(head, seen, len(head))
		f(head[:seen], max(0, seen-1), 0)
		f(head+"body\n\r\n\r\n", seen, len(head)) // what follows is not looked at
	}
}

// A LF without its CR is told at once, however it is cut: it will not become a head.
func TestBareLineFeedIsToldAtOnce(t *testing.T) {
	for _, b := range []string{"\n", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: a\n", "GET / HTTP/1.1\r\nHost: a\r\n\n", "GET /\r\r\nX\n"} {
		for seen := range b {
			if _, err := HeadEnd([]byte(b), seen, wide); err == nil || err.Status != 400 {
				t.Errorf("%q after %d: %v", b, seen, err)
			}
		}
	}
}

func TestHeadLimits(t *testing.T) {
	f := func(raw string, limit Limits, want string) {
		t.Helper()
		if got, _ := read(raw, limit); got != want {
			t.Errorf("%.40q: %s; want %s", raw, got, want)
		}
		if got := drip(raw, limit); got != want {
			t.Errorf("%.40q byte by byte: %s; want %s", raw, got, want)
		}
	}
	head := crlf("GET / HTTP/1.1|Host: a|X: " + strings.Repeat("x", 100))
	f(head, Limits{len(head), 2}, "GET / 1.1 none")
	f(head, Limits{len(head) - 1, 2}, "431") // RFC 6585, section 5
	f(head, Limits{len(head), 1}, "431")
	f(head[:len(head)-4], Limits{len(head) - 5, 2}, "431") // at once, not when the blank line comes
	f(head[:len(head)-4], Limits{len(head) - 4, 2}, "incomplete")
	f("GET /"+strings.Repeat("a", 100), Limits{100, 2}, "414") // RFC 9112, section 3
	f(crlf("GET / HTTP/1.1|Host: a|Connection: "+strings.Repeat("a,", 3)), Limits{1 << 10, 3}, "GET / 1.1 none")
	f(crlf("GET / HTTP/1.1|Host: a|Connection: "+strings.Repeat("a,", 4)), Limits{1 << 10, 3}, "431") // each is compared with each field
}

// However many fields an operator allows, none that frames the body is overlooked.
func TestFramingFieldBehindManyOthers(t *testing.T) {
	for _, n := range []int{32766, 32767, 32768, 65535, 65536} {
		raw := crlf("POST / HTTP/1.1|Host: a" + strings.Repeat("|a:", n) + "|Content-Length: 5")
		if got, _ := read(raw, Limits{1 << 20, 1 << 20}); got != "POST / 1.1 5" {
			t.Errorf("behind %d fields: %s", n, got)
		}
	}
}

func TestHeadParts(t *testing.T) {
	raw := crlf("GET /p HTTP/1.1|Host: a|X-One:\t 1 \t|x-one: 2|Empty:")
	_, h := read(raw, wide)
	if string(h.Raw) != raw || len(h.Fields) != 4 {
		t.Fatalf("%d fields of %q", len(h.Fields), h.Raw)
	}
	if f := h.Fields[1]; string(f.Line) != "X-One:\t 1 \t\r\n" || string(f.Name) != "X-One" || string(f.Value) != "1" || f.Kind != Other {
		t.Errorf("%q", f)
	}
	if v := h.Get("x-one"); string(v) != "1" {
		t.Errorf("Get gives %q, not the first", v)
	}
	if h.Get("empty") == nil || h.Get("none") != nil {
		t.Error("an empty field and no field are not told apart")
	}
	if !h.Has(Host) || string(h.Value(Host)) != "a" || h.Has(Via) || h.Value(Via) != nil {
		t.Error("the kinds are not found")
	}
	h.Clear()
	if h.Raw != nil || h.Method != nil || len(h.Fields) != 0 || h.Has(Host) {
		t.Errorf("Clear leaves %+v", h)
	}
}

func TestKinds(t *testing.T) {
	f := func(name string, want Kind) {
		t.Helper()
		for _, s := range []string{name, strings.ToUpper(name)} {
			if got := kindOf([]byte(s)); got != want {
				t.Errorf("%s: %d; want %d", s, got, want)
			}
		}
		for _, s := range []string{name + "x", name[1:], "y" + name[1:], name[:len(name)-1] + "_"} {
			if got := kindOf([]byte(s)); got != Other && got != MLProxy && got != ForwardedMore && got != Twin {
				t.Errorf("%s: %d; want none", s, got)
			}
		}
	}
	f("host", Host)
	f("content-length", ContentLength)
	f("transfer-encoding", TransferEncoding)
	f("connection", Connection)
	f("keep-alive", KeepAlive)
	f("proxy-connection", ProxyConnection)
	f("proxy-authorization", ProxyAuthorization)
	f("te", TE)
	f("trailer", Trailer)
	f("upgrade", Upgrade)
	f("expect", Expect)
	f("via", Via)
	f("x-forwarded-for", ForwardedFor)
	f("x-forwarded-proto", ForwardedProto)
	f("x-forwarded-host", ForwardedHost)
	f("x-forwarded-port", ForwardedMore)
	f("http2-settings", HTTP2Settings)
	f("x-request-id", RequestID)
	f("x-mlproxy-a", MLProxy)
	f("x-mlproxy-", MLProxy)
	f("authorization", Authorization)
	f("cookie", Cookie)
	f("max-forwards", MaxForwards)
	for _, name := range []string{"content_length", "Transfer_Encoding", "X_Forwarded-For", "x-forwarded_port", "x_mlproxy_a", "X_Request_ID", "keep_alive"} {
		if got := kindOf([]byte(name)); got != Twin {
			t.Errorf("%q: %d", name, got)
		}
	}
	for _, name := range []string{
		"transfer\x0dencoding", "\x08ost", "content-type", "x-mlproxy", "transfer-encodin\x07", "content_type", "user_id", "_", "x_forwarded", "x-request-id_",
		"a_name_that_is_longer_than_all_kinds", "transfer_encoding_more",
	} {
		if got := kindOf([]byte(name)); got != Other {
			t.Errorf("%q: %d", name, got)
		}
	}
}

// RFC 9110, section 7.6.1: what concerns one connection only, by its nature or because Connection names it.
func TestHop(t *testing.T) {
	f := func(connection, field string, want bool) {
		t.Helper()
		got, h := read(crlf("GET / HTTP/1.1|Host: a|"+field+": 1|Connection: "+connection), wide)
		if h.Fields == nil {
			t.Fatal(got)
		}
		if got := h.Hop(&h.Fields[1]); got != want {
			t.Errorf("%s with Connection: %s: %t", field, connection, got)
		}
	}
	for _, name := range []string{"TE", "Upgrade", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Trailer"} {
		f("x", name, true)
		f(name, name, true)
	}
	f("x-a", "X-A", true)
	f("X-A", "x-a", true)
	f("close, x-a", "X-A", true)
	f(", ,\tx-a ,", "X-A", true)
	f("x-ab", "X-A", false)
	f("x", "X-A", false)
	f("\"x-a\"", "X-A", false)
	for _, name := range []string{ // a client must not be able to have these removed
		"Content-Length", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "X-MLProxy-A", "Authorization", "Cookie",
	} {
		f(name, name, false)
	}
	_, h := read(crlf("GET / HTTP/1.1|Host: a|Connection: host"), wide)
	if h.Hop(&h.Fields[0]) || !h.Hop(&h.Fields[1]) {
		t.Error("Connection itself ends here, Host never does")
	}
}

func TestCredentials(t *testing.T) {
	for k := range kinds {
		if got, want := k.Credential(), k == Authorization || k == Cookie; got != want {
			t.Errorf("kind %d: %t", k, got)
		}
	}
}
