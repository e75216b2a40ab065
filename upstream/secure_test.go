package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// authority issues the certificates of this package's tests.
var authority = sync.OnceValue(func() *modeltest.Authority {
	a, err := modeltest.NewAuthority()
	if err != nil {
		panic(err)
	}
	return a
})

// serverTLS shows a certificate made out to hosts.
func serverTLS(t testing.TB, version uint16, hosts ...string) *tls.Config {
	t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{issued(t, time.Now().Add(time.Hour), hosts...)}, MinVersion: version, MaxVersion: version}
}

func issued(t testing.TB, until time.Time, hosts ...string) tls.Certificate {
	t.Helper()
	c, err := authority().Issue(until, hosts...)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := c.Pair()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// believing trusts the tests' authority, and shows what else it has.
type believing struct{ *tls.Config }

func (b *believing) Connect(addr string) *tls.Config {
	c := &tls.Config{}
	if b.Config != nil {
		c = b.Clone()
	}
	if c.RootCAs == nil {
		c.RootCAs = authority().Pool()
	}
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(addr)
	}
	return c
}

// overTLS is over with TLS: the wire is the server's end.
func overTLS(t testing.TB, version uint16) (*Wire, *tls.Conn) {
	t.Helper()
	ours, theirs := peers(t)
	w := NewSecureWire(ours, tls.Server, serverTLS(t, version, "127.0.0.1"), NewWatch())
	peer := tls.Client(theirs, (&believing{}).Connect("127.0.0.1:0"))
	shaken := later(w.Handshake)
	if err := peer.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close(); _ = peer.Close() })
	return w, peer
}

// Whoever can cut a connection cannot make a message end there: the end is TLS's to tell.
func TestTheEndOfTheSocketIsNotThatOfTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		w, peer := overTLS(t, version)
		send(t, peer, "HTTP/1.1 200 OK\r\n\r\nhalf")
		_ = peer.NetConn().Close()
		r := NewReader(w)
		var h Head
		for {
			if n, _ := HeadEnd(r.Bytes(), 0, wide); n > 0 {
				if bad := h.ReadAnswer(r.Keep(n), wide, false); bad != nil {
					t.Fatal(bad)
				}
				break
			}
			if err := r.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		var b Body
		b.Start(&h, wide)
		got, err := drain(&b, &r)
		if got != "half" || !errors.Is(err, ErrCutOff) || b.Done() {
			t.Errorf("%x: %q, %v, done %t", version, got, err, b.Done())
		}
	}
}

// What is read at once need not be read by the reader: what TLS still has must not wait for the socket.
func TestReaderSeesRecordsThatCameTogether(t *testing.T) {
	w, peer := overTLS(t, tls.VersionTLS13)
	for _, part := range []string{"one", "two", "three"} {
		send(t, peer, part)
	}
	_ = peer.CloseWrite()
	r := NewReader(w)
	w.ReadWithin(time.Second)
	run(t, w.watch.Run)
	var got strings.Builder
	for {
		err := r.Fill()
		got.Write(r.Bytes())
		r.Skip(len(r.Bytes()))
		r.Drop()
		if err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
	}
	if got.String() != "onetwothree" {
		t.Errorf("%q", got.String())
	}
}

