package conformance

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	chunkedHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	// goneWithin is how soon a model server learns that its client left.
	goneWithin = 2 * time.Second
)

// chunk writes one chunk.
func chunk(data string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(data), data) }

func TestStreaming(t *testing.T) {
	const rfc, departs, early = "RELIABILITY 6", "RELIABILITY 6, client's departure", "RFC 9112 9.3, early answer"
	event := func(i int) string { return fmt.Sprintf("data: {\"n\":%d}\n\n", i) }
	plays(t, world{}, []play{
		{"head before the first byte", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead)
			s.seesHead(200, value("Content-Type", "text/event-stream"), framed(chunked))
			s.says(chunk("x") + "0\r\n\r\n")
			s.seesPiece("x")
			s.seesEnd()
		}},
		{"head before the first byte, by length", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
			s.seesHead(200)
			s.says("o")
			s.seesPiece("o")
			s.says("k")
			s.seesPiece("k")
			s.seesEnd()
		}},
		{"head before the first byte, until close", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 200 OK\r\n\r\n")
			s.seesHead(200)
			s.says("x")
			s.seesPiece("x")
			s.hangsUp()
			s.seesEnd()
		}},
		{"each event before the next", rfc, func(s *stage) {
			s.send(post(`{"stream":true}`))
			s.gets()
			s.says(chunkedHead)
			s.seesHead(200)
			for i := range 200 {
				s.says(chunk(event(i)))
				s.seesPiece(event(i))
			}
			s.says("0\r\n\r\n")
			s.seesEnd()
		}},
		{"each event before the next, to HTTP/1.0", rfc, func(s *stage) {
			s.send("GET /~ HTTP/1.0\r\n\r\n")
			s.gets()
			s.says(chunkedHead)
			s.seesHead(200)
			for i := range 20 {
				s.says(chunk(event(i)))
				s.seesPiece(event(i))
			}
			s.says("0\r\n\r\n")
			s.seesEnd()
		}},
		{"an event in many chunks, many events in one", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead)
			s.seesHead(200)
			for _, c := range event(1) {
				s.says(chunk(string(c)))
				s.seesPiece(string(c))
			}
			all := event(2) + event(3) + event(4)
			s.says(chunk(all))
			s.seesPiece(all)
			s.says("0\r\n\r\n")
			s.seesEnd()
		}},
		{"half a chunk", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead + "5\r\nhe")
			s.seesHead(200)
			s.seesPiece("he")
			s.says("llo\r\n0\r\n\r\n")
			s.seesPiece("llo")
			s.seesEnd()
		}},
		{"head in single bytes", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			for _, c := range ok {
				s.says(string(c))
			}
			s.sees(200, bodyIs("ok"))
		}},
		{"request in single bytes", rfc, func(s *stage) {
			s.dial()
			for _, c := range strings.ReplaceAll(chunks("5;a=b\r\nhello\r\n0\r\nX-A: b\r\n\r\n"), "/~", s.base) {
				s.send(string(c))
			}
			s.gets(bodyIs("hello"), trailers("X-A: b"))
			s.says(ok)
			s.sees(200)
		}},
		{"request chunk by chunk", rfc, func(s *stage) {
			s.send(chunks(""))
			s.send(chunk("zero"))
			s.getsHead()
			s.getsPiece("zero")
			for i := range 50 {
				s.send(chunk(event(i)))
				s.getsPiece(event(i))
			}
			s.send("0\r\nX-Sum: 1\r\n\r\n")
			s.getsEnd()
			s.says(ok)
			s.sees(200)
			s.fence()
		}},
		{"long request piece by piece", rfc, func(s *stage) {
			s.send("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
			s.getsHead()
			piece := strings.Repeat("p", 20000)
			for range 5 {
				s.send(piece)
				s.getsPiece(piece)
			}
			s.getsEnd()
			s.says(ok)
			s.sees(200)
			s.fence()
		}},
		{"both ways at once", rfc, func(s *stage) {
			s.send(chunks(chunk("0")))
			s.getsHead()
			s.getsPiece("0")
			s.says(chunkedHead)
			s.seesHead(200)
			for i := range 50 {
				s.says(chunk(event(i)))
				s.seesPiece(event(i))
				s.send(chunk(event(i)))
				s.getsPiece(event(i))
			}
			s.send("0\r\n\r\n")
			s.getsEnd()
			s.says("0\r\n\r\n")
			s.seesEnd()
		}},
		{"early answer", early, func(s *stage) {
			s.send("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("p", 70000))
			s.getsHead()
			s.getsPiece(strings.Repeat("p", 70000))
			s.says("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno")
			s.sees(413, bodyIs("no"), has("Connection: close"))
			s.getsCut()
			s.seesClosed()
			s.fence()
		}},
		{"early answer to chunks", early, func(s *stage) {
			s.send(chunks(chunk("hello")))
			s.getsHead()
			s.getsPiece("hello")
			s.says("HTTP/1.1 401 Who\r\nContent-Length: 2\r\n\r\nno")
			s.sees(401, bodyIs("no"), has("Connection: close"))
			s.getsCut()
			s.fence()
		}},
		{"early answer and close", early, func(s *stage) {
			s.send("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("p", 70000))
			s.getsHead()
			s.getsPiece(strings.Repeat("p", 70000))
			s.says("HTTP/1.1 413 Too Much\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
			s.hangsUp()
			s.sees(413, bodyIs("no"))
			s.fence()
		}},
		{"early 100 while the upload runs", early, func(s *stage) {
			s.send(chunks(chunk("hello")))
			s.getsHead()
			s.getsPiece("hello")
			s.says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
			s.seesHead(103)
			s.send("0\r\n\r\n")
			s.getsEnd()
			s.says(ok)
			s.sees(200)
		}},
		{"while the answer is awaited", departs, func(s *stage) {
			s.send(get())
			s.gets()
			s.leaves()
			s.freed(goneWithin)
			s.fence()
		}},
		{"while the answer is awaited, by reset", departs, func(s *stage) {
			s.send(post("hello"))
			s.gets()
			s.vanishes()
			s.freed(goneWithin)
			s.fence()
		}},
		{"before the first byte of the body", departs, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead)
			s.seesHead(200)
			s.leaves()
			s.freed(goneWithin)
			s.fence()
		}},
		{"between two events", departs, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead + chunk(event(1)))
			s.seesHead(200)
			s.seesPiece(event(1))
			s.leaves()
			s.freed(goneWithin)
			s.fence()
		}},
		{"between two events, by reset", departs, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead + chunk(event(1)))
			s.seesHead(200)
			s.seesPiece(event(1))
			s.vanishes()
			s.freed(goneWithin)
			s.fence()
		}},
		{"with events on the way", departs, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead + strings.Repeat(chunk(event(1)), 1000))
			s.seesHead(200)
			s.leaves()
			s.freed(goneWithin)
			s.fence()
		}},
		{"in a stream that it does not read", departs, func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n")
			_, _ = pour(s.a.Conn, 256<<20, 500*time.Millisecond)
			s.leaves()
			s.freed(goneWithin)
			s.fence()
		}},
		{"in the upload", departs, func(s *stage) {
			s.send(chunks(chunk("hello")))
			s.getsHead()
			s.getsPiece("hello")
			s.leaves()
			s.getsCut()
			s.fence()
		}},
		{"after the upload", departs, func(s *stage) {
			s.send(chunks(chunk("hello")))
			s.getsHead()
			s.getsPiece("hello")
			s.send("0\r\n\r\n")
			s.getsEnd()
			s.leaves()
			s.freed(goneWithin)
			s.fence()
		}},
		{"an extension with every chunk, both ways", "RFC 9112 7.1.1", func(s *stage) {
			signed := func(data string) string {
				return fmt.Sprintf("%x;sig=%s\r\n%s\r\n", len(data), strings.Repeat("5", 32), data)
			}
			s.send(chunks(""))
			s.getsHead()
			s.says(chunkedHead)
			s.seesHead(200)
			const n = 2000 // 70 kB of extensions each way
			all := strings.Repeat(event(1), n)
			s.send(strings.Repeat(signed(event(1)), n))
			s.getsPiece(all)
			s.says(strings.Repeat(signed(event(1)), n))
			s.seesPiece(all)
			s.send("0\r\n\r\n")
			s.getsEnd()
			s.says("0\r\n\r\n")
			s.seesEnd()
		}},
		{"extensions that are most of the body", "RELIABILITY 1", func(s *stage) {
			s.send(chunks(""))
			s.getsHead()
			s.send(strings.Repeat("1;"+strings.Repeat("x", 200)+"\r\na\r\n", 200))
			s.getsCut()
			s.refused("400", false)
		}},
		{"with a request in the pipeline", departs, func(s *stage) {
			s.send(get() + get("X-A: second"))
			s.gets(lacks("X-A"))
			s.vanishes()
			s.freed(goneWithin)
			s.fence()
		}},
	})
}

