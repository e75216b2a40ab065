package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// seeds are heads of each kind, good and bad, with | for CRLF.
func seeds(f *testing.F, heads ...string) {
	f.Helper()
	for _, s := range heads {
		f.Add([]byte(crlf(s)))
	}
	f.Add([]byte("GET / HTTP/1.1\nHost: a\n\n"))
	f.Add([]byte("\r\n\r\n"))
}

// rewritten is a head put together anew from its parts.
func rewritten(h *Head, first ...string) []byte {
	b := []byte(strings.Join(first, " ") + "\r\n")
	for i := range h.Fields {
		b = append(b, h.Fields[i].Line...)
	}
	return append(b, "\r\n"...)
}

// A head that is accepted says the same when it is written again, and when it comes byte by byte; and a second strict
// reader, net/http, takes it too, with the same framing.
func FuzzReadRequest(f *testing.F) {
	seeds(f, "GET / HTTP/1.1|Host: a", "POST /x HTTP/1.1|Host: a|Content-Length: 5", "POST / HTTP/1.1|Host: [::1]:80|Transfer-Encoding: chunked",
		"PUT / HTTP/1.1|Host: a|Expect: 100-continue|Connection: close, x|X: y", "GET / HTTP/1.0|Connection: keep-alive", "OPTIONS * HTTP/1.1|Host: a",
		"CONNECT a:1 HTTP/1.1|Host: a:1", "GET http://a/ HTTP/1.1|Host: b", "POST / HTTP/1.1|Host: a|Content-Length: 5|Transfer-Encoding: chunked",
		"GET / HTTP/1.1|Host: a|X : y", "GET / HTTP/1.1|Host: a|X: y| z", "GET / HTTP/2.0|Host: a", "GET / HTTP/1.1|Host: a|Content-Length: +5")
	f.Add([]byte(typicalRequest))
	f.Fuzz(func(t *testing.T, raw []byte) { lawsOfRequests(t, string(raw)) })
}

// The same for heads put together from what is known to be read in two ways.
func TestRequestsAsNetHTTP(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	one := func(of ...string) string { return of[rnd.IntN(len(of))] }
	taken := 0
	for range 20_000 {
		raw := one("GET", "POST", "POST", "HEAD", "M") + one(" ", " ", " ", " ", "\t", "  ") + one("/", "/", "/x", "*", "http://a/", "/ /") +
			" HTTP/1." + one("1", "1", "1", "1", "0", "2", "")
		for range rnd.IntN(5) {
			raw += one("|", "|", "|", "|", "|", "|", "|", "\n", "\r", "| ") +
				one("Host", "host", "Content-Length", "content-length", "Transfer-Encoding", "Connection", "Expect", "X", "", "Content_Length") +
				one(":", ":", ": ", ":\t", " :", "", "::") +
				one("5", "a", "a:1", "chunked", "chunked", "Chunked", "gzip, chunked", "identity", "0", "5", "5, 5", "+5", "close", "keep-alive", "x, close",
					"100-continue", "", "5 ", "\x00", "\x0bchunked", "chunked,", "[::1]")
		}
		if lawsOfRequests(t, crlf(raw)) {
			taken++
		}
	}
	if taken < 500 {
		t.Errorf("only %d heads were accepted: nothing is compared", taken)
	}
}

// lawsOfRequests says whether raw was accepted.
func lawsOfRequests(t *testing.T, raw string) bool {
	t.Helper()
	said, h := read(raw, wide)
	if dripped := drip(raw, wide); accepted(said) && dripped != said || accepted(dripped) != accepted(said) {
		t.Fatalf("%q: at once %s, byte by byte %s", raw, said, dripped)
	}
	if !accepted(said) {
		return false
	}
	again, _ := read(string(rewritten(h, string(h.Method), string(h.Target), "HTTP/1."+string(rune('0'+h.Minor)))), wide)
	if again != said {
		t.Fatalf("%q: %s, rewritten %s", raw, said, again)
	}
	asNetHTTP(t, h)
	comesInParts(t, h.Raw, new(Head).RequestSoFar)
	return true
}

func accepted(said string) bool { return strings.Contains(said, " 1.") }

// asNetHTTP holds h to how net/http reads it. It differs by intent in these: it parses targets, which is the router's
// business here, and refuses those that are no URLs; and it looks into Host and hosts of targets more closely.
func asNetHTTP(t *testing.T, h *Head) {
	t.Helper()
	raw := rewritten(h, string(h.Method), "/", "HTTP/1."+string(rune('0'+h.Minor)))
	if string(h.Method) == "CONNECT" || string(h.Method) == "PRI" {
		return // net/http wants an authority, or is reminded of HTTP/2
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", raw, err)
	}
	want := int64(0)
	switch h.Framing {
	case ByLength:
		want = h.Length
	case Chunked:
		want = -1
	}
	if req.ContentLength != want || slices.Equal(req.TransferEncoding, []string{"chunked"}) != (h.Framing == Chunked) {
		t.Fatalf("%q: %s; net/http reads length %d, codings %q", raw, meaning(h), req.ContentLength, req.TransferEncoding)
	}
	if h.Has(Host) && req.Host != string(h.Value(Host)) {
		t.Fatalf("%q: the host is %q; net/http reads %q", raw, h.Value(Host), req.Host)
	}
	if h.Close && !req.Close {
		t.Fatalf("%q: net/http would keep the connection", raw)
	}
}

