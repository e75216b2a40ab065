package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// server is a model server in the test's hands: it hands over each connection made to it.
type server struct {
	t     testing.TB
	conns chan *net.TCPConn
	url   string
}

func serve(t testing.TB) *server {
	t.Helper()
	ln := listen(t)
	s := &server{t, make(chan *net.TCPConn, 64), "http://" + ln.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns <- c.(*net.TCPConn)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
		for close(s.conns); ; {
			c, ok := <-s.conns
			if !ok {
				return
			}
			_ = c.Close()
		}
	})
	return s
}

// next is the next connection made.
func (s *server) next() *net.TCPConn {
	s.t.Helper()
	c := <-s.conns
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// none says that no connection waits to be handed over.
func (s *server) none() {
	s.t.Helper()
	if len(s.conns) > 0 {
		s.t.Error("a connection was made for nothing")
	}
}

func endpoint(t testing.TB, url string) *Endpoint {
	t.Helper()
	e := newEndpoint(url, NewWatch(), unknown())
	t.Cleanup(e.close)
	return e
}

func acquire(t testing.TB, e *Endpoint) *Conn {
	t.Helper()
	c, err := e.Acquire(&Options{ConnectTimeout: time.Minute}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	answer  = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
)

// exchange is one whole exchange over c, whose other end is peer.
func exchange(t testing.TB, c *Conn, peer net.Conn) {
	t.Helper()
	answered(t, c, peer, answer)
}

// answered is an exchange in which peer says so much.
func answered(t testing.TB, c *Conn, peer net.Conn, says string) {
	t.Helper()
	done := later(func() error { return finish(c) })
	receive(t, peer, request)
	send(t, peer, says)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// finish is the proxy's part of an exchange.
func finish(c *Conn) error {
	c.Hold([]byte(request))
	var h Head
	if err := c.ReadHead(&h, wide, false); err != nil {
		return err
	}
	var b Body
	b.Start(&h, wide)
	got, err := drain(&b, c.Reader())
	if got != "hello" {
		return fmt.Errorf("the answer is %q, %w", got, err)
	}
	c.Release(true)
	return err
}

// used is an endpoint with one kept connection, and the peer of that.
func used(t testing.TB) (*Endpoint, *server, *net.TCPConn) {
	t.Helper()
	s := serve(t)
	e := endpoint(t, s.url)
	c := acquire(t, e)
	peer := s.next()
	exchange(t, c, peer)
	return e, s, peer
}

func TestAddr(t *testing.T) {
	f := func(url, want string) {
		t.Helper()
		if e := newEndpoint(url, NewWatch(), unknown()); e.Addr() != want || e.URL() != url {
			t.Errorf("%s: %s, %s", url, e.Addr(), e.URL())
		}
	}
	f("http://a:8080", "a:8080")
	f("http://a", "a:80")
	f("http://127.0.0.1:1", "127.0.0.1:1")
	f("http://[::1]:8080", "[::1]:8080")
	f("http://[::1]", "[::1]:80")
	f("a:8080", "a:8080")
}

func TestConnectionIsReused(t *testing.T) {
	e, s, peer := used(t)
	for range 3 {
		c := acquire(t, e)
		exchange(t, c, peer)
		if c.Endpoint() != e || !c.Written() {
			t.Error("the connection does not know what it did")
		}
	}
	s.none()
}

// The warmest is lent first, so that the coldest can be let go.
func TestLastUsedFirstLent(t *testing.T) {
	s := serve(t)
	e := endpoint(t, s.url)
	var conns []*Conn
	var ends []*net.TCPConn
	for range 3 {
		conns, ends = append(conns, acquire(t, e)), append(ends, s.next())
	}
	for _, i := range []int{1, 0, 2} {
		exchange(t, conns[i], ends[i])
	}
	for _, i := range []int{2, 0, 1} {
		if c := acquire(t, e); c != conns[i] {
			t.Errorf("connection %d was not lent in its turn", i)
		}
	}
	s.none()
	for _, c := range conns {
		c.Release(false)
	}
}

// A kept connection on which anything came is not used again: its bytes answer no request.
func TestStrayBytesAnswerNobody(t *testing.T) {
	f := func(what string, do func(peer *net.TCPConn)) {
		t.Helper()
		e, s, peer := used(t)
		do(peer)
		until(t, what+" is there", func() bool { return arrived(t, e.kept[0].wire) })
		c := acquire(t, e)
		if c.reused || e.open != 1 {
			t.Errorf("%s: the connection is used again, %d open", what, e.open)
		}
		exchange(t, c, s.next())
		s.none()
	}
	f("an answer nobody asked for", func(p *net.TCPConn) { send(t, p, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray") })
	f("a byte", func(p *net.TCPConn) { send(t, p, "\n") })
	f("the end", func(p *net.TCPConn) { _ = p.Close() })
	f("half an end", func(p *net.TCPConn) { _ = p.CloseWrite() })
	f("a reset", func(p *net.TCPConn) { _ = p.SetLinger(0); _ = p.Close() })
}

// Bytes behind the answer, read with it, close the connection.
func TestBytesBehindTheAnswer(t *testing.T) {
	s := serve(t)
	e := endpoint(t, s.url)
	c := acquire(t, e)
	answered(t, c, s.next(), answer+"HTTP/1.1 200 OK\r\n")
	if len(e.kept) != 0 || e.open != 0 {
		t.Errorf("%d kept, %d open", len(e.kept), e.open)
	}
}

func TestReleaseInDoubtCloses(t *testing.T) {
	f := func(what string, again bool, do func(*Conn)) {
		t.Helper()
		s := serve(t)
		e := endpoint(t, s.url)
		c := acquire(t, e)
		peer := s.next()
		do(c)
		c.Release(again)
		if n, err := peer.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: the peer reads %d, %v", what, n, err)
		}
		if len(e.kept) != 0 || e.open != 0 || e.InFlight() != 0 {
			t.Errorf("%s: %d kept, %d open, %d in flight", what, len(e.kept), e.open, e.InFlight())
		}
	}
	f("told", false, func(*Conn) {})
	f("aborted", true, (*Conn).Abort)
	f("read cut", true, func(c *Conn) { c.Wire().ReadWithin(time.Second); pass(c.Wire().watch, time.Hour) })
	f("write cut", true, func(c *Conn) { c.Wire().WriteWithin(time.Second); pass(c.Wire().watch, time.Hour) })
	f("forgotten by a reload", true, func(c *Conn) { c.endpoint.close() })
}

func TestInFlight(t *testing.T) {
	s := serve(t)
	e := endpoint(t, s.url)
	f := func(want int64) {
		t.Helper()
		if got := e.InFlight(); got != want {
			t.Errorf("%d; want %d", got, want)
		}
	}
	a, b := acquire(t, e), acquire(t, e)
	f(2)
	exchange(t, a, s.next())
	f(1)
	c := acquire(t, e) // lent again
	f(2)
	b.Release(false)
	c.Release(false)
	f(0)
}

func TestMaxConnections(t *testing.T) {
	s := serve(t)
	e := endpoint(t, s.url)
	o := &Options{MaxConnections: 2, ConnectTimeout: time.Minute}
	var lent []*Conn
	for range 2 {
		c, err := e.Acquire(o, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		lent = append(lent, c)
	}
	if _, err := e.Acquire(o, false, nil); !errors.Is(err, ErrFull) || e.InFlight() != 2 {
		t.Errorf("%v, %d in flight", err, e.InFlight())
	}
	exchange(t, lent[0], s.next())
	c, err := e.Acquire(o, false, nil)
	if err != nil || c != lent[0] {
		t.Errorf("the kept one is not lent: %v", err)
	}
	c.Release(false)
	if lent[0], err = e.Acquire(o, false, nil); err != nil {
		t.Errorf("a closed connection counts: %v", err)
	}
	for _, c := range lent {
		c.Release(false)
	}
}

// A connection that waits for use gives way to a fresh one.
func TestFreshOneWhenTheKeptFillTheBound(t *testing.T) {
	e, s, _ := used(t)
	c, err := e.Acquire(&Options{MaxConnections: 1, ConnectTimeout: time.Minute}, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.reused || e.open != 1 || len(e.kept) != 0 {
		t.Errorf("reused %t, %d open, %d kept", c.reused, e.open, len(e.kept))
	}
	exchange(t, c, s.next())
}

// refused is an address at which nobody listens.
func refused(t testing.TB) string {
	t.Helper()
	address, _, give, err := modeltest.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(give)
	return "http://" + address
}

func TestConnectFails(t *testing.T) {
	e := endpoint(t, refused(t))
	for range 2 {
		_, err := e.Acquire(&Options{ConnectTimeout: time.Minute, MaxConnections: 1}, false, nil)
		if !errors.Is(err, ErrConnect) || e.InFlight() != 0 || e.open != 0 {
			t.Errorf("%v, %d in flight, %d open", err, e.InFlight(), e.open)
		}
	}
	if err := e.Reach(context.Background(), &Options{}); !errors.Is(err, ErrConnect) {
		t.Error(err)
	}
}

func TestReach(t *testing.T) {
	s := serve(t)
	e := endpoint(t, s.url)
	if err := e.Reach(context.Background(), &Options{ConnectTimeout: time.Minute}); err != nil {
		t.Error(err)
	}
	if _, err := s.next().Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection tried stays: %v", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := e.Reach(ctx, &Options{}); !errors.Is(err, ErrConnect) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What a connection that ends means: stale only where it was used before and no byte of the answer came.
func TestFailures(t *testing.T) {
	reset := func(p *net.TCPConn) { _ = p.SetLinger(0); _ = p.Close() }
	closed := func(p *net.TCPConn) { _ = p.Close() }
	says := func(s string, then func(*net.TCPConn)) func(*net.TCPConn) {
		return func(p *net.TCPConn) { send(t, p, s); then(p) }
	}
	f := func(what string, reused bool, do func(*net.TCPConn), want error) {
		t.Helper()
		var c *Conn
		var peer *net.TCPConn
		if reused {
			e, _, p := used(t)
			c, peer = acquire(t, e), p
		} else {
			s := serve(t)
			c = acquire(t, endpoint(t, s.url))
			peer = s.next()
		}
		defer c.Release(false)
		if c.Written() {
			t.Errorf("%s: written before anything was", what)
		}
		if err := c.Write([]byte(request)); err != nil || !c.Written() {
			t.Fatal(what, err)
		}
		receive(t, peer, request)
		do(peer)
		var h Head
		err := c.ReadHead(&h, wide, false)
		if err == nil {
			var b Body
			b.Start(&h, wide)
			_, err = drain(&b, c.Reader())
			err = c.Explain(err)
		}
		for _, known := range []error{ErrStale, ErrReset, ErrInvalid, ErrTimeout, ErrAborted, ErrConnect, ErrFull} {
			if got := errors.Is(err, known); got != (known == want) {
				t.Errorf("%s: %v; want %v", what, err, want)
			}
		}
	}
	f("closed before the answer, reused", true, closed, ErrStale)
	f("reset before the answer, reused", true, reset, ErrStale)
	f("closed before the answer, new", false, closed, ErrReset)
	f("reset before the answer, new", false, reset, ErrReset)
	f("closed in the head, reused", true, says("H", closed), ErrReset)
	f("closed in the head, new", false, says("HTTP/1.1 200 OK\r\n", closed), ErrReset)
	f("closed after 100", true, says("HTTP/1.1 100 Continue\r\n\r\n", closed), ErrReset)
	f("closed in the body", true, says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", closed), ErrReset)
	f("closed in the chunks", true, says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell", closed), ErrReset)
	f("a chunk that is none", true, says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", closed), ErrInvalid)
	f("garbage", true, says("\x00\n", closed), ErrInvalid)
	f("no HTTP/1.1", false, says("HTTP/2.0 200 OK\r\n\r\n", closed), ErrInvalid)
	f("too long a head", false, says("HTTP/1.1 200 OK\r\nA: "+strings.Repeat("a", wide.Bytes)+"\r\n\r\n", closed), ErrInvalid)
	f("endless head", false, says(strings.Repeat("a", wide.Bytes+1), func(*net.TCPConn) {}), ErrInvalid)
}

func TestTimeoutAndAbort(t *testing.T) {
	f := func(do func(*Conn), want error) {
		t.Helper()
		e, _, _ := used(t)
		c := acquire(t, e)
		defer c.Release(false)
		c.Hold([]byte(request))
		c.Wire().ReadWithin(time.Second)
		got := later(func() error { return c.ReadHead(new(Head), wide, false) })
		do(c)
		if err := <-got; err != want {
			t.Errorf("%v; want %v", err, want)
		}
		if err := c.Write([]byte("x")); want == ErrAborted && err != want {
			t.Errorf("writing: %v", err)
		}
	}
	f(func(c *Conn) { pass(c.Wire().watch, time.Hour) }, ErrTimeout)
	f((*Conn).Abort, ErrAborted)
	f(func(c *Conn) { c.Abort(); c.Abort() }, ErrAborted)
}

// Interim heads are read one by one, each in its place.
func TestInterimHeads(t *testing.T) {
	e, _, peer := used(t)
	c := acquire(t, e)
	defer c.Release(false)
	if err := c.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	send(t, peer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"+answer)
	var h Head
	for _, want := range []string{"100 1.1 none", "103 1.1 none", "200 1.1 5"} {
		if err := c.ReadHead(&h, wide, false); err != nil || meaning(&h) != want {
			t.Errorf("%s, %v; want %s", meaning(&h), err, want)
		}
	}
}

// A model server that refuses before it was asked is heard.
func TestAnswerBeforeTheRequest(t *testing.T) {
	s := serve(t)
	c := acquire(t, endpoint(t, s.url))
	defer c.Release(false)
	send(t, s.next(), "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")
	until(t, "the answer is there", func() bool { return arrived(t, c.wire) })
	told(t)
	c.Hold([]byte(request))
	c.Wire().ReadWithin(time.Second)
	run(t, c.Wire().watch.Run)
	var h Head
	if err := c.ReadHead(&h, wide, false); err != nil || h.Status != 503 {
		t.Errorf("%d, %v", h.Status, err)
	}
}

// An endpoint that was given up on does not look idle; one whose answer had begun does.
func TestGivenUpOn(t *testing.T) {
	f := func(answer string, end func(*Conn), want float64) {
		t.Helper()
		s := serve(t)
		e := endpoint(t, s.url)
		c := acquire(t, e)
		send(t, s.next(), answer)
		if answer != "" {
			var h Head
			if err := c.ReadHead(&h, wide, false); err != nil {
				t.Fatal(err)
			}
		}
		e.watch.now.Store(int64(time.Second))
		end(c)
		c.Release(false)
		if got := e.Load(); got != want {
			t.Errorf("after %q: load %v, want %v", answer, got, want)
		}
	}
	timeout := func(c *Conn) {
		c.wire.ReadWithin(time.Nanosecond)
		c.wire.expire(int64(time.Hour))
	}
	const begun = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	f("", (*Conn).Abort, 5)
	f("", timeout, 5)
	f("", func(c *Conn) { c.Pause(); c.Abort() }, 0) // its client had not sent all
	f("", func(*Conn) {}, 0)
	f(begun, (*Conn).Abort, 0)
	f(begun, timeout, 0)
}

func TestReap(t *testing.T) {
	s := serve(t)
	e := endpoint(t, s.url)
	a, b := acquire(t, e), acquire(t, e)
	x, y := s.next(), s.next()
	exchange(t, a, x)
	e.watch.now.Store(int64(maxIdle))
	exchange(t, b, y)
	e.reap(int64(maxIdle))
	if len(e.kept) != 2 {
		t.Fatalf("%d kept: one went before its time", len(e.kept))
	}
	e.reap(int64(maxIdle) + 1)
	if len(e.kept) != 1 || e.kept[0] != b || e.open != 1 {
		t.Errorf("%d kept, %d open; the cold one should be gone", len(e.kept), e.open)
	}
	if _, err := x.Read(make([]byte, 1)); err != io.EOF {
		t.Error("the cold one is open:", err)
	}
	_ = y.Close() // a model server that went away leaves nothing behind
	until(t, "the end is there", func() bool { return arrived(t, b.wire) })
	e.reap(int64(maxIdle) + 1)
	if len(e.kept) != 0 || e.open != 0 {
		t.Errorf("%d kept, %d open", len(e.kept), e.open)
	}
}

func TestEndpointsReapOnceASecond(t *testing.T) {
	s := serve(t)
	set := NewEndpoints(func(Transition) {})
	e := set.Get(Live, "a", s.url)
	c := acquire(t, e)
	peer := s.next()
	exchange(t, c, peer)
	_ = peer.Close()
	until(t, "the end is there", func() bool { return arrived(t, c.wire) })
	set.watch.now.Store(int64(time.Second) - 1)
	set.reap()
	if len(e.kept) != 1 {
		t.Error("reaped within the second")
	}
	pass(set.watch, 2*time.Second)
	if len(e.kept) != 0 {
		t.Error("not reaped after it")
	}
}

func TestEndpoints(t *testing.T) {
	set := NewEndpoints(func(Transition) {})
	f := func(a, b *Endpoint, same bool) {
		t.Helper()
		if (a == b) != same {
			t.Errorf("same %t; want %t", a == b, same)
		}
	}
	a := set.Get(Live, "a", "http://x:1")
	f(a, set.Get(Live, "a", "http://x:1"), true)
	f(a, set.Get(Copies, "a", "http://x:1"), false)
	f(a, set.Get(Live, "b", "http://x:1"), false)
	f(a, set.Get(Live, "a", "http://x:2"), false)
	set.Retain(func(e *Endpoint) bool { return e == a })
	f(a, set.Get(Live, "a", "http://x:1"), true)
	if len(set.known) != 1 {
		t.Errorf("%d known", len(set.known))
	}
	set.Retain(func(*Endpoint) bool { return false })
	f(a, set.Get(Live, "a", "http://x:1"), false)
}

// An endpoint that is dropped closes what it keeps, and lets what it lent finish.
func TestRetainCloses(t *testing.T) {
	s := serve(t)
	set := NewEndpoints(func(Transition) {})
	e := set.Get(Live, "a", s.url)
	kept, lent := acquire(t, e), acquire(t, e)
	x, y := s.next(), s.next()
	exchange(t, kept, x)
	set.Retain(func(*Endpoint) bool { return false })
	if _, err := x.Read(make([]byte, 1)); err != io.EOF {
		t.Error("the kept one is open:", err)
	}
	exchange(t, lent, y)
	if _, err := y.Read(make([]byte, 1)); err != io.EOF {
		t.Error("the lent one is open after its exchange:", err)
	}
	if e.open != 0 {
		t.Errorf("%d open", e.open)
	}
}

func TestRunClosesAllAtItsEnd(t *testing.T) {
	s := serve(t)
	set := NewEndpoints(func(Transition) {})
	e := set.Get(Live, "a", s.url)
	c := acquire(t, e)
	peer := s.next()
	exchange(t, c, peer)
	ctx, stop := context.WithCancel(context.Background())
	done := later(func() bool { set.Run(ctx); return true })
	stop()
	<-done
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	if set.Watch() != e.watch {
		t.Error("the endpoints have a watch of their own")
	}
}

// Many exchanges at once, each with the answer to its own request.
func TestExchangesAtOnce(t *testing.T) {
	s := serve(t)
	e := endpoint(t, s.url)
	const many, each = 8, 50
	for range many {
		go func() { // echoes the target as the body
			c, ok := <-s.conns
			if !ok {
				return
			}
			defer c.Close()
			for in := bufio.NewReader(c); ; {
				req, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				a := AppendChunk([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), []byte(req.URL.Path))
				_, _ = c.Write(AppendLastChunk(a, nil))
			}
		}()
	}
	results := make(chan error, many)
	for i := range many {
		go func() { results <- ask(e, string(rune('a'+i)), each) }()
	}
	for range many {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if e.InFlight() != 0 || e.open != len(e.kept) || e.open > many {
		t.Errorf("%d in flight, %d open, %d kept", e.InFlight(), e.open, len(e.kept))
	}
}

func ask(e *Endpoint, name string, times int) error {
	want := "/" + name
	var h Head
	var b Body
	for range times {
		c, err := e.Acquire(&Options{}, false, nil)
		if err != nil {
			return err
		}
		c.Hold([]byte("GET " + want + " HTTP/1.1\r\nHost: a\r\n\r\n"))
		if err := c.ReadHead(&h, wide, false); err != nil {
			return err
		}
		b.Start(&h, wide)
		got, err := drain(&b, c.Reader())
		if err != nil || got != want {
			return errors.New(want + " got " + got)
		}
		c.Release(true)
	}
	return nil
}

// What we ran out of ourselves is no model server's fault.
func TestWhyNoConnection(t *testing.T) {
	f := func(errno syscall.Errno, want error) {
		t.Helper()
		err := whyNoConnection(&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", errno)})
		if !errors.Is(err, want) || !errors.Is(err, errno) || blames(err) != (want == ErrConnect) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	f(syscall.EMFILE, ErrFull)
	f(syscall.ENFILE, ErrFull)
	f(syscall.EADDRNOTAVAIL, ErrFull)
	f(syscall.ECONNREFUSED, ErrConnect)
	f(syscall.EHOSTUNREACH, ErrConnect)
}
