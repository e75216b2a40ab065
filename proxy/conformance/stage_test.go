package conformance

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// stage is where a case plays: a client, the proxy, and a model server that only this case's route leads to. In what the
// client sends "/~" stands for the route's path. A step that fails ends the case.
type stage struct {
	t        *testing.T
	source   string // the RFC's section, or the promise
	base     string // path of the route
	proxy    *binary
	model    *model
	c        *peer    // the client's connection
	a        *arrival // the request that the model server has before it
	m        *message // the answer that the client reads
	head     bool     // the answer has no body: HEAD was asked
	upgrades bool     // the request offers another protocol, which goes on with it
	raw      bool     // the case itself says what is true of messages: the invariants are not held
}

// model is a case's model server: it reads the heads of requests by itself, and says nothing but what the case tells it.
type model struct {
	net.Listener
	arrivals chan *arrival
	running  sync.WaitGroup
	mu       sync.Mutex
	conns    []*peer
	closed   bool
	give     func() // gives the port back
}

// arrival is a request that came to the model server, or what began as one.
type arrival struct {
	*peer
	*message
	err    error
	number int           // of its connection, from 1
	gone   chan struct{} // closed when the connection has ended after this request
}

// newModel listens at a port that nobody else gets after some case has closed it.
func newModel() (*model, error) {
	ports, give, err := modeltest.Hold(1)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:"+ports[0])
	return &model{Listener: ln, give: give, arrivals: make(chan *arrival, 64)}, err
}

func (m *model) accept() {
	for {
		conn, err := m.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		p := &peer{Conn: conn}
		m.conns = append(m.conns, p)
		n := len(m.conns)
		if m.closed {
			_ = conn.Close()
		}
		m.mu.Unlock()
		m.running.Go(func() { m.hear(p, n) })
	}
}

// hear waits for a request's head. A connection that ends without one is no arrival.
func (m *model) hear(p *peer, n int) {
	_ = p.SetReadDeadline(time.Time{})
	for len(p.in) == 0 {
		if p.read() != nil {
			return
		}
	}
	a := &arrival{peer: p, number: n, gone: make(chan struct{})}
	a.message, a.err = p.readHead(true, false)
	m.arrivals <- a
}

// hearAgain waits for the next request on the connection of a, which was read to its end.
func (m *model) hearAgain(a *arrival) {
	m.running.Go(func() {
		defer close(a.gone)
		m.hear(a.peer, a.number)
	})
}

func (m *model) close() {
	_ = m.Close()
	m.give()
	m.mu.Lock()
	m.closed = true
	for _, p := range m.conns {
		_ = p.Close()
	}
	m.mu.Unlock()
	m.running.Wait()
}

// theatre starts one binary for n cases, each with a stage of its own. Those of a theatre may play at the same time.
type theatre struct {
	proxy  *binary
	models []*model
	alone  bool
}

func open(t *testing.T, w world, n int) *theatre {
	t.Helper()
	th := &theatre{alone: w.alone}
	w.secure = *overTLS
	for range n {
		m, err := newModel()
		if err != nil {
			t.Fatal(err)
		}
		if w.secure {
			m.Listener = secureListener{m.Listener}
		}
		m.running.Go(m.accept)
		t.Cleanup(m.close)
		th.models = append(th.models, m)
		w.hosts = append(w.hosts, m.Addr().String())
	}
	th.proxy = start(t, w.yaml(t.TempDir()))
	return th
}

func (th *theatre) stage(t *testing.T, i int, source string) *stage {
	s := &stage{t: t, source: source, base: fmt.Sprintf("/c%d/", i), proxy: th.proxy, model: th.models[i]}
	if th.alone {
		s.base = "/"
	}
	t.Cleanup(func() {
		if s.c != nil {
			_ = s.c.Close()
		}
	})
	return s
}

func (s *stage) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s: %s", s.source, fmt.Sprintf(format, args...))
}

