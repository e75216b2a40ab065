package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
)

// parts gives its parts one a Read, and then the end.
type parts struct {
	ended
	left []string
}

func (p *parts) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; p.left[0] == "" {
		p.left = p.left[1:]
	}
	return n, nil
}

func coming(s ...string) *Reader {
	r := NewReader(NewWire(&parts{left: slices.Clone(s)}, NewWatch()))
	return &r
}

func started(f Framing, length int64) *Body {
	var b Body
	b.Start(&Head{Framing: f, Length: length}, wide)
	return &b
}

// all of a body, and how it ended: nil for properly.
func drain(b *Body, r *Reader) (string, error) {
	var got []byte
	for {
		piece, err := b.Next(r)
		got = append(got, piece...)
		if err == io.EOF {
			return string(got), nil
		}
		if err != nil {
			return string(got), err
		}
		if len(piece) == 0 {
			return "", errors.New("Next gave neither a piece nor an error")
		}
	}
}

// split is s in two at every place, byte by byte, and whole.
func split(s string) [][]string {
	all := [][]string{{s}, strings.Split(s, "")}
	for i := 1; i < len(s); i++ {
		all = append(all, []string{s[:i], s[i:]})
	}
	return all
}

func TestBodyByLength(t *testing.T) {
	f := func(input string, length int64, want, after string, wantErr error) {
		t.Helper()
		for _, s := range split(input) {
			b, r := started(ByLength, length), coming(s...)
			got, err := drain(b, r)
			if got != want || !errors.Is(err, wantErr) || b.Done() != (wantErr == nil) {
				t.Errorf("%q of %d: %q, %v, done %t", s, length, got, err, b.Done())
			}
			for r.Fill() == nil { // what follows is the next message's
			}
			if rest := string(r.Bytes()); rest != after {
				t.Errorf("%q of %d leaves %q", s, length, rest)
			}
		}
	}
	f("hello", 5, "hello", "", nil)
	f("helloGET /", 5, "hello", "GET /", nil)
	f("GET /", 0, "", "GET /", nil)
	f("hell", 5, "hell", "", ErrTruncated)
	f("h", 1<<62, "h", "", ErrTruncated)
}