func FuzzReadAnswer(f *testing.F) {
	seeds(f, "HTTP/1.1 200 OK|Content-Length: 5", "HTTP/1.1 200 |Transfer-Encoding: chunked", "HTTP/1.1 200", "HTTP/1.0 404 x y|Connection: keep-alive",
		"HTTP/1.1 103 x|Link: a", "HTTP/1.1 204 x|Content-Length: 5", "HTTP/1.1 200 OK|Content-Length: 5|Transfer-Encoding: chunked",
		"HTTP/1.1 200 OK|X: y| z", "HTTP/1.1 099 x", "HTTP/1.1 2000 x")
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, bodiless := range []bool{false, true} {
			var h, g Head
			n, bad := HeadEnd(raw, 0, wide)
			if n == 0 || bad != nil || h.ReadAnswer(raw[:n], wide, bodiless) != nil {
				continue
			}
			comesInParts(t, raw[:n], g.AnswerSoFar)
			again := rewritten(&h, "HTTP/1."+string(rune('0'+h.Minor)), string(raw[9:12]), string(h.Phrase))
			if err := g.ReadAnswer(again, wide, bodiless); err != nil || meaning(&g) != meaning(&h) || !bytes.Equal(g.Phrase, h.Phrase) {
				t.Fatalf("%s, rewritten %s, %v", meaning(&h), meaning(&g), err)
			}
			if bodiless && h.Framing != NoBody {
				t.Fatalf("%s: an answer to HEAD has a body", meaning(&h))
			}
			if !bodiless {
				answerAsNetHTTP(t, &h, again)
			}
		}
	})
}

// comesInParts holds what is said of the beginnings of a sound head to that it is one, however it comes.
func comesInParts(t *testing.T, head []byte, soFar func(b []byte, seen int, limit Limits) *HeadError) {
	t.Helper()
	for seen := range min(len(head), 500) - 1 {
		if bad := soFar(head[:seen+1], seen, wide); bad != nil {
			t.Fatalf("%q is part of a sound head, and refused: %v", head[:seen+1], bad)
		}
		if bad := soFar(head[:seen+1], 0, wide); bad != nil {
			t.Fatalf("%q is part of a sound head, and refused at once: %v", head[:seen+1], bad)
		}
	}
}

// answerAsNetHTTP holds h to how net/http reads it.
func answerAsNetHTTP(t *testing.T, h *Head, raw []byte) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", raw, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != h.Status {
		t.Fatalf("%q: %d; net/http reads %d", raw, h.Status, resp.StatusCode)
	}
	want := map[Framing]int64{ByLength: h.Length, Chunked: -1, UntilClose: -1}[h.Framing]
	if h.Framing != NoBody && (resp.ContentLength != want || (len(resp.TransferEncoding) > 0) != (h.Framing == Chunked)) {
		t.Fatalf("%q: %s; net/http reads length %d, codings %q", raw, meaning(h), resp.ContentLength, resp.TransferEncoding)
	}
}

// However a chunked body is cut, it is the same, and never longer than what came; what ends early is no body; and what
// is accepted says the same when it is framed again.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{
		"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;a=\"b\\\"\"\r\nhello\r\n0\r\nA: b\r\nHost: c\r\n\r\nnext", "A\r\n0123456789\r\n00;x\r\n\r\n",
		"ffffffffffffffff\r\n", "5\nhello\n0\n\n", "5\r\nhello0\r\n\r\n", "5;a=\"b\r\n0\r\n\r\n", "0\r\nA : b\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s), uint(3))
	}
	f.Fuzz(func(t *testing.T, raw []byte, at uint) {
		b, r := started(Chunked, 0), filled(string(raw))
		body, err := drain(b, r)
		trailer := string(b.Trailer())
		used := len(raw) - len(r.Bytes())
		if len(body)+len(trailer) > used {
			t.Fatalf("%d bytes of body and %d of trailer from %d", len(body), len(trailer), used)
		}
		if cut := int(at % uint(len(raw)+1)); cut > 0 && cut < len(raw) {
			c := started(Chunked, 0)
			again, cutErr := drain(c, coming(string(raw[:cut]), string(raw[cut:])))
			if again != body || !errors.Is(cutErr, err) || string(c.Trailer()) != trailer {
				t.Fatalf("cut at %d: %q, %v; whole %q, %v", cut, again, cutErr, body, err)
			}
		}
		if err != nil {
			return
		}
		for i := range min(used, 512) {
			if _, err := drain(started(Chunked, 0), filled(string(raw[:used-1-i]))); !errors.Is(err, ErrTruncated) {
				t.Fatalf("without its last %d bytes: %v", i+1, err)
			}
		}
		framed := AppendLastChunk(AppendChunk(nil, []byte(body)), []byte(trailer))
		c := started(Chunked, 0)
		if again, err := drain(c, filled(string(framed))); again != body || err != nil || string(c.Trailer()) != trailer {
			t.Fatalf("framed again: %q, %v; want %q", again, err, body)
		}
		chunkedAsNetHTTP(t, raw[:used], body)
	})
}

// chunkedAsNetHTTP holds body to what net/http reads. It refuses by intent what has more framing than data.
func chunkedAsNetHTTP(t *testing.T, raw []byte, body string) {
	t.Helper()
	head := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	all := io.MultiReader(strings.NewReader(head), bytes.NewReader(raw))
	req, err := http.ReadRequest(bufio.NewReaderSize(all, 64<<10)) // it takes no trailer section that is longer than its buffer
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := io.ReadAll(req.Body)
	if err != nil {
		if strings.Contains(err.Error(), "too much overhead") || strings.Contains(err.Error(), "line too long") {
			return
		}
		t.Fatalf("net/http refuses %q: %v", raw, err)
	}
	if string(theirs) != body {
		t.Fatalf("%q: %q; net/http reads %q", raw, body, theirs)
	}
}
