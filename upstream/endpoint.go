package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"mlproxy/health"
)

// Role keeps the connections and the state of live traffic apart from those of copies.
type Role uint8

// The two roles of an endpoint.
const (
	Live Role = iota
	Copies
)

// String is the role as logs and metrics spell it.
func (r Role) String() string {
	if r == Copies {
		return "copies"
	}
	return "live"
}

// Breaker is by which outcomes of exchanges an endpoint counts as unfit; see package health.
type Breaker = health.Breaker

// Knock is how an endpoint is asked before a request is risked on it; see package health.
type Knock = health.Knock

// Check is how an endpoint is probed; see package health.
type Check = health.Check

// Options are what one table says of connecting to a pool's endpoints.
type Options struct {
	// ConnectTimeout bounds the making of one connection, TLS included.
	ConnectTimeout time.Duration
	// MaxConnections bounds the connections to one endpoint; 0 = no bound.
	MaxConnections int
	// MaxInFlight bounds the exchanges with one endpoint; 0 = no bound. Queue is for those that find it reached.
	MaxInFlight int
	Queue       Queue
	// Breaker is what the pool's endpoints are held to; a Try asks it which statuses are failures.
	Breaker Breaker
	// TLS is for https endpoints, which are not connected to without it.
	TLS Trust
}

// Endpoint is one model server and the connections to it. It outlives tables; [Endpoints] owns it.
type Endpoint struct {
	url, addr string
	secure    bool // https
	watch     *Watch
	health    *health.State
	gate      gate
	latency   latency

	mu     sync.Mutex
	kept   []*Conn // waiting for use, the last used last: the warmest is lent first
	open   int     // connections in being, kept ones included
	closed int64   // watch time since which no table has the endpoint; 0 while one does
}

// maxIdle is how long a kept connection may wait. Most model servers close theirs later, which is peeked for anyway.
const maxIdle = 60 * time.Second

func newEndpoint(rawURL string, w *Watch, h *health.State) *Endpoint {
	e := &Endpoint{url: rawURL, addr: rawURL, watch: w, health: h}
	port := "80"
	if u, err := url.Parse(rawURL); err == nil && u.Host != "" {
		e.addr = u.Host
		if e.secure = u.Scheme == "https"; e.secure {
			port = "443"
		}
	}
	if _, _, err := net.SplitHostPort(e.addr); err != nil {
		e.addr = net.JoinHostPort(strings.Trim(e.addr, "[]"), port)
	}
	return e
}

// URL is the endpoint as the config names it.
func (e *Endpoint) URL() string { return e.url }

// Addr is the endpoint's host:port.
func (e *Endpoint) Addr() string { return e.addr }

// Health is what is known of the endpoint's fitness, in its role.
func (e *Endpoint) Health() *health.State { return e.health }

// InFlight is how many exchanges are with the endpoint now, until their last byte.
func (e *Endpoint) InFlight() int64 { return e.gate.inFlight.Load() }

// Pressed says that the endpoint is near one of its limits, or that somebody waits for it: what can be left undone should be.
func (e *Endpoint) Pressed(o *Options) bool {
	n := e.InFlight()
	return Near(n, int64(o.MaxInFlight)) || Near(n, int64(o.MaxConnections)) || e.gate.waiting.Load() > 0
}

// Near says that n is 80% of a limit or more; 0 = no limit.
func Near(n, limit int64) bool { return limit > 0 && n*5 >= limit*4 }

// Load is what balancing compares: the exchanges in flight, which count for more the longer nothing has come back.
func (e *Endpoint) Load() float64 { return e.gate.aged(e.watch.Now()) }

// hangs is the outcome of a try, as silence if the try was given up and that shows that the endpoint hangs.
func (e *Endpoint) hangs(t *Try, outcome error) error {
	enough := 1 // timeouts
	switch {
	case t.uploads:
		return outcome
	case errors.Is(t.err, ErrAborted):
		enough = 2 // of users: one may just be in a hurry
	case !errors.Is(t.err, ErrTimeout):
		return outcome
	}
	now, usual := e.watch.Now(), e.latency.usual()
	silence, sure := e.gate.hangs(now, t.began, usual, int64(enough))
	if _, one := e.gate.hangs(now, t.began, usual, 1); one {
		return &health.Silence{For: silence, Err: outcome, Doubtful: !sure}
	}
	return outcome
}

// hurry is how long a try that insists may wait for an answer; 0 = as long as any. It is shorter where others wait in vain, and mlproxy's own
// questions had no answer either.
func (e *Endpoint) hurry() time.Duration {
	if !e.health.Mute() {
		return 0
	}
	return e.gate.hurry(e.watch.Now(), e.latency.usual())
}