func (s *stage) text(script string) string { return strings.ReplaceAll(script, "/~", s.base) }

// ---- the client

// dial opens a connection for the client; an older one stays as it is.
func (s *stage) dial() *peer {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.proxy.data)
	if err != nil {
		s.fail("%v", err)
	}
	if *overTLS {
		conn = secureClient(conn)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	s.c = &peer{Conn: conn}
	return s.c
}

// send lets the client send bytes.
func (s *stage) send(script string) {
	s.t.Helper()
	if s.c == nil {
		s.dial()
	}
	if method, _, found := strings.Cut(script, " "); found && strings.Contains(script, " HTTP/") {
		s.head = method == "HEAD"
	}
	_ = s.c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(s.c, s.text(script)); err != nil {
		s.fail("the client cannot send: %v", err)
	}
}

// sees waits for a whole answer.
func (s *stage) sees(status int, checks ...check) *message {
	s.t.Helper()
	m := s.seesHead(status, checks...)
	if err := m.rest(s.c); err != nil {
		s.fail("the client reads %q\n%s\n%q and then: %v", m.first, strings.Join(m.lines, "\n"), m.body, err)
	}
	s.hold(m, checks, bodyChecks)
	return m
}

// seesHead waits for an answer's head.
func (s *stage) seesHead(status int, checks ...check) *message {
	s.t.Helper()
	m, err := s.c.readHead(false, s.head)
	s.m = m
	if err != nil {
		s.fail("the client reads %q\n%s\nand then: %v", m.first, strings.Join(m.lines, "\n"), err)
	}
	if got := m.status(); got != status {
		_ = m.rest(s.c)
		s.fail("the client sees %d in place of %d\n%s\n%s", got, status, strings.Join(m.lines, "\n"), m.body)
	}
	if !s.raw {
		s.hold(m, answerInvariants(m), headChecks)
	}
	s.hold(m, checks, headChecks)
	return m
}

// seesPiece waits until the next bytes of the answer's body are these.
func (s *stage) seesPiece(want string) {
	s.t.Helper()
	s.piece("the client", s.c, s.m, want)
}

func (s *stage) piece(who string, p *peer, m *message, want string) {
	s.t.Helper()
	got := ""
	for len(got) < len(want) {
		b, err := m.next(p)
		got += string(b)
		if err != nil {
			s.fail("%s reads %q in place of %q, and then: %v", who, got, want, err)
		}
	}
	if got != want {
		s.fail("%s reads %q in place of %q", who, got, want)
	}
}

// seesEnd waits for the proper end of the answer.
func (s *stage) seesEnd() {
	s.t.Helper()
	if b, err := s.m.next(s.c); err != io.EOF {
		s.fail("the client reads %q and %v in place of the end", b, err)
	}
}

// seesBroken waits for the answer to break off in a way that nobody takes for its end.
func (s *stage) seesBroken() {
	s.t.Helper()
	if s.m == nil {
		s.m, _ = s.c.readHead(false, s.head)
	}
	err := s.m.rest(s.c)
	if err == nil {
		s.fail("the client takes %q for a whole body (%s)", s.m.body, s.m.framing)
	}
	if strings.HasPrefix(err.Error(), "waited") {
		s.fail("the answer neither ends nor breaks off: %v", err)
	}
}

// seesClosed waits for the end of the client's connection, with nothing more on it.
func (s *stage) seesClosed() {
	s.t.Helper()
	err := s.c.more()
	if err == nil {
		s.fail("the client gets more: %q", s.c.in)
	}
	if strings.HasPrefix(early(err).Error(), "waited") {
		s.fail("the connection stays open")
	}
}

// stops ends what the client sends, and lets it read on.
func (s *stage) stops() {
	s.t.Helper()
	if err := halfClose(s.c); err != nil {
		s.fail("%v", err)
	}
}

