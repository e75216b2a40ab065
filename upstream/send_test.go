package upstream

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// sent is what Send gives for an answer.
type sent struct {
	status int
	body   string
	err    error
}

func sendTo(e *Endpoint, method string, deadline time.Time) sent {
	var body strings.Builder
	status, err := e.Send(&Options{ConnectTimeout: time.Minute}, method, []byte(request), deadline, func(*Head) {}, func(p []byte) { body.Write(p) })
	return sent{status, body.String(), err}
}

func TestSend(t *testing.T) {
	f := func(method, answer string, want sent, kept int) {
		t.Helper()
		s := serve(t)
		e := endpoint(t, s.url)
		got := later(func() sent { return sendTo(e, method, time.Now().Add(time.Hour)) })
		peer := s.next()
		receive(t, peer, request)
		send(t, peer, answer)
		_ = peer.CloseWrite()
		if g := <-got; g.status != want.status || g.body != want.body || !errors.Is(g.err, want.err) || (g.err == nil) != (want.err == nil) {
			t.Errorf("%s %q: %v; want %v", method, answer, g, want)
		}
		if len(e.kept) != kept || e.open != kept || e.InFlight() != 0 {
			t.Errorf("%s %q: %d kept, %d open, %d in flight", method, answer, len(e.kept), e.open, e.InFlight())
		}
	}
	f("GET", answer, sent{200, "hello", nil}, 1)
	f("GET", "HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", sent{500, "hello", nil}, 1)
	f("GET", "HTTP/1.1 204 x\r\n\r\n", sent{204, "", nil}, 1)
	f("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", sent{200, "", nil}, 1)
	f("HEAD", answer, sent{200, "", nil}, 0) // a body that must not be there is not kept for the next
	f("GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", sent{200, "hello", nil}, 0)
	f("GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", sent{200, "hello", nil}, 0)
	f("GET", "HTTP/1.1 200 OK\r\n\r\nhello", sent{200, "hello", nil}, 0) // until close
	f("GET", "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 103 x\r\n\r\n"+answer, sent{200, "hello", nil}, 1)
	f("GET", strings.Repeat("HTTP/1.1 103 x\r\n\r\n", MaxInterim-1)+answer, sent{200, "hello", nil}, 1)
	f("GET", strings.Repeat("HTTP/1.1 103 x\r\n\r\n", MaxInterim)+answer, sent{0, "", ErrInvalid}, 0)
	f("GET", "HTTP/1.1 101 x\r\n\r\n", sent{0, "", ErrInvalid}, 0)
	f("GET", "", sent{0, "", ErrReset}, 0)
	f("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", sent{200, "hell", ErrReset}, 0)
	f("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe", sent{200, "he", ErrReset}, 0)
	f("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhex", sent{200, "he", ErrInvalid}, 0)
	f("GET", "hello\n", sent{0, "", ErrInvalid}, 0)
	f("GET", "HTTP/1.1 200 OK\r\nA: "+strings.Repeat("a", answerLimit.Bytes), sent{0, "", ErrInvalid}, 0)
	f("GET", "HTTP/1.1 200 OK\r\n"+strings.Repeat("A:\r\n", answerLimit.Fields+1)+"\r\n", sent{0, "", ErrInvalid}, 0)
}

func TestSendReset(t *testing.T) {
	s := serve(t)
	e := endpoint(t, s.url)
	got := later(func() sent { return sendTo(e, "GET", time.Now().Add(time.Hour)) })
	peer := s.next()
	receive(t, peer, request)
	_ = peer.SetLinger(0)
	_ = peer.Close()
	if g := <-got; !errors.Is(g.err, ErrReset) || e.open != 0 {
		t.Errorf("%v, %d open", g, e.open)
	}
}

func TestSendConnectFails(t *testing.T) {
	e := endpoint(t, refused(t))
	if got := sendTo(e, "GET", time.Now().Add(time.Hour)); got.status != 0 || !errors.Is(got.err, ErrConnect) {
		t.Error(got)
	}
}

// Whatever the model server does or leaves undone, the deadline holds.
func TestSendTimesOut(t *testing.T) {
	f := func(what string, do func(*net.TCPConn), status int) {
		t.Helper()
		s := serve(t)
		e := endpoint(t, s.url)
		came := make(chan bool, 1)
		got := later(func() sent {
			status, err := e.Send(&Options{}, "GET", []byte(request), time.Now().Add(time.Hour), func(*Head) {}, func([]byte) {
				select {
				case came <- true:
				default:
				}
			})
			return sent{status: status, err: err}
		})
		peer := s.next()
		receive(t, peer, request)
		done := later(func() bool { do(peer); return true })
		if status > 0 {
			<-came
		}
		pass(e.watch, 2*time.Hour)
		if g := <-got; g.err != ErrTimeout || g.status != status {
			t.Errorf("%s: %v", what, g)
		}
		if <-done; e.open != 0 || e.InFlight() != 0 {
			t.Errorf("%s: %d open, %d in flight", what, e.open, e.InFlight())
		}
	}
	says := func(s string) func(*net.TCPConn) { return func(p *net.TCPConn) { _, _ = io.WriteString(p, s) } }
	f("hangs", says(""), 0)
	f("hangs in the head", says("HTTP/1.1 200 OK\r\n"), 0)
	f("hangs after 100", says("HTTP/1.1 100 x\r\n\r\n"), 0)
	f("hangs in the body", says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nh"), 200)
	f("never ends", func(p *net.TCPConn) { // the flood is handed on piece by piece, until the deadline
		says("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")(p)
		for piece := make([]byte, BufferSize); ; {
			if _, err := p.Write(piece); err != nil {
				return
			}
		}
	}, 200)
}

// A deadline that passed before anything was sent sends nothing.
func TestSendTooLate(t *testing.T) {
	s := serve(t)
	e := endpoint(t, s.url)
	if got := sendTo(e, "GET", time.Now().Add(-time.Second)); got.err != ErrTimeout {
		t.Error(got)
	}
	if b, err := io.ReadAll(s.next()); len(b) > 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// However much comes, a piece is what one read brings: memory stays bounded.
func TestSendHandsOnPieces(t *testing.T) {
	s := serve(t)
	e := endpoint(t, s.url)
	largest, total := 0, 0
	got := later(func() error {
		_, err := e.Send(&Options{}, "GET", []byte(request), time.Now().Add(time.Hour), func(*Head) {}, func(p []byte) {
			largest, total = max(largest, len(p)), total+len(p)
		})
		return err
	})
	send(t, s.next(), "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n"+strings.Repeat("x", long))
	if err := <-got; err != nil || total != long || largest > BufferSize {
		t.Errorf("%d bytes in pieces up to %d, %v", total, largest, err)
	}
}