// A record of which a part has come is waited for like one of which nothing has.
func TestReaderWaitsForTheRestOfARecord(t *testing.T) {
	ours, theirs := peers(t)
	w := NewSecureWire(ours, tls.Server, serverTLS(t, tls.VersionTLS13, "127.0.0.1"), NewWatch())
	defer w.Close()
	slow := &halves{Conn: theirs, rest: make(chan []byte, 1)}
	peer := tls.Client(slow, (&believing{}).Connect("127.0.0.1:0"))
	shaken := later(w.Handshake)
	if err := errors.Join(peer.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	slow.on = true
	r := NewReader(w)
	done := later(r.Fill)
	send(t, peer, "x")
	until(t, "the first half is read", w.Still)
	if _, err := theirs.Write(<-slow.rest); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || string(r.Bytes()) != "x" {
		t.Errorf("%q, %v", r.Bytes(), err)
	}
}

// halves is a connection that writes the first half of what it is given.
type halves struct {
	net.Conn
	on   bool
	rest chan []byte
}

func (h *halves) Write(p []byte) (int, error) {
	if !h.on {
		return h.Conn.Write(p)
	}
	n := len(p) / 2
	h.rest <- bytes.Clone(p[n:])
	_, err := h.Conn.Write(p[:n])
	return len(p), err
}

// Quiet lets tickets of sessions pass, and sees all else, also what TLS has read already.
func TestQuietOverTLS(t *testing.T) {
	f := func(what string, do func(peer *tls.Conn), want bool) {
		t.Helper()
		w, peer := overTLS(t, tls.VersionTLS13)
		do(peer)
		if want == w.Quiet() {
			return
		}
		if want {
			t.Error(what + " is not quiet")
		} else {
			until(t, what+" is noticed", func() bool { return !w.Quiet() })
		}
	}
	f("nothing", func(*tls.Conn) {}, true)
	f("a byte", func(p *tls.Conn) { send(t, p, "x") }, false)
	f("an end", func(p *tls.Conn) { _ = p.CloseWrite() }, false)
	f("an end without TLS", func(p *tls.Conn) { _ = p.NetConn().Close() }, false)

	w, peer := overTLS(t, tls.VersionTLS13)
	send(t, peer, "answer")
	send(t, peer, "stray")
	until(t, "both have come", func() bool { return !w.Still() })
	receive(t, w, "answer")
	if until(t, "the stray bytes are noticed", func() bool { return !w.Quiet() }); w.Quiet() {
		t.Error("what was noticed is forgotten")
	}
}

func TestGoneOverTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		f := func(what string, do func(peer *tls.Conn), want bool) {
			t.Helper()
			w, peer := overTLS(t, version)
			do(peer)
			if want {
				until(t, what+" is noticed", w.Gone)
			} else if w.Gone() {
				t.Errorf("%x: %s", version, what)
			}
		}
		socket := func(p *tls.Conn) *net.TCPConn { return p.NetConn().(*net.TCPConn) }
		f("nothing", func(*tls.Conn) {}, false)
		f("closed", func(p *tls.Conn) { _ = p.Close() }, true)
		f("closed without TLS", func(p *tls.Conn) { _ = socket(p).Close() }, true)
		f("reset", func(p *tls.Conn) { _ = socket(p).SetLinger(0); _ = socket(p).Close() }, true)
		f("said to send no more, and reads on", func(p *tls.Conn) { _ = p.CloseWrite() }, false)
		f("a pipelined request", func(p *tls.Conn) { send(t, p, "GET") }, false)
		f("a pipelined request, then half closed", func(p *tls.Conn) { send(t, p, "GET"); _ = p.CloseWrite(); _ = socket(p).CloseWrite() }, false)
	}
}

func TestFarewell(t *testing.T) {
	f := func(b string, want bool) {
		t.Helper()
		if farewell([]byte(b)) != want {
			t.Errorf("%q: %t", b, !want)
		}
	}
	f("", false)
	f("\x15\x03\x03\x00\x02\x01\x00", true)
	f("\x15\x03\x03\x00\x1a"+strings.Repeat("a", 26), true)
	f("\x15\x03\x03\x00\x1a"+strings.Repeat("a", 25), false)
	f("\x17\x03\x03\x00\x13"+strings.Repeat("a", 19), true)
	f("\x17\x03\x03\x00\x14"+strings.Repeat("a", 20), false)
	f("\x17\x03\x03\x00\x13"+strings.Repeat("a", 40), false)
}

// Who is cut off must be able to tell that it is not the end; who is not gets TLS's word for it.
func TestHowASecureWireEnds(t *testing.T) {
	f := func(what string, end func(w *Wire), want error) {
		t.Helper()
		w, peer := overTLS(t, tls.VersionTLS13)
		peerEnds := later(func() error { _, err := peer.NetConn().Read(make([]byte, 1<<10)); return err })
		end(w)
		if err := <-peerEnds; want != nil && !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: the peer's socket says %v, want %v", what, err, want)
		}
	}
	f("closed", func(w *Wire) { _ = w.Close() }, nil) // an alert comes first
	f("cut", func(w *Wire) { w.Cut(); _ = w.Close() }, io.EOF)
	f("reset", func(w *Wire) { _ = w.Reset() }, syscall.ECONNRESET)
}

