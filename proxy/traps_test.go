package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mlproxy/config"
)

// Each trap is one that a proxy made of fasthttp v1.77 alone falls into. A test is named after its trap, and shows the real server
// stepping over it.

// stand is a proxy between one client and a model server whose connections are each played by a function.
type stand struct {
	*testing.T
	front   net.Listener
	client  net.Conn
	in      *bufio.Reader
	conns   atomic.Int32 // that the proxy has made
	playing sync.WaitGroup
}

// play serves one connection of the model server, which is closed when it returns.
type play func(c *net.TCPConn, in *bufio.Reader)

func newStand(t *testing.T, p play, change ...func(*config.Config)) *stand {
	t.Helper()
	s := &stand{T: t, front: listen(t)}
	model := listen(t)
	s.playing.Go(func() { s.accept(model, p) })
	cfg := plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}})
	for _, f := range change {
		f(cfg)
	}
	t.Cleanup(func() { _ = model.Close(); s.playing.Wait() })
	startProxy(t, cfg, s.front)
	s.dial()
	return s
}

func (s *stand) accept(model net.Listener, p play) {
	for {
		c, err := model.Accept()
		if err != nil {
			return
		}
		s.conns.Add(1)
		s.playing.Go(func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			p(c.(*net.TCPConn), bufio.NewReader(c))
		})
	}
}

// dial gives the client a new connection.
func (s *stand) dial() {
	s.Helper()
	s.client = dial(s.T, s.front)
	_ = s.client.SetDeadline(time.Now().Add(30 * time.Second))
	s.in = bufio.NewReader(s.client)
}

const path = "/v2/models/iris/x"

func (s *stand) send(text string) {
	s.Helper()
	if _, err := io.WriteString(s.client, text); err != nil {
		s.Fatal(err)
	}
}

func (s *stand) get() { s.Helper(); s.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n") }

// head reads the head of an answer.
func (s *stand) head(status int) *http.Response {
	s.Helper()
	r, err := http.ReadResponse(s.in, nil)
	if err != nil {
		s.Fatal(err)
	}
	if r.StatusCode != status {
		body, _ := io.ReadAll(r.Body)
		s.Fatalf("answered with %d in place of %d: %s", r.StatusCode, status, body)
	}
	return r
}

// answer reads a whole answer.
func (s *stand) answer(status int) (*http.Response, string) {
	s.Helper()
	r := s.head(status)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.Fatal(err)
	}
	return r, string(body)
}

// broken reads an answer that must not come to its end.
func (s *stand) broken() {
	s.Helper()
	r, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return
	}
	if body, err := io.ReadAll(r.Body); err == nil && r.StatusCode < 500 {
		s.Errorf("%d with %q is taken for a whole answer", r.StatusCode, body)
	}
}

// hear reads a request on the model server's side.
func hear(in *bufio.Reader) (*http.Request, []byte, error) {
	r, err := http.ReadRequest(in)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(r.Body)
	return r, body, err
}

// well answers every request as it should be.
func well(c *net.TCPConn, in *bufio.Reader) {
	for {
		r, body, err := hear(in)
		if err != nil {
			return
		}
		text := fmt.Sprintf("%s %d", r.Method, len(body))
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	}
}

// once answers the first request with a text, and the others well.
func once(text string) play {
	return func(c *net.TCPConn, in *bufio.Reader) {
		if _, _, err := hear(in); err == nil {
			_, _ = io.WriteString(c, text)
			well(c, in)
		}
	}
}

func TestTrapStrayBytesPoisonNextExchange(t *testing.T) {
	for _, stray := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "x", "\r\n"} {
		var later atomic.Bool
		s := newStand(t, func(c *net.TCPConn, in *bufio.Reader) {
			if !later.Swap(true) {
				once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"+stray)(c, in)
				return
			}
			well(c, in)
		})
		s.get()
		s.answer(200)
		s.get()
		if _, body := s.answer(200); body != "GET 0" {
			t.Errorf("after %q the next exchange is answered with %q", stray, body)
		}
	}
}