// leaves closes the client's connection.
func (s *stage) leaves() { _ = s.c.Close() }

// ---- the model server

// getsHead waits for the next request's head.
func (s *stage) getsHead(checks ...check) *arrival {
	s.t.Helper()
	select {
	case s.a = <-s.model.arrivals:
	case <-time.After(patience):
		_ = s.c.more()
		s.fail("nothing reaches the model server; the client sees %.500q", s.c.in)
	}
	if s.a.err != nil {
		s.fail("the model server reads %q\n%s\nand then: %v", s.a.first, strings.Join(s.a.lines, "\n"), s.a.err)
	}
	if !s.raw {
		s.hold(s.a.message, requestInvariants(s.a.message), headChecks)
	}
	s.hold(s.a.message, checks, headChecks)
	return s.a
}

// gets waits for the next request, whole.
func (s *stage) gets(checks ...check) *arrival {
	s.t.Helper()
	a := s.getsHead(checks...)
	s.getsEnd()
	s.hold(a.message, checks, bodyChecks)
	return a
}

// getsPiece waits until the next bytes of the request's body are these.
func (s *stage) getsPiece(want string) {
	s.t.Helper()
	s.piece("the model server", s.a.peer, s.a.message, want)
}

// getsEnd waits for the proper end of the request.
func (s *stage) getsEnd() {
	s.t.Helper()
	if err := s.a.rest(s.a.peer); err != nil {
		s.fail("the model server reads %q\n%s\n%q and then: %v", s.a.first, strings.Join(s.a.lines, "\n"), s.a.body, err)
	}
	s.model.hearAgain(s.a)
}

// getsCut waits for the request to break off before its end.
func (s *stage) getsCut() {
	s.t.Helper()
	err := s.a.rest(s.a.peer)
	if err == nil {
		s.fail("the model server takes %q for a whole body", s.a.body)
	}
	if strings.HasPrefix(err.Error(), "waited") {
		s.fail("the request neither ends nor breaks off: %v", err)
	}
}

// getsNothing says that nothing reached the model server: the next request that does is the one asked for here.
func (s *stage) getsNothing() {
	s.t.Helper()
	s.fence()
}

// fence makes one plain exchange on a connection of its own: it must be the next thing that the model server sees, and it
// must be answered. It returns the number of the connection it came on.
func (s *stage) fence() int {
	s.t.Helper()
	c, head, raw, upgrades := s.c, s.head, s.raw, s.upgrades
	defer func() { s.c, s.head, s.raw, s.upgrades = c, head, raw, upgrades }()
	s.raw, s.upgrades = false, false
	s.dial()
	s.send("GET /~fence HTTP/1.1\r\nHost: fence\r\nConnection: close\r\n\r\n")
	a := s.gets(first("GET /~fence HTTP/1.1"), bodyIs(""))
	s.says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfence")
	s.sees(200, bodyIs("fence"))
	s.seesClosed()
	return a.number
}

// says lets the model server send bytes.
func (s *stage) says(script string) {
	s.t.Helper()
	_ = s.a.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(s.a.peer, script); err != nil {
		s.fail("the model server cannot send: %v", err)
	}
}

// hangsUp closes the model server's connection.
func (s *stage) hangsUp() { _ = s.a.Close() }

// resets closes the model server's connection with a RST.
func (s *stage) resets() {
	_ = socketOf(s.a.Conn).SetLinger(0)
	_ = socketOf(s.a.Conn).Close()
}

// freed waits for the proxy to end the connection to the model server, whose request was read to its end.
func (s *stage) freed(within time.Duration) {
	s.t.Helper()
	select {
	case <-s.a.gone:
	case <-time.After(within):
		s.fail("the model server's connection is still there after %v", within)
	}
}

// vanishes resets the client's connection.
func (s *stage) vanishes() {
	_ = socketOf(s.c.Conn).SetLinger(0)
	_ = socketOf(s.c.Conn).Close()
}