func TestDrain(t *testing.T) {
	plays(t, world{pool: "on_client_gone: drain"}, []play{
		{"the model server is let finish", "DESIGN 5 on_client_gone", func(s *stage) {
			s.send(get())
			n := s.gets().number
			s.leaves()
			s.says(chunkedHead + strings.Repeat(chunk(strings.Repeat("x", 64<<10)), 100) + "0\r\n\r\n")
			for until := time.Now().Add(patience); s.fence() != n; { // the exchange may still be ending
				s.hangsUp() // or the fence's connection would be taken again
				if time.Now().After(until) {
					s.fail("the connection is not used again")
				}
			}
		}},
	})
}

func TestIdleTimeouts(t *testing.T) {
	const rfc = "DESIGN 5 body_idle_timeout"
	plays(t, world{route: "body_idle_timeout: 300ms, timeout: 300ms"}, []play{
		{"short body stops", rfc, func(s *stage) {
			s.send("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhe")
			s.getsHead()
			s.getsCut()
			s.refused("408", false)
			s.fence()
		}},
		{"long body stops", rfc, func(s *stage) {
			s.send("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhe")
			s.getsHead()
			s.getsCut()
			s.refused("408", false)
			s.fence()
		}},
		{"chunks stop", rfc, func(s *stage) {
			s.send(chunks(chunk("he")))
			s.getsHead()
			s.getsCut()
			s.refused("408", false)
			s.fence()
		}},
		{"answer stops", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead + chunk("he"))
			s.seesHead(200)
			s.seesPiece("he")
			s.seesBroken()
			s.freed(patience)
			s.fence()
		}},
		{"client stops reading", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 256<<20))
			if n, err := pour(s.a.Conn, 256<<20, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				s.fail("after %d bytes: %v", n, err)
			}
			s.freed(patience)
			s.seesBroken()
			s.fence()
		}},
		{"model server stops reading", rfc, func(s *stage) {
			s.send("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 67000000\r\n\r\n")
			s.getsHead()
			_, _ = pour(s.c.Conn, 67000000, patience)
			s.refused("504", false)
			s.fence()
		}},
		{"an upload does not count against the timeout", "DESIGN 5 timeout", func(s *stage) {
			s.send(chunks(chunk("0")))
			s.getsHead()
			s.getsPiece("0")
			for until := time.Now().Add(600 * time.Millisecond); time.Now().Before(until); {
				s.send(chunk("x"))
				s.getsPiece("x")
			}
			s.send("0\r\n\r\n")
			s.getsEnd()
			s.says(ok)
			s.sees(200)
		}},
		{"a stream outlives the timeout", "RELIABILITY 6", func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead)
			s.seesHead(200)
			for until := time.Now().Add(time.Second); time.Now().Before(until); {
				s.says(chunk("x"))
				s.seesPiece("x")
			}
			s.says("0\r\n\r\n")
			s.seesEnd()
		}},
	})
}