func TestTrapRetriesByItself(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "PUT", "POST"} {
		var heard atomic.Int32
		s := newStand(t, func(_ *net.TCPConn, in *bufio.Reader) {
			if _, _, err := hear(in); err == nil {
				heard.Add(1)
			}
		})
		s.send(method + " " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
		s.head(502)
		if n := heard.Load(); n != 1 {
			t.Errorf("one %s became %d", method, n)
		}
	}
}

func TestTrapStaleConnectionFailsPost(t *testing.T) {
	closed := make(chan struct{}, 9)
	s := newStand(t, func(c *net.TCPConn, in *bufio.Reader) {
		if _, _, err := hear(in); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") // and closes, without saying so
		}
		_ = c.Close()
		closed <- struct{}{}
	})
	for range 3 {
		s.send("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
		s.answer(200)
		<-closed
	}
}

func TestTrapCannotBeCancelled(t *testing.T) {
	departs(t, func(c *net.TCPConn) { _ = c.Close() })
}

func TestTrapDepartureIsInvisible(t *testing.T) {
	departs(t, func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() })
}

// departs has a client leave while nothing is written to it: the model server is to notice.
func departs(t *testing.T, leave func(c *net.TCPConn)) {
	t.Helper()
	arrived, ended := make(chan struct{}), make(chan error)
	s := newStand(t, func(_ *net.TCPConn, in *bufio.Reader) {
		if _, _, err := hear(in); err == nil {
			close(arrived)
			_, err := in.ReadByte()
			ended <- err
		}
	})
	s.get()
	<-arrived
	leave(s.client.(*net.TCPConn))
	if timeout, ok := errors.AsType[net.Error](<-ended); ok && timeout.Timeout() {
		t.Error("the model server works on for a client that has left")
	}
}

func TestTrapChunkedStreamThatEndsEarlyReadsAsComplete(t *testing.T) {
	for _, cut := range []string{"", "3\r\nabc", "3\r\nabc\r\n", "3\r\nabc\r\n0", "3\r\nabc\r\n0\r\n", "3\r\nabc\r\n0\r\nX-A: b\r\n"} {
		s := newStand(t, func(c *net.TCPConn, in *bufio.Reader) {
			if _, _, err := hear(in); err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+cut)
			}
		})
		s.get()
		s.broken()

		ended := make(chan error, 1)
		s = newStand(t, func(_ *net.TCPConn, in *bufio.Reader) {
			_, body, err := hear(in)
			if err == nil {
				err = fmt.Errorf("the model server takes %q for a whole request", body)
			} else {
				err = nil
			}
			ended <- err
		})
		s.send("POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("8000\r\n"+strings.Repeat("x", 32<<10)+"\r\n", 4) + cut)
		_ = s.client.(*net.TCPConn).CloseWrite()
		if err := <-ended; err != nil {
			t.Errorf("cut after %q: %v", cut, err)
		}
	}
}

// What comes together with the data that went before it is noticed all the same.
func TestTrapErrorThatComesWithData(t *testing.T) {
	for _, bad := range []string{"3\r\nabc\r\nx", "3\r\nabcd", "3\r\nabc\r\n-1\r\n", "3\r\nabc\r\nfffffffffffffffff\r\n"} {
		newly := func() *stand {
			return newStand(t, once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+bad))
		}
		s := newly()
		s.get()
		s.broken()
		s = newStand(t, well)
		s.send("POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + bad)
		s.head(400)
	}
}

func TestTrapIdentityTransferEncoding(t *testing.T) {
	for _, more := range []string{"", "Content-Length: 2\r\n"} {
		s := newStand(t, once("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n"+more+"\r\nok"))
		s.send("POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n" + more + "\r\nok")
		s.head(400)
		if n := s.conns.Load(); n != 0 {
			t.Errorf("the model server was asked %d times", n)
		}
		s.dial()
		s.get()
		s.head(502)
	}
}

func TestTrapAnyVersion(t *testing.T) {
	for version, want := range map[string]int{"HTTP/1.2": 505, "HTTP/2.0": 505, "HTTP/0.9": 505, "HTTP/9.9": 505, "HTTP/1.10": 400, "HTTP/11": 400, "http/1.1": 400} {
		s := newStand(t, once(version+" 200 OK\r\nContent-Length: 2\r\n\r\nok"))
		s.send("GET " + path + " " + version + "\r\nHost: h\r\n\r\n")
		s.head(want)
		if n := s.conns.Load(); n != 0 {
			t.Errorf("%s: the model server was asked %d times", version, n)
		}
		s.dial()
		s.get()
		s.head(502)
	}
}