// secureEndpoint is an endpoint at a server that speaks TLS in the test's hands, after its handshake.
func secureEndpoint(t testing.TB, version uint16) (*Endpoint, *Options, func() *tls.Conn) {
	t.Helper()
	s, c := serve(t), serverTLS(t, version, "127.0.0.1")
	e := endpoint(t, strings.Replace(s.url, "http:", "https:", 1))
	o := &Options{ConnectTimeout: time.Minute, TLS: &believing{&tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(1)}}}
	return e, o, func() *tls.Conn {
		peer := tls.Server(s.next(), c)
		if err := peer.Handshake(); err != nil {
			t.Fatal(err)
		}
		return peer
	}
}

func lent(t testing.TB, e *Endpoint, o *Options, next func() *tls.Conn) (*Conn, *tls.Conn) {
	t.Helper()
	got := later(func() *Conn {
		c, err := e.Acquire(o, false, nil)
		if err != nil {
			t.Error(err)
		}
		return c
	})
	peer := next()
	return <-got, peer
}

// The tickets that TLS 1.3 sends after the handshake keep nobody from using the connection again, and the session is resumed.
func TestSecureConnectionsAreUsedAgain(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		e, o, next := secureEndpoint(t, version)
		c, peer := lent(t, e, o, next)
		for range 3 {
			exchange(t, c, peer)
			var err error
			if c, err = e.Acquire(o, false, nil); err != nil || !c.reused {
				t.Fatalf("%x: reused %t, %v", version, c.reused, err)
			}
		}
		c.Release(false)
		again, peer := lent(t, e, o, next)
		if !peer.ConnectionState().DidResume {
			t.Errorf("%x: the session was not resumed", version)
		}
		again.Release(false)
	}
}

func TestSecureConnectionsThatAreNotUsedAgain(t *testing.T) {
	f := func(what string, do func(peer *tls.Conn)) {
		t.Helper()
		e, o, next := secureEndpoint(t, tls.VersionTLS13)
		c, peer := lent(t, e, o, next)
		exchange(t, c, peer)
		do(peer)
		until(t, what+" is there", func() bool { return !c.wire.Still() })
		fresh, _ := lent(t, e, o, next)
		if fresh == c {
			t.Error(what + ": the connection is used again")
		}
		fresh.Release(false)
	}
	f("a stray byte", func(p *tls.Conn) { send(t, p, "x") })
	f("an end", func(p *tls.Conn) { _ = p.Close() })
	f("an end without TLS", func(p *tls.Conn) { _ = p.NetConn().Close() })

	e, o, next := secureEndpoint(t, tls.VersionTLS13)
	c, peer := lent(t, e, o, next)
	exchange(t, c, peer)
	other := *o
	other.TLS = &believing{&tls.Config{ServerName: "127.0.0.1"}}
	fresh, _ := lent(t, e, &other, next)
	if fresh == c {
		t.Error("a connection made on other terms is used again")
	}
	fresh.Release(false)
}

