package upstream

import "testing"

// Sections are of RFC 9112 unless they say 9110. An answer that is refused becomes a 502 to the client.
func TestReadAnswer(t *testing.T) {
	g := func(raw string, bodiless bool, want string) {
		t.Helper()
		h := new(Head)
		got := "refused"
		if err := h.ReadAnswer([]byte(crlf(raw)), wide, bodiless); err == nil {
			got = meaning(h)
		}
		if got != want {
			t.Errorf("%q: %s; want %s", raw, got, want)
		}
	}
	f := func(raw, want string) { t.Helper(); g(raw, false, want) }
	head := func(raw, want string) { t.Helper(); g(raw, true, want) }

	// 4: the status line
	f("HTTP/1.1 200 OK|Content-Length: 5", "200 1.1 5")
	f("HTTP/1.1 200 |Content-Length: 5", "200 1.1 5")
	f("HTTP/1.1 200|Content-Length: 5", "200 1.1 5") // the space is missing: common, and not ambiguous
	f("HTTP/1.1 200 a  b \xe4\t|Content-Length: 5", "200 1.1 5")
	f("HTTP/1.1 999 x|Content-Length: 5", "999 1.1 5") // 9110 15: passed on as it is
	f("HTTP/1.1 099 x|Content-Length: 5", "refused")
	f("HTTP/1.1 000|Content-Length: 5", "refused")
	f("HTTP/1.1 20 OK|Content-Length: 5", "refused")
	f("HTTP/1.1 2000 OK|Content-Length: 5", "refused")
	f("HTTP/1.1 2x0 OK|Content-Length: 5", "refused")
	f("HTTP/1.1 -20 OK|Content-Length: 5", "refused")
	f("HTTP/1.1  200 OK|Content-Length: 5", "refused")
	f("HTTP/1.1\t200 OK|Content-Length: 5", "refused")
	f("HTTP/1.1 200\tOK|Content-Length: 5", "refused")
	f("HTTP/1.1 200 a\x00b|Content-Length: 5", "refused")
	f("HTTP/1.1 200 a\rb|Content-Length: 5", "refused")
	f("HTTP/1.1 200 a\x7fb|Content-Length: 5", "refused")
	f("HTTP/1.1", "refused")
	f("HTTP/1.1 ", "refused")
	f("", "refused")
	f("ICY 200 OK", "refused")
	f(" HTTP/1.1 200 OK", "refused")
	f("HTTP/1.1 200 OK\nContent-Length: 5", "refused") // 2.2

	// 2.3: versions
	f("HTTP/1.0 200 OK|Content-Length: 5", "200 1.0 5 close")
	f("HTTP/1.0 200 OK|Content-Length: 5|Connection: keep-alive", "200 1.0 5")
	f("HTTP/1.2 200 OK|Content-Length: 5", "refused")
	f("HTTP/2.0 200 OK|Content-Length: 5", "refused")
	f("http/1.1 200 OK|Content-Length: 5", "refused")
	f("HTTP/1.10 200 OK", "refused")

	// 6.3: how bodies end
	f("HTTP/1.1 200 OK", "200 1.1 rest")
	f("HTTP/1.0 200 OK", "200 1.0 rest close")
	f("HTTP/1.1 200 OK|Content-Length: 0", "200 1.1 0")
	f("HTTP/1.1 200 OK|Transfer-Encoding: chunked", "200 1.1 chunked")
	f("HTTP/1.1 200 OK|Transfer-Encoding: Chunked|Connection: close", "200 1.1 chunked close")
	for _, status := range []string{"100", "101", "102", "103", "199", "204", "304"} { // 6.3 (1)
		f("HTTP/1.1 "+status+" x", status+" 1.1 none")
		f("HTTP/1.1 "+status+" x|Content-Length: 5", status+" 1.1 none")
		f("HTTP/1.1 "+status+" x|Transfer-Encoding: chunked", status+" 1.1 none")
		f("HTTP/1.1 "+status+" x|Content-Length: five", "refused")
	}
	f("HTTP/1.1 205 x", "205 1.1 rest") // 9110 15.3.6 forbids the body, 6.3 does not know of it
	head("HTTP/1.1 200 OK", "200 1.1 none")
	head("HTTP/1.1 200 OK|Content-Length: 5", "200 1.1 none")
	head("HTTP/1.1 200 OK|Transfer-Encoding: chunked", "200 1.1 none")
	head("HTTP/1.1 200 OK|Content-Length: 5|Content-Length: 6", "refused")

	// 6.1, 6.2, 6.3 (3, 4, 5): the framing of a model server is held to what a client's is
	f("HTTP/1.1 200 OK|Content-Length: 5|Content-Length: 5", "refused")
	f("HTTP/1.1 200 OK|Content-Length: 5, 5", "refused")
	f("HTTP/1.1 200 OK|Content-Length: -1", "refused")
	f("HTTP/1.1 200 OK|Content-Length:", "refused")
	f("HTTP/1.1 200 OK|Content-Length: 99999999999999999999", "refused")
	f("HTTP/1.1 200 OK|Content-Length: 5|Transfer-Encoding: chunked", "refused")
	f("HTTP/1.1 200 OK|Transfer-Encoding: identity", "refused")
	f("HTTP/1.1 200 OK|Transfer-Encoding: gzip, chunked", "refused")
	f("HTTP/1.1 200 OK|Transfer-Encoding: chunked, chunked", "refused")
	f("HTTP/1.1 200 OK|Transfer-Encoding: chunked|Transfer-Encoding: chunked", "refused")
	f("HTTP/1.0 200 OK|Transfer-Encoding: chunked", "refused")

	// 5: field lines
	f("HTTP/1.1 200 OK|X: a| b", "refused") // 5.2: discarded rather than unfolded
	f("HTTP/1.1 200 OK|X : a", "refused")   // 5.1: discarded rather than mended
	f("HTTP/1.1 200 OK|: a", "refused")
	f("HTTP/1.1 200 OK|X: a\x00", "refused") // 9110 5.5
	f("HTTP/1.1 200 OK|Content-Length: 5|Connection: close", "200 1.1 5 close")
	f("HTTP/1.1 200 OK|Content-Length: 5|Expect: x", "200 1.1 5") // only a request expects
	f("HTTP/1.1 200 OK|Content-Length: 5|Host: a|Host: b", "refused")
}

func TestPhrase(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		var h Head
		if err := h.ReadAnswer([]byte(crlf(line)), wide, false); err != nil || string(h.Phrase) != want {
			t.Errorf("%q: %q, %v", line, h.Phrase, err)
		}
	}
	f("HTTP/1.1 200 OK", "OK")
	f("HTTP/1.1 200 Not So Bad", "Not So Bad")
	f("HTTP/1.1 200 ", "")
	f("HTTP/1.1 200", "")
}