func TestBackPressure(t *testing.T) {
	const rfc = "RELIABILITY 7"
	const offered, most = 256 << 20, 32 << 20
	held := func(s *stage, to net.Conn) {
		s.t.Helper()
		n, err := pour(to, offered, time.Second)
		var timeout net.Error
		if n > most || !errors.As(err, &timeout) || !timeout.Timeout() {
			s.fail("%d MB were taken, and then: %v", n>>20, err)
		}
	}
	plays(t, world{limits: "max_body: 1GiB"}, []play{
		{"the client does not read", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", offered))
			held(s, s.a.Conn)
		}},
		{"the client does not read chunks", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead + fmt.Sprintf("%x\r\n", offered))
			held(s, s.a.Conn)
		}},
		{"the model server does not read", rfc, func(s *stage) {
			s.send(fmt.Sprintf("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", offered))
			s.send(strings.Repeat("x", 100))
			s.getsHead()
			held(s, s.c.Conn)
		}},
		{"the model server does not read chunks", rfc, func(s *stage) {
			s.send(chunks(fmt.Sprintf("%x\r\n", offered)) + "x")
			s.getsHead()
			held(s, s.c.Conn)
		}},
	})
}

// pour writes up to n bytes, until the other side takes none for a while, and says how many it took.
func pour(to net.Conn, n int, idle time.Duration) (taken int, err error) {
	piece := make([]byte, 64<<10)
	for taken < n && err == nil {
		_ = to.SetWriteDeadline(time.Now().Add(idle))
		var k int
		k, err = to.Write(piece[:min(len(piece), n-taken)])
		taken += k
	}
	return taken, err
}

