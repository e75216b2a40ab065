package differential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/proxy"
	"mlproxy/router"
)

func TestMain(m *testing.M) {
	// fasthttp keeps its idle workers' cleaner for a while after a server has stopped.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// patience is how long anything is waited for; far longer than it takes.
const patience = 30 * time.Second

// rig is a proxy in this process in front of one model server, to which it has at most one connection: what a client sends last has
// reached the model server after all that came before.
type rig struct {
	*modelServer
	socket string // address of the proxy's data listener
	pipes  *pipes // another of its listeners, which cuts the client's bytes exactly where the client does
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{modelServer: newModelServer(t), pipes: &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.socket = front.Addr().String()
	registry := monitor.New()
	estate := router.NewEstate(registry)
	table, err := router.Compile(settings(r.listener.Addr().String()), estate)
	if err != nil {
		t.Fatal(err)
	}
	var tables router.Router
	tables.Swap(table)
	s := proxy.New(proxy.Options{Router: &tables, Registry: registry, Watch: estate.Endpoints.Watch()})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { estate.Endpoints.Run(ctx) })
	running.Go(func() { _ = s.Serve(front) })
	running.Go(func() { _ = s.Serve(r.pipes) })
	t.Cleanup(func() {
		within, done := context.WithTimeout(context.Background(), patience)
		defer done()
		if err := s.Shutdown(within, 0); err != nil {
			t.Error("shutdown:", err)
		}
		cancel()
		running.Wait()
	})
	return r
}

// settings are of one pool and two routes: one that needs no body, and one, under /key/, that reads it whole.
func settings(address string) *config.Config {
	route := func(name, path string, sticky ...config.KeySource) *config.Route {
		return &config.Route{
			Name: name, Match: config.Match{Path: path}, Split: config.Weights{"stable": 1}, Sticky: sticky,
			Timeout: patience, BodyIdleTimeout: patience,
		}
	}
	return &config.Config{
		Limits: config.Limits{
			MaxConnections: 100, MaxHeader: 16 << 10, MaxHeaderCount: 100, MaxBody: 1 << 20, MaxRoutingBody: 1 << 20,
			ReadHeaderTimeout: patience, IdleTimeout: patience,
		},
		Pools: map[string]*config.Pool{"stable": {
			Name: "stable", Endpoints: []config.Endpoint{{URL: "http://" + address, Weight: 1}},
			Balance: "least_request", ConnectTimeout: patience, OnClientGone: "cancel",
			MaxConnections: 1, MaxInFlight: 1, Queue: config.Queue{Size: 4, Timeout: patience},
		}},
		Routes: map[string]*config.Route{
			"all": route("all", "/"),
			"key": route("key", "/key/", config.KeySource{Kind: "json", Name: "user"}),
		},
	}
}

// modelServer takes one connection after the other, and reads what comes with the reference reader.
type modelServer struct {
	listener net.Listener
	ended    chan struct{}

	mu     sync.Mutex
	heard  []*message // whole requests
	parts  []string   // what came of those that were never completed
	faults []error    // what no strict reader takes
	script *script    // for the next request; nil: an ordinary answer
}

// script is what the model server says in answer to one request.
type script struct {
	pieces []string
	after  ending
	said   chan struct{} // closed when all of it was sent, or could not be
}

// ending is what becomes of the model server's connection after its answer.
type ending int

const (
	stays ending = iota
	closes
	resets
	endings
)

func newModelServer(t testing.TB) *modelServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &modelServer{listener: ln, ended: make(chan struct{})}
	go func() {
		defer close(m.ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			m.serve(c.(*net.TCPConn))
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-m.ended })
	return m
}

// serve reads requests to the end of the connection, and answers them.
func (m *modelServer) serve(c *net.TCPConn) {
	defer c.Close()
	text, buf := "", make([]byte, 64<<10)
	for {
		in := &input{left: text}
		switch request, err := in.request(); {
		case err == nil:
			text = in.left
			if m.answer(c, request) != nil {
				return
			}
			continue
		case !errors.Is(err, errShort) && !errors.Is(err, io.EOF):
			m.note(func() { m.faults = append(m.faults, fmt.Errorf("%w\n%s", err, show(text))) })
			return
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * patience))
		n, err := c.Read(buf)
		text += string(buf[:n])
		if err != nil {
			if text != "" {
				m.note(func() { m.parts = append(m.parts, text) })
			}
			return
		}
	}
}