func TestTrapBareLFAfterChunkData(t *testing.T) {
	for _, chunks := range []string{"2\r\nok\n0\r\n\r\n", "2\nok\r\n0\r\n\r\n", "2\r\nok\r\n0\n\r\n", "2\r\nok\r\n0\r\n\n"} {
		s := newStand(t, once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks))
		s.send("POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
		s.head(400)
		s.dial()
		s.get()
		s.broken()
	}
}

// A head has its own time; what it cuts is no stream that takes longer, in either direction.
func TestTrapHeadTimeoutCutsStreams(t *testing.T) {
	const head = 300 * time.Millisecond
	within := func(cfg *config.Config) { cfg.Limits.ReadHeaderTimeout = head }
	step := make(chan struct{})
	s := newStand(t, func(c *net.TCPConn, in *bufio.Reader) {
		if _, _, err := hear(in); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for range step {
				_, _ = io.WriteString(c, "5\r\nevent\r\n")
			}
			_, _ = io.WriteString(c, "0\r\n\r\n")
		}
	}, within)
	slow := dial(t, s.front) // its head never ends
	if _, err := io.WriteString(slow, "GET "+path+" HTTP/1.1\r\nHost: h\r\n"); err != nil {
		t.Fatal(err)
	}
	s.send("POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	// Twice the slow head's end: three times as long as a head may take at the least, for both directions of the stream.
	for range 2 {
		if r := receive(t, slow); r.StatusCode != 408 {
			t.Errorf("a head that does not end is answered with %d", r.StatusCode)
		}
		_ = slow.Close()
		s.send("5\r\nhello\r\n")
		slow = dial(t, s.front)
		_, _ = io.WriteString(slow, "G")
	}
	s.send("0\r\n\r\n")
	r := s.head(200)
	for range 2 {
		step <- struct{}{}
		if _, err := io.ReadFull(r.Body, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		receive(t, slow)
		_ = slow.Close()
		slow = dial(t, s.front)
		_, _ = io.WriteString(slow, "G")
	}
	close(step)
	if rest, err := io.ReadAll(r.Body); err != nil || len(rest) > 0 {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
}

func TestTrapHeaderCountHasNoLimit(t *testing.T) {
	s := newStand(t, well)
	for n, want := range map[int]int{99: 200, 100: 431} { // Host is one as well
		s.dial()
		s.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X: y\r\n", n) + "\r\n")
		s.head(want)
	}
	many := newStand(t, once("HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 300)+"Content-Length: 0\r\n\r\n"))
	many.get()
	many.head(502)
}

func TestTrapChunkExtensionsHaveNoLimit(t *testing.T) {
	s := newStand(t, well)
	for n, want := range map[int]int{1 << 10: 200, 32 << 10: 400} {
		s.dial()
		s.send("POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", n) + "\r\nok\r\n0\r\n\r\n")
		s.head(want)
	}
	many := newStand(t, once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("1;aaaaaaaa\r\nx\r\n", 4<<10)+"0\r\n\r\n"))
	many.get()
	many.broken()
}

func TestTrapBuffersWhatContentLengthClaims(t *testing.T) {
	const clients, claim = 64, 32 << 20
	arrived := make(chan struct{}, clients)
	s := newStand(t, func(_ *net.TCPConn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err == nil {
			arrived <- struct{}{}
			_, _ = in.WriteTo(io.Discard)
		}
	}, func(cfg *config.Config) { cfg.Limits.MaxBody, cfg.Limits.MaxConnections = 2*claim, 2*clients })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range clients {
		s.dial()
		s.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\nthe beginning", path, claim))
		<-arrived
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > clients*claim/8 {
		t.Errorf("%d claims of %d MB made it allocate %d MB", clients, claim>>20, grown>>20)
	}
}

func TestTrapExpectAnsweredBeforeHandler(t *testing.T) {
	s := newStand(t, well, func(cfg *config.Config) { cfg.Limits.MaxBody = 100 })
	const expect = " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: "
	s.send("POST /nowhere" + expect + "5\r\n\r\n")
	s.head(404) // at once, and not 100
	s.dial()
	s.send("POST " + path + expect + "500\r\n\r\n")
	s.head(413)
	s.dial()
	s.send("POST " + path + expect + "5\r\n\r\n")
	s.head(100)
	s.send("hello")
	if _, body := s.answer(200); body != "POST 5" {
		t.Errorf("after the invitation: %q", body)
	}
}

func TestTrapMalformedStreamedRequestSurfacesAs502(t *testing.T) {
	s := newStand(t, func(_ *net.TCPConn, in *bufio.Reader) { _, _, _ = hear(in) })
	s.send("POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("8000\r\n"+strings.Repeat("x", 32<<10)+"\r\n", 8) + "nonsense\r\n")
	s.head(400)
}

func TestTrapForwardsWhatEndsHere(t *testing.T) {
	heads := make(chan http.Header, 1)
	s := newStand(t, func(c *net.TCPConn, in *bufio.Reader) {
		for {
			r, _, err := hear(in)
			if err != nil {
				return
			}
			heads <- r.Header
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\n\r\n")
		}
	})
	s.send("GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: x-hop, upgrade\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nTE: trailers\r\n" +
		"Upgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n")
	r, _ := s.answer(200)
	got := <-heads
	for _, name := range []string{"Connection", "X-Hop", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Te", "Upgrade"} {
		if got[name] != nil || r.Header[name] != nil {
			t.Errorf("%s passes: %q, %q", name, got[name], r.Header[name])
		}
	}
	for _, line := range []string{"CONNECT h:80", "TRACE " + path} {
		s.dial()
		s.send(line + " HTTP/1.1\r\nHost: h\r\n\r\n")
		s.head(501)
	}
	if len(heads) > 0 {
		t.Errorf("the model server gets %q", <-heads)
	}
}

func TestTrapInventsDateAndContentType(t *testing.T) {
	s := newStand(t, once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	s.get()
	r, _ := s.answer(200)
	for _, name := range []string{"Date", "Content-Type", "Server"} {
		if r.Header[name] != nil {
			t.Errorf("%s: %q, which nobody said", name, r.Header[name])
		}
	}
}

func TestTrapHeadWaitsForTheBody(t *testing.T) {
	begun := make(chan struct{})
	s := newStand(t, func(c *net.TCPConn, in *bufio.Reader) {
		if _, _, err := hear(in); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			<-begun
			_, _ = io.WriteString(c, "2\r\nok\r\n0\r\n\r\n")
		}
	})
	s.get()
	r := s.head(200) // the body comes only after the client has this
	close(begun)
	if body, err := io.ReadAll(r.Body); !bytes.Equal(body, []byte("ok")) || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

// gobreaker's Execute ends when a handler returns, and a streamed body after that.
func TestTrapExecuteEndsBeforeStream(t *testing.T) {
	breaks, good := make(chan struct{}), listen(t)
	var running sync.WaitGroup
	running.Go(func() { _ = http.Serve(good, http.NotFoundHandler()) })
	t.Cleanup(func() { _ = good.Close(); running.Wait() })
	s := newStand(t, func(c *net.TCPConn, in *bufio.Reader) {
		if _, _, err := hear(in); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n")
			<-breaks
		}
	}, func(cfg *config.Config) {
		p := cfg.Pools["stable"]
		p.Breaker = config.Breaker{ConsecutiveFailures: 1, OpenFor: time.Hour}
		p.Endpoints = append(p.Endpoints, config.Endpoint{URL: "http://" + good.Addr().String(), Weight: 1})
	})
	var stream *http.Response
	for s.conns.Load() == 0 {
		s.dial()
		s.get()
		r, err := http.ReadResponse(s.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		stream = r
	}
	if _, err := io.ReadFull(stream.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	close(breaks)
	if _, err := io.ReadAll(stream.Body); err == nil {
		t.Fatal("the stream is taken for whole")
	}
	for range 20 {
		s.dial()
		s.get()
		s.head(404)
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("the endpoint whose stream broke was asked %d times more: the breaker took the head for a success", n-1)
	}
}
