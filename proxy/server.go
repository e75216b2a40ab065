package proxy

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/shadow"
	"mlproxy/upstream"
)

// Options are what a Server is made of.
type Options struct {
	// Router holds the table in force; there must be one before Serve.
	Router *router.Router
	// Registry counts what matches no route, and connections.
	Registry *monitor.Registry
	// Mirror takes copies for shadows; nil when there are none.
	Mirror *shadow.Mirror
	// Watch keeps deadlines; it must run.
	Watch *upstream.Watch
	// Access keeps evidence of single exchanges; nil when nobody does.
	Access Access
	// Traces takes evidence of exchanges that are traced; nil when nobody does.
	Traces Traces
	// Journal keeps what models were asked and said; nil when nobody does.
	Journal Journal
	// Inspector reads what exchanges of routes that are inspected carried; nil when none is.
	Inspector *monitor.Inspector
	// Log is told of TLS handshakes that fail; nil when nobody is.
	Log *slog.Logger
}

// Server serves the data listeners.
type Server struct {
	opt       Options
	fast      *fasthttp.Server
	known     atomic.Pointer[settings] // of the table they name; see inForce
	unmatched *monitor.Meter
	counted   *monitor.Connections
	draining  atomic.Bool
	inFlight  atomic.Int64 // exchanges, as far as limits.max_in_flight bounds them
	tunnels   tunnels
	failures  hush // of TLS handshakes
	waiting   waitingRoom
	swept     int64 // watch time of the last sweep; the watch's goroutine alone uses it

	mu        sync.Mutex
	conns     map[*conn]struct{}
	from      map[netip.Addr]int // how many of conns a client's network has
	listeners []*listener
	stopped   bool // by Shutdown
}

// New makes a server that accepts nothing until Serve.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		opt:       o,
		unmatched: o.Registry.Meter("", ""),
		counted:   o.Registry.Connections(),
		conns:     map[*conn]struct{}{},
		from:      map[netip.Addr]int{},
		waiting:   waitingRoom{left: make(chan struct{}, 1)},
	}
	s.fast = &fasthttp.Server{
		Handler:     func(*fasthttp.RequestCtx) {}, // never called: every connection negotiates its protocol
		Concurrency: 1 << 20,                       // the listener holds limits.max_connections
		Logger:      log.New(io.Discard, "", 0),
	}
	s.fast.NextProto(spoken, func(c net.Conn) error { c.(*conn).serve(); return nil })
	o.Watch.Every(s.sweep)
	return s
}

// Serve serves the connections of ln until Shutdown. Each listener has a Serve of its own.
func (s *Server) Serve(ln net.Listener) error {
	l := &listener{Listener: ln, server: s}
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	late := s.stopped
	s.mu.Unlock()
	if late {
		return l.Close()
	}
	return s.fast.Serve(l)
}

// Draining says whether answers end their connections, which comes before Shutdown: clients then go elsewhere by
// themselves.
func (s *Server) Draining(on bool) { s.draining.Store(on) }

// Shutdown closes the listeners and waits until every exchange has ended, or ctx does; it then cuts what is left and
// says so by ctx's error. Connections that have waited for a request for as long as idle, since the call at the earliest, are closed; heads that
// are coming have a second left.
func (s *Server) Shutdown(ctx context.Context, idle time.Duration) error {
	s.Draining(true)
	s.closeListeners()
	drained := s.opt.Watch.Now()
	done := make(chan error, 1)
	go func() { done <- s.fast.ShutdownWithContext(ctx) }()
	tick := time.NewTicker(shutdownTick)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				s.each(func(c *conn) { c.cut() })
			}
			return err
		case <-tick.C:
			s.each(func(c *conn) {
				c.retire(drained, idle)
				c.hurry(int(headsWithin / shutdownTick))
			})
		}
	}
}

const (
	shutdownTick = 50 * time.Millisecond
	headsWithin  = time.Second // a head that was begun may take no longer once the proxy stops
)

// closeListeners closes them all, those included that the server underneath does not know yet, and those that are still to come.
func (s *Server) closeListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// each calls f for every connection; f must not wait.
func (s *Server) each(f func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		f(c)
	}
}

// sweep looks for clients that left, about every 100 ms: while an exchange of theirs runs, and once in each wait for a request, for an end
// that came with the last request has no sign of its own. Of a stream it looks at the other end as well.
func (s *Server) sweep() {
	now := s.opt.Watch.Now()
	if now-s.swept < int64(sweepEvery) {
		return
	}
	s.swept = now
	s.tunnels.retire(s.inForce().drain)
	left := sweepAtMost
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if left == 0 {
			return // a map is walked from a random place: the others' turn comes
		}
		runs, waits := c.busy.Load(), c.waiting.Load()
		switch {
		case runs > 0 && now-runs >= int64(sweepEvery):
			left--
			if c.wire.Gone() {
				c.leave()
			}
			c.lookBehind()
		case waits > 0 && waits != c.looked && now-waits >= int64(sweepEvery) && c.wire.Plain():
			left--
			c.looked = waits
			if c.wire.Gone() {
				c.wire.CutRead()
			}
		}
	}
}

const (
	sweepEvery  = 100 * time.Millisecond
	sweepAtMost = 4096 // a look costs 1 us: 4% of one core at the most
)