func (m *modelServer) note(what func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	what()
}

// answer says what the script says, or which request of the case this was. An error says that the connection is over.
func (m *modelServer) answer(c *net.TCPConn, request *message) error {
	var s *script
	var n int
	m.note(func() {
		m.heard = append(m.heard, request)
		s, m.script, n = m.script, nil, len(m.heard)
	})
	if s != nil {
		return s.play(c)
	}
	body := fmt.Sprintf("answer to %s %s", request.method, request.target)
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Heard: %d\r\nContent-Length: %d\r\n\r\n", n, len(body))
	if request.method == "HEAD" {
		body = ""
	}
	_, err := io.WriteString(c, head+body)
	return err
}

func (s *script) play(c *net.TCPConn) error {
	defer close(s.said)
	for _, piece := range s.pieces {
		if _, err := io.WriteString(c, piece); err != nil {
			return err
		}
	}
	switch s.after {
	case resets:
		_ = c.SetLinger(0)
		_ = c.Close()
		return io.EOF
	case closes:
		_ = c.Close()
		return io.EOF
	}
	return nil
}

// begin forgets what was heard, and lets the next request be answered by s.
func (m *modelServer) begin(s *script) {
	m.note(func() { m.heard, m.parts, m.faults, m.script = nil, nil, nil, s })
}

// begun says that the script plays, or has been played.
func (m *modelServer) begun() (yes bool) {
	m.note(func() { yes = m.script == nil })
	return yes
}

// fence sends one more request by a client of its own. It must be answered as if nothing had been before; when it is, all that the proxy
// sent before has been heard.
func (r *rig) fence() error {
	c, err := net.Dial("tcp", r.socket)
	if err != nil {
		return err
	}
	defer c.Close()
	n := 0
	r.note(func() { n = len(r.heard); r.script = nil })
	got, err := ask(c, "GET /fence HTTP/1.1\r\nHost: fence\r\nConnection: close\r\n\r\n")
	r.note(func() {
		if len(r.heard) > n && r.heard[len(r.heard)-1].target == "/fence" {
			r.heard = r.heard[:len(r.heard)-1]
		}
	})
	if err != nil || got.body != "answer to GET /fence" {
		return fmt.Errorf("another client's next request is answered with %+v, %v", got, err)
	}
	return nil
}

// ask sends a GET and reads the answer, after which the connection must end.
func ask(c net.Conn, request string) (*message, error) {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(c)
	if err != nil {
		return nil, err
	}
	in := &input{left: string(text), ended: true}
	got, err := in.answer("GET")
	if err == nil && in.left != "" {
		err = fmt.Errorf("and %q follows it", in.left)
	}
	return got, err
}

// pipes is a listener whose connections are pipes: one read of the proxy's gets what one write of the client's sent.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// halfClosing is a client's connection that can be closed in one direction.
type halfClosing interface {
	net.Conn
	CloseWrite() error
}

func (p *pipes) dial() halfClosing {
	client, server := net.Pipe()
	end := &pipeEnd{Conn: server}
	p.conns <- end
	return &pipe{client, end}
}

// pipe is the client's end of a pipe.
type pipe struct {
	net.Conn
	other *pipeEnd
}

// CloseWrite has the proxy read the end. All that was written has been read.
func (p *pipe) CloseWrite() error {
	p.other.ended.Store(true)
	return p.other.SetReadDeadline(time.Unix(1, 0))
}

// pipeEnd is the proxy's.
type pipeEnd struct {
	net.Conn
	ended atomic.Bool
}

func (e *pipeEnd) Read(p []byte) (int, error) {
	if e.ended.Load() {
		return 0, io.EOF
	}
	n, err := e.Conn.Read(p)
	if err != nil && e.ended.Load() {
		return n, io.EOF
	}
	return n, err
}

func (e *pipeEnd) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// show prints bytes so that they can be read, and pasted into a test.
func show(text string) string {
	if len(text) > 4<<10 {
		text = text[:2<<10] + fmt.Sprintf("[%d bytes more]", len(text)-4<<10) + text[len(text)-2<<10:]
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "\t%+q\n", line)
	}
	return b.String()
}