func TestHandshakesThatFail(t *testing.T) {
	f := func(want string, server *tls.Config, client *tls.Config) {
		t.Helper()
		s := serve(t)
		e := endpoint(t, strings.Replace(s.url, "http:", "https:", 1))
		o := &Options{ConnectTimeout: time.Minute, TLS: &believing{client}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if c, ok := <-s.conns; ok {
				peer := tls.Server(c, server)
				_ = peer.Handshake()
				_, _ = peer.Read(make([]byte, 1))
				_ = peer.Close()
			}
		}()
		err := e.Reach(context.Background(), o)
		failed, ok := errors.AsType[*HandshakeError](err)
		if !ok || !errors.Is(err, ErrConnect) || failed.Check != want || !strings.Contains(err.Error(), failed.Err.Error()) {
			t.Errorf("%v; want %s", err, want)
		}
		<-done
	}
	shown := func(until time.Time, hosts ...string) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{issued(t, until, hosts...)}, MinVersion: tls.VersionTLS12}
	}
	hour := time.Now().Add(time.Hour)
	stranger, err := modeltest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	f("its certificate has expired, or is not valid yet", shown(time.Now().Add(-time.Hour), "127.0.0.1"), &tls.Config{})
	f("its certificate has expired, or is not valid yet", shown(time.Now().Add(48*time.Hour), "127.0.0.1"), &tls.Config{})
	f("its certificate is made out to another name", shown(hour, "models.example.org"), &tls.Config{})
	f("its certificate is made out to another name", shown(hour, "127.0.0.1"), &tls.Config{ServerName: "models.example.org"})
	f("its certificate is of an unknown authority", shown(hour, "127.0.0.1"), &tls.Config{RootCAs: stranger.Pool()})
	asking := shown(hour, "127.0.0.1")
	asking.ClientAuth, asking.ClientCAs, asking.MaxVersion = tls.RequireAndVerifyClientCert, authority().Pool(), tls.VersionTLS12
	f("it does not accept our certificate", asking, &tls.Config{Certificates: []tls.Certificate{issued(t, time.Now().Add(-time.Hour), "us")}})
	f("the handshake failed", asking, &tls.Config{})
	old := shown(hour, "127.0.0.1")
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	f("the handshake failed", old, &tls.Config{})
}

func TestHandshakesThatNeverEnd(t *testing.T) {
	f := func(want string, do func(peer net.Conn), limit time.Duration) {
		t.Helper()
		s := serve(t)
		e := endpoint(t, strings.Replace(s.url, "http:", "https:", 1))
		done := later(func() error { return e.Reach(context.Background(), &Options{ConnectTimeout: limit, TLS: &believing{}}) })
		do(s.next())
		err := <-done
		if failed, ok := errors.AsType[*HandshakeError](err); !ok || failed.Check != want {
			t.Errorf("%v; want %s", err, want)
		}
	}
	f("the handshake took longer than connect_timeout", func(net.Conn) {}, 50*time.Millisecond)
	f("it does not speak TLS", func(p net.Conn) { send(t, p, answer) }, time.Minute)
	f("it closed the connection in the handshake", func(p net.Conn) { _, _ = p.Read(make([]byte, 1<<12)); _ = p.Close() }, time.Minute)

	s := serve(t)
	e := endpoint(t, strings.Replace(s.url, "http:", "https:", 1))
	ctx, cancel := context.WithCancel(context.Background())
	done := later(func() error { return e.Reach(ctx, &Options{ConnectTimeout: time.Minute, TLS: &believing{}}) })
	s.next()
	cancel()
	if err := <-done; !errors.Is(err, ErrConnect) {
		t.Errorf("cancelled: %v", err)
	}
}

// An https endpoint is never spoken to in clear, whoever forgets to say whom to trust.
func TestNoTrustNoConnection(t *testing.T) {
	s := serve(t)
	e := endpoint(t, strings.Replace(s.url, "http:", "https:", 1))
	if _, err := e.Acquire(&Options{ConnectTimeout: time.Minute}, false, nil); !errors.Is(err, ErrConnect) {
		t.Error(err)
	}
}

// In TLS 1.3 a model server refuses our certificate after the handshake; that is no connection all the same.
func TestRefusedAfterTheHandshake(t *testing.T) {
	s := serve(t)
	e := endpoint(t, strings.Replace(s.url, "http:", "https:", 1))
	server := serverTLS(t, tls.VersionTLS13, "127.0.0.1")
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, authority().Pool()
	done := make(chan struct{})
	go func() {
		defer close(done)
		peer := tls.Server(<-s.conns, server)
		_ = peer.Handshake()
		_, _ = io.Copy(io.Discard, peer.NetConn())
		_ = peer.Close()
	}()
	c, err := e.Acquire(&Options{ConnectTimeout: time.Minute, TLS: &believing{}}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	var h Head
	c.Hold([]byte(request))
	err = c.ReadHead(&h, wide, false)
	if failed, ok := errors.AsType[*HandshakeError](err); !ok || !errors.Is(err, ErrConnect) || failed.Check != "it does not accept our certificate" {
		t.Error(err)
	}
	c.Release(false)
	<-done
}