// Acquire lends a connection: the warmest kept one that is still quiet, else a new one. fresh asks for a new one, as
// after [ErrStale]. Errors are [ErrFull], [ErrConnect], and [ErrAborted] when patience, which may be nil, was lost with the client.
func (e *Endpoint) Acquire(o *Options, fresh bool, patience Patience) (*Conn, error) {
	if err := e.gate.enter(o, e.watch.Now(), patience); err != nil { // one that is being made is load: a silent host must not look idle
		return nil, err
	}
	c, err := e.lend(o, fresh)
	if err != nil {
		e.gate.leave(e.watch.Now(), (*load).end)
	}
	return c, err
}

func (e *Endpoint) lend(o *Options, fresh bool) (*Conn, error) {
	for !fresh {
		c := e.warmest()
		if c == nil {
			break
		}
		if c.trust == o.TLS && c.ready() {
			return c.lend(), nil
		}
		e.discard(c)
	}
	return e.connect(o)
}

func (e *Endpoint) warmest() *Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := len(e.kept) - 1
	if last < 0 {
		return nil
	}
	c := e.kept[last]
	e.kept[last] = nil
	e.kept = e.kept[:last]
	return c
}

func (e *Endpoint) connect(o *Options) (*Conn, error) {
	for !e.reserve(o.MaxConnections) { // kept ones give way: they may all be stale
		c := e.warmest()
		if c == nil {
			return nil, ErrFull
		}
		e.discard(c)
	}
	wire, err := e.dial(context.Background(), o)
	if err != nil {
		e.forget()
		return nil, err
	}
	c := &Conn{endpoint: e, wire: wire, trust: o.TLS}
	c.in = NewReader(c.wire)
	return c, nil
}

// dialer makes connections, as far as the endpoint may be connected to at the address that its name stands for at that moment.
func (e *Endpoint) dialer(o *Options) *net.Dialer {
	return &net.Dialer{Timeout: o.ConnectTimeout, Control: e.health.Control}
}

// whyNoConnection tells what the model server is to blame for from what we ran out of.
func whyNoConnection(err error) error {
	for _, ours := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, ours) {
			return fmt.Errorf("%w: %w", ErrFull, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrConnect, err)
}

// reserve counts a connection to be made, if there is room for it.
func (e *Endpoint) reserve(limit int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if limit > 0 && e.open >= limit {
		return false
	}
	e.open++
	return true
}

func (e *Endpoint) forget() {
	e.mu.Lock()
	e.open--
	e.mu.Unlock()
}

// keep puts c back for use, unless the endpoint was closed.
func (e *Endpoint) keep(c *Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed > 0 {
		return false
	}
	c.idle = e.watch.Now()
	e.kept = append(e.kept, c)
	return true
}

func (e *Endpoint) discard(c *Conn) {
	_ = c.wire.Close()
	e.forget()
}

// reap closes the kept connections that waited too long, and the coldest that are not quiet any more.
func (e *Endpoint) reap(now int64) {
	e.mu.Lock()
	n := 0
	for n < len(e.kept) && (e.kept[n].idleFor(now) > maxIdle || !e.kept[n].ready()) {
		n++
	}
	old := append([]*Conn(nil), e.kept[:n]...)
	e.kept = append(e.kept[:0], e.kept[n:]...)
	e.mu.Unlock()
	for _, c := range old {
		e.discard(c)
	}
}

// close closes the kept connections; those lent are closed when they are released. The endpoint can still be used by
// exchanges that chose it before.
func (e *Endpoint) close() {
	e.mu.Lock()
	kept := e.kept
	e.kept, e.closed = nil, max(1, e.watch.Now())
	e.mu.Unlock()
	for _, c := range kept {
		e.discard(c)
	}
}

// reopen lets a closed endpoint keep connections again.
func (e *Endpoint) reopen() {
	e.mu.Lock()
	e.closed = 0
	e.mu.Unlock()
}

// Retired is for how long no table has had the endpoint; 0 while one does.
func (e *Endpoint) Retired() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed == 0 {
		return 0
	}
	return time.Duration(max(1, e.watch.Now()-e.closed))
}

// Reach tries to make one connection and says why it could not.
func (e *Endpoint) Reach(ctx context.Context, o *Options) error {
	wire, err := e.dial(ctx, o)
	if err != nil {
		return err
	}
	_ = wire.Close()
	return nil
}