func TestBodyUntilClose(t *testing.T) {
	for _, s := range split("HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n") {
		b := started(UntilClose, 0)
		if got, err := drain(b, coming(s...)); got != strings.Join(s, "") || err != nil || !b.Done() {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
	broken := errors.New("reset")
	b, r := started(UntilClose, 0), NewReader(NewWire(failing{err: broken}, NewWatch()))
	if _, err := b.Next(&r); !errors.Is(err, broken) || b.Done() {
		t.Errorf("a failed read ends the body with %v", err)
	}
}

type failing struct {
	ended
	err error
}

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestNoBody(t *testing.T) {
	b, r := started(NoBody, 5), filled("hello")
	if piece, err := b.Next(r); piece != nil || err != io.EOF || !b.Done() || len(r.Bytes()) != 5 {
		t.Errorf("%q, %v", piece, err)
	}
}

func TestLeft(t *testing.T) {
	f := func(b *Body, want int64) {
		t.Helper()
		if got := b.Left(); got != want {
			t.Errorf("%d; want %d", got, want)
		}
	}
	f(started(ByLength, 5), 5)
	f(started(ByLength, 0), 0)
	f(started(NoBody, 5), 0) // an answer to HEAD
	f(started(Chunked, 0), -1)
	f(started(UntilClose, 0), -1)
	b := started(ByLength, 5)
	if _, err := b.Next(filled("hel")); err != nil || b.Left() != 2 {
		t.Error(b.Left(), err)
	}
}

// Chunked bodies (RFC 9112, section 7.1), whole, cut at every place and byte by byte.
func TestChunked(t *testing.T) {
	f := func(input, want string) {
		t.Helper()
		for _, s := range split(input + "GET /") {
			b, r := started(Chunked, 0), coming(s...)
			got, err := drain(b, r)
			for r.Fill() == nil {
			}
			if got != want || err != nil || !b.Done() || string(r.Bytes()) != "GET /" {
				t.Errorf("%q: %q, %v, leaves %q", s, got, err, r.Bytes())
			}
		}
		for i := range input { // a body that ends early is no body
			for _, s := range [][]string{{input[:i]}, strings.Split(input[:i], "")} {
				b := started(Chunked, 0)
				if got, err := drain(b, coming(s...)); !errors.Is(err, ErrTruncated) || b.Done() || !strings.HasPrefix(want, got) {
					t.Errorf("%q: %q, %v", s, got, err)
				}
			}
		}
	}
	f("0\r\n\r\n", "")
	f("5\r\nhello\r\n0\r\n\r\n", "hello")
	f("5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", "hello world")
	f("a\r\n0123456789\r\n0\r\n\r\n", "0123456789")
	f("A\r\n0123456789\r\n00\r\n\r\n", "0123456789")
	f("000000000000005\r\nhello\r\n000000000000000\r\n\r\n", "hello")
	f("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n") // data is not looked at
	// 7.1.1: extensions are ignored
	f("5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello")
	f("5;a=b;c = \"d\" ; e\r\nhello\r\n0\r\n\r\n", "hello")
	f("5;a=\"\\\"0;\xff\t\"\r\nhello\r\n0\r\n\r\n", "hello")
	// 7.1.2: trailers
	f("5\r\nhello\r\n0\r\nA: b\r\nC:\r\n\r\n", "hello")
}

func TestChunkedMalformed(t *testing.T) {
	f := func(input string) {
		t.Helper()
		for _, s := range split(input) {
			b := started(Chunked, 0)
			if got, err := drain(b, coming(s...)); !errors.Is(err, ErrChunk) || b.Done() {
				t.Errorf("%q: %q, %v", s, got, err)
			}
		}
	}
	// 7.1: chunk-size = 1*HEXDIG
	for _, size := range []string{
		"", "-5", "+5", " 5", "5 ", "\t5", "5\t", "0x5", "5h", "x", "5,5", "5_", "\"5\"", "\xef\xbc\x95", "\x005", "5\x00", "5\x0b",
		"ffffffffffffffff", "8000000000000000", "10000000000000005", "100000000000000000005", "0000000000000005",
	} {
		f(size + "\r\nhello\r\n0\r\n\r\n")
	}
	f("\r\n\r\n") // no size is not zero
	f(";a\r\n\r\n")
	f("5\r\nhello\r\n\r\n\r\n")
	// 2.2 and 7.1: lines end in CRLF
	f("5\nhello\r\n0\r\n\r\n")
	f("5\r\nhello\n0\r\n\r\n")
	f("5\r\nhello\r\n0\n\r\n")
	f("5\r\nhello\r\n0\r\n\n")
	f("5\rhello\r\n0\r\n\r\n")
	f("5\r\r\nhello\r\n0\r\n\r\n")
	f("5\r\nhello0\r\n\r\n")      // no CRLF after the data
	f("5\r\nhello!\r\n0\r\n\r\n") // more data than the size says
	f("5\r\nhello\r0\r\n\r\n")
	f("6\r\nhello\r\n0\r\n\r\n")
	f("5\r\nhello\r\n\r\n0\r\n\r\n")
	// 7.1.1: what could hide a chunk in an extension
	f("5;a\nhello\r\n0\r\n\r\n")
	f("5;a\rb\r\nhello\r\n0\r\n\r\n")
	f("5;a\x00\r\nhello\r\n0\r\n\r\n")
	f("5;a=\"b\r\n\"\r\nhello\r\n0\r\n\r\n")
	f("5;a=\"b\\\r\n\"\r\nhello\r\n0\r\n\r\n")
	f("5;a=\"b\\\"\r\nhello\r\n0\r\n\r\n")
	f("5 ;a\r\nhello\r\n0\r\n\r\n")
	// 7.1.2 and 5: trailers are field lines
	f("0\r\nA\r\n\r\n")
	f("0\r\nA : b\r\n\r\n")
	f("0\r\n: b\r\n\r\n")
	f("0\r\n A: b\r\n\r\n")
	f("0\r\nA: b\r\n c\r\n\r\n")
	f("0\r\nA: b\n\r\n")
	f("0\r\nA: b\rc\r\n\r\n")
	f("0\r\nA: \x00\r\n\r\n")
	f("0\r\nGET / HTTP/1.1\r\n\r\n")
	f("0\r\n\rx") // not only when the line ends
	f("0\r\nA: b\rc")
}

// What a sender adds to a body is bounded, however it is spread.
func TestChunkExtraIsBounded(t *testing.T) {
	f := func(input string, want error) {
		t.Helper()
		if _, err := drain(started(Chunked, 0), coming(input)); !errors.Is(err, want) {
			t.Errorf("%.30q: %v", input, err)
		}
	}
	chunk := func(n int) string { return "1;" + strings.Repeat("x", n-1) + "\r\na\r\n" } // the CR counts
	f(chunk(MaxChunkExtra-1)+"0\r\n\r\n", nil)
	f(chunk(MaxChunkExtra+1)+"0\r\n\r\n", ErrChunk)
	f(strings.Repeat(chunk(2), MaxChunkExtra)+"0\r\n\r\n", nil)
	f(strings.Repeat(chunk(100), MaxChunkExtra/100)+"0\r\n\r\n", nil)
	f(strings.Repeat(chunk(100), MaxChunkExtra/50)+"0\r\n\r\n", ErrChunk)
	f("0\r\nA: "+strings.Repeat("x", MaxChunkExtra-10)+"\r\n\r\n", nil)
	f("0\r\nA: "+strings.Repeat("x", MaxChunkExtra)+"\r\n\r\n", ErrChunk)
	f("0\r\n"+strings.Repeat("A: b\r\n", MaxChunkExtra/5+1)+"\r\n", ErrChunk)
	f("0\r\nA: "+strings.Repeat("x", MaxChunkExtra), ErrChunk) // not only when the line ends
	f("1;"+strings.Repeat("x", MaxChunkExtra+1), ErrChunk)
}

func TestTrailer(t *testing.T) {
	f := func(lines, want string) {
		t.Helper()
		for _, s := range split("0\r\n" + lines + "\r\n") {
			b := started(Chunked, 0)
			if _, err := drain(b, coming(s...)); err != nil || string(b.Trailer()) != want {
				t.Errorf("%q: %q, %v", s, b.Trailer(), err)
			}
		}
	}
	f("", "")
	f("A: b\r\n", "A: b\r\n")
	f("A: b\r\nA:c \r\nD:\r\n", "A: b\r\nA:c \r\nD:\r\n")
	// RFC 9110, section 6.5.1: neither framing, nor routing, nor what describes the content, nor what proves who one is
	for _, name := range []string{
		"Content-Length", "transfer-encoding", "Host", "TE", "Trailer", "Connection", "Keep-Alive", "Upgrade", "Proxy-Connection", "Expect",
		"Max-Forwards", "Authorization", "Proxy-Authorization", "Cookie", "Content-Type", "Content-Encoding",
		"Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id", "X-MLProxy-Version",
	} {
		f("A: b\r\n"+name+": 5\r\nC: d\r\n", "A: b\r\nC: d\r\n")
	}
}

// RFC 9110, section 7.6.1: Connection speaks of trailer fields as well.
func TestTrailerNamedByConnection(t *testing.T) {
	var h Head
	if err := h.ReadRequest([]byte(crlf("POST / HTTP/1.1|Host: a|Transfer-Encoding: chunked|Connection: x-a")), wide); err != nil {
		t.Fatal(err)
	}
	var b Body
	b.Start(&h, wide)
	if _, err := drain(&b, coming("0\r\nX-A: 1\r\nX-B: 2\r\n\r\n")); err != nil || string(b.Trailer()) != "X-B: 2\r\n" {
		t.Errorf("%q, %v", b.Trailer(), err)
	}
}

func TestBodyIsReused(t *testing.T) {
	b := started(Chunked, 0)
	if _, err := drain(b, coming("5;x\r\nhello\r\n0\r\nA: b\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	b.Start(&Head{Framing: Chunked}, wide)
	if got, err := drain(b, coming("1\r\na\r\n0\r\n\r\n")); got != "a" || err != nil || len(b.Trailer()) != 0 {
		t.Errorf("%q, %v, trailer %q", got, err, b.Trailer())
	}
}

// Ready never reads: over a wire from which nothing comes it would wait forever.
func TestReadyNeverWaits(t *testing.T) {
	w, peer := over(t)
	f := func(b *Body, come string, want string, wantErr error) {
		t.Helper()
		r := NewReader(w)
		if come != "" {
			send(t, peer, come)
			for len(r.Bytes()) < len(come) {
				if err := r.Fill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		var got []byte
		piece, err := b.Ready(&r)
		for ; len(piece) > 0; piece, err = b.Ready(&r) {
			got = append(got, piece...)
		}
		if string(got) != want || err != wantErr {
			t.Errorf("after %q: %q, %v", come, got, err)
		}
	}
	f(started(ByLength, 5), "", "", nil)
	f(started(ByLength, 5), "hel", "hel", nil)
	f(started(ByLength, 5), "hello", "hello", io.EOF)
	f(started(NoBody, 0), "", "", io.EOF)
	f(started(UntilClose, 0), "", "", nil)
	f(started(UntilClose, 0), "abc", "abc", nil)
	f(started(Chunked, 0), "", "", nil)
	f(started(Chunked, 0), "5\r", "", nil)
	f(started(Chunked, 0), "5\r\nhel", "hel", nil)
	f(started(Chunked, 0), "5\r\nhello\r\n0\r\nA: b", "hello", nil)
	f(started(Chunked, 0), "5\r\nhello\r\n0\r\n\r\n", "hello", io.EOF)
}

// Whatever one of the two writes, the other reads (httputil's reader is net/http's).
func TestChunkedAsNetHTTP(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var want, ours []byte
		var theirs bytes.Buffer
		w := httputil.NewChunkedWriter(&theirs)
		for range rnd.IntN(6) {
			piece := make([]byte, rnd.IntN(300))
			for i := range piece {
				piece[i] = "\r\n0123;\"x\xff"[rnd.IntN(10)]
			}
			want = append(want, piece...)
			ours = AppendChunk(ours, piece)
			if len(piece) > 0 {
				_, _ = w.Write(piece)
			}
		}
		ours = AppendLastChunk(ours, nil)
		_ = w.Close()
		theirs.WriteString("\r\n") // the end of an empty trailer section
		if !bytes.Equal(ours, theirs.Bytes()) {
			t.Fatalf("wrote %q; net/http %q", ours, theirs.Bytes())
		}
		var cut []string
		for rest := string(ours); rest != ""; {
			n := 1 + rnd.IntN(len(rest))
			cut, rest = append(cut, rest[:n]), rest[n:]
		}
		got, err := drain(started(Chunked, 0), coming(cut...))
		if again, theirErr := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(ours))); got != string(again) || err != nil || theirErr != nil {
			t.Fatalf("%q: %q, %v; net/http %q, %v", cut, got, err, again, theirErr)
		}
		if got != string(want) {
			t.Fatalf("%q; want %q", got, want)
		}
	}
}

func TestAppendChunk(t *testing.T) {
	f := func(got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
	f(AppendChunk([]byte("x"), []byte("hello")), "x5\r\nhello\r\n")
	f(AppendChunk(nil, bytes.Repeat([]byte("a"), 26)), "1a\r\n"+strings.Repeat("a", 26)+"\r\n")
	f(AppendChunk([]byte("x"), nil), "x") // "0\r\n" would end the body
	f(AppendChunkSize(nil, 1<<20), "100000\r\n")
	f(AppendLastChunk(nil, nil), "0\r\n\r\n")
	f(AppendLastChunk(nil, []byte("A: b\r\n")), "0\r\nA: b\r\n\r\n")
}

// A head stays in place while the body behind it is read, also when the buffer grows or moves.
func TestReaderKeepsHeads(t *testing.T) {
	for _, size := range []int{1, 10, BufferSize - 20, BufferSize - 1, BufferSize, BufferSize + 1, 3 * BufferSize} {
		head, body := strings.Repeat("h", size), strings.Repeat("b", 2*BufferSize)
		r := coming(head, body)
		for len(r.Bytes()) < size {
			if err := r.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		kept := r.Keep(size)
		got, err := drain(started(ByLength, int64(len(body))), r)
		if err != nil || got != body || string(kept) != head {
			t.Errorf("head of %d: %d bytes of body, %v", size, len(got), err)
		}
		r.Drop()
		if r.buf != nil {
			t.Errorf("head of %d: a buffer is held for nothing", size)
		}
	}
}

// What waits behind a dropped head is the next message.
func TestReaderDropKeepsWhatWaits(t *testing.T) {
	r := coming("head", "next")
	for range 2 {
		if err := r.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	r.Keep(4)
	r.Drop()
	if got := string(r.Bytes()); got != "next" {
		t.Errorf("%q", got)
	}
}

// Everything may wait before it is used: the buffer grows.
func TestReaderGrows(t *testing.T) {
	var want strings.Builder
	var in []string
	for i := range 20_000 {
		in = append(in, fmt.Sprint(i, " "))
		want.WriteString(in[i])
	}
	r := coming(in...)
	for r.Fill() == nil {
	}
	if got := string(r.Bytes()); got != want.String() {
		t.Errorf("%d bytes; want %d", len(got), want.Len())
	}
}

func TestReturnTakesBackItsOwnOnly(t *testing.T) {
	Return(nil)
	Return(make([]byte, 1))
	Return(make([]byte, 2*BufferSize))
	b := Borrow()
	Return(b[:7])
	if b := Borrow(); len(b) != BufferSize {
		t.Error(len(b))
	}
}