func TestLargeBodies(t *testing.T) {
	const rfc, size = "DESIGN 6 Bodies are never altered", 16 << 20
	plays(t, world{limits: "max_body: 1GiB"}, []play{
		{"down by length", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
			s.flows(size, s.a.Conn, 0, func() (*peer, *message) { return s.c, s.seesHead(200, framed(length)) })
		}},
		{"down in chunks", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead)
			s.flows(size, s.a.Conn, 100000, func() (*peer, *message) { return s.c, s.seesHead(200, framed(chunked)) })
		}},
		{"up by length", rfc, func(s *stage) {
			s.send(fmt.Sprintf("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
			s.flows(size, s.c.Conn, 0, func() (*peer, *message) { a := s.getsHead(framed(length)); return a.peer, a.message })
			s.says(ok)
			s.sees(200)
		}},
		{"up in chunks", rfc, func(s *stage) {
			s.send(chunks(""))
			s.flows(size, s.c.Conn, 100000, func() (*peer, *message) { a := s.getsHead(framed(chunked)); return a.peer, a.message })
			s.says(ok)
			s.sees(200)
		}},
	})
}

// flows sends size random bytes into one end, in chunks of at most that many bytes unless 0, and holds what comes out of
// the other to them.
func (s *stage) flows(size int, in net.Conn, chunkSize int, out func() (*peer, *message)) {
	s.t.Helper()
	sent, failed := sha256.New(), make(chan error, 1)
	go func() { failed <- inject(in, sent, size, chunkSize) }()
	p, m := out()
	got, n := sha256.New(), 0
	for {
		piece, err := m.piece(p)
		n += len(piece)
		got.Write(piece)
		if err == io.EOF {
			break
		}
		if err != nil {
			s.fail("after %d bytes: %v", n, err)
		}
	}
	if err := <-failed; err != nil {
		s.fail("after %d bytes: %v", n, err)
	}
	if n != size || string(got.Sum(nil)) != string(sent.Sum(nil)) {
		s.fail("%d bytes came out, not the %d that went in", n, size)
	}
}

func inject(in net.Conn, sum hash.Hash, size, chunkSize int) error {
	source := rand.NewChaCha8([32]byte{1})
	lengths := rand.New(source)
	buf := make([]byte, 100000)
	_ = in.SetWriteDeadline(time.Now().Add(3 * patience))
	for size > 0 {
		piece := buf[:min(size, len(buf))]
		if chunkSize > 0 {
			piece = piece[:1+lengths.IntN(min(size, chunkSize))]
		}
		_, _ = source.Read(piece)
		sum.Write(piece)
		size -= len(piece)
		data := string(piece)
		if chunkSize > 0 {
			data = chunk(data)
		}
		if _, err := io.WriteString(in, data); err != nil {
			return err
		}
	}
	if chunkSize > 0 {
		_, err := io.WriteString(in, "0\r\n\r\n")
		return err
	}
	return nil
}
