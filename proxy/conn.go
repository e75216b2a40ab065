package proxy

import (
	"crypto/tls"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"mlproxy/router"
	"mlproxy/upstream"
)

// spoken is what every connection negotiates, so that fasthttp's server hands it to us.
const spoken = "http/1.1"

// conn is a client's connection.
type conn struct {
	net.Conn
	server  *Server
	wire    *upstream.Wire
	in      upstream.Reader
	client  netip.Addr
	network netip.Addr   // of client, as limits.max_connections_per_ip counts
	address []byte       // client as text
	waiting atomic.Int64 // watch time since which it waits for a request; 0 while it does not; retiring, then retired by [conn.retire]
	busy    atomic.Int64 // watch time since which an exchange runs; 0 while none does
	used    atomic.Bool  // it has carried an exchange
	tunnel  atomic.Bool  // it has become one side of a tunnel
	hurried atomic.Bool  // the head that was coming was cut off; see [conn.hurry]
	resting int64        // what waiting was set to; 0 while it does not wait
	looked  int64        // the wait in which it was looked whether the client is there; the watch's alone
	heard   atomic.Int64 // pieces of answers that were followed
	checked int64        // heard, when it was last looked whether the model server is there; the watch's alone
	slow    int          // how often in a row it was seen to be in the middle of a head; the shutdown's alone
	step    func() bool  // takeWhole, bound once
	begun   *exchange    // begun by takeWhole, and left to serve
	closing bool         // no request is read after the one that runs
	resets  bool         // it ends so that nobody takes what came for whole
	linger  bool         // the client may still be sending what nobody will read

	mu   sync.Mutex
	up   *upstream.Conn // the exchange's connection to a model server, to be aborted when the client leaves
	from *upstream.Conn // whose answer is being followed; see [exchange.follow]
	gone bool           // the client left
	tell chan struct{}  // closed when it does; nil while nobody asks
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{Conn: nc, server: s}
	if identity := s.inForce().table.DataIdentity(); identity != nil {
		c.secure(nc, identity.Accept())
	} else {
		c.wire = upstream.NewWire(nc, s.opt.Watch)
	}
	c.in = upstream.NewReader(c.wire)
	c.step = c.takeWhole
	if a, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.client = a.Addr().Unmap()
	}
	c.network = router.Network(c.client)
	c.address = []byte(c.client.String())
	return c
}

// Handshake and ConnectionState are what fasthttp's server asks of a connection whose protocol is negotiated.
func (c *conn) Handshake() error { return nil }

// ConnectionState says that our protocol was agreed on.
func (c *conn) ConnectionState() tls.ConnectionState {
	return tls.ConnectionState{NegotiatedProtocol: spoken}
}

// Close ends the connection.
func (c *conn) Close() error {
	c.server.dismiss(c)
	if c.resets {
		return c.wire.Reset()
	}
	return c.wire.Close()
}

// serve carries the connection's exchanges one after the other, pipelined or not, until one of them is the last.
func (c *conn) serve() {
	if !c.shakesHands() {
		return
	}
	for !c.closing && c.await() {
		x := c.begun
		if c.begun = nil; x == nil {
			x = newExchange(c)
		}
		c.carry(x)
	}
	if c.linger {
		c.drainInput()
	}
}

func (c *conn) carry(x *exchange) {
	x.serve()
	x.free()
	c.in.Drop()
	if !c.used.Load() {
		c.used.Store(true)
	}
}

// await waits for the first bytes of a request, and on a plain socket carries all exchanges whose requests come whole meanwhile. It
// is false when no request is to be read any more.
func (c *conn) await() bool {
	if len(c.in.Bytes()) > 0 {
		return true
	}
	c.rest()
	var err error
	if c.wire.Plain() {
		err = c.in.EachAlone(c.step)
	} else {
		err = c.in.Fill()
	}
	if !c.wakes() {
		err = c.lastLook(err)
	}
	if err != nil {
		c.in.Drop()
	}
	return err == nil && (!c.closing || c.begun != nil)
}

// takeWhole carries the exchanges whose requests have come whole, within one call of the poller, and says whether that was all: then
// the connection waits for the next. A request that needs more, or might, is begun and left to serve.
func (c *conn) takeWhole() (waits bool) {
	if !c.wakes() {
		return false
	}
	for {
		seen, comes := upstream.HeadComes(c.in.Bytes())
		if !comes {
			return false
		}
		x := newExchange(c)
		x.looked = seen
		if x.start() && !x.cameWhole() {
			c.begun = x
			return false
		}
		c.carry(x)
		if c.closing {
			return false
		}
		if len(c.in.Bytes()) == 0 {
			c.rest()
			return true
		}
	}
}

// rest begins the wait for a request: a new connection waits for no longer than a head may take, a kept one for idle_timeout.
func (c *conn) rest() {
	limit := c.server.inForce().readHeader
	if c.used.Load() {
		limit = c.server.inForce().idle
	}
	c.resting = max(1, c.server.opt.Watch.Now())
	c.waiting.Store(c.resting)
	c.wire.ReadWithin(limit)
}

// wakes ends the wait; it is false when the connection was retired meanwhile.
func (c *conn) wakes() bool {
	if c.resting == 0 {
		return true
	}
	if !c.waiting.CompareAndSwap(c.resting, 0) {
		return false
	}
	c.resting = 0
	return true
}

// retire closes the connection if it has been waiting for a request for as long as idle, counted from drained at the earliest: the
// proxy is stopping. A client that has several connections uses them up one after the other, for each answer ends its own; what
// is left then is of no use to it. It is false for one that has something to do.
func (c *conn) retire(drained int64, idle time.Duration) bool {
	since := c.waiting.Load()
	if since <= 0 || time.Duration(c.server.opt.Watch.Now()-max(since, drained)) < idle || !c.wire.Still() {
		return false
	}
	if !c.waiting.CompareAndSwap(since, retiring) {
		return false
	}
	c.wire.CutRead()
	c.waiting.Store(retired)
	return true
}

// hurry ends the reading of a head that has been coming for as many looks: the proxy is stopping, and nobody else knows of the request.
func (c *conn) hurry(looks int) {
	if c.waiting.Load() != 0 || c.busy.Load() != 0 || c.tunnel.Load() {
		c.slow = 0
		return
	}
	if c.slow++; c.slow == looks {
		c.hurried.Store(true)
		c.wire.CutRead()
	}
}

const (
	retiring = -1
	retired  = -2
)

// lastLook is what came of the wait of a connection that was retired meanwhile: a request that has come all the same is served.
func (c *conn) lastLook(err error) error {
	for c.waiting.Load() != retired {
		runtime.Gosched() // the other side is between two lines
	}
	c.resting = 0
	c.waiting.Store(0)
	c.wire.Resume()
	if err != nil && !c.wire.Quiet() {
		c.wire.ReadWithin(c.server.inForce().readHeader)
		err = c.in.Fill()
	}
	return err
}

// bind makes up the connection that is aborted should the client leave; it is false when the client has left already.
// With drain the model server is let finish.
func (c *conn) bind(up *upstream.Conn, drain bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if drain {
		return true
	}
	if c.gone {
		return false
	}
	c.up = up
	return true
}

// unbind must come before up is released.
func (c *conn) unbind() {
	c.mu.Lock()
	c.up = nil
	c.mu.Unlock()
}

// follow makes from the connection whose end is looked for; nil when none is.
func (c *conn) follow(from *upstream.Conn) {
	c.mu.Lock()
	c.from = from
	c.mu.Unlock()
}

// lookBehind looks whether the model server whose answer is followed has left, once after each piece: an end that came with a piece has no
// sign of its own.
func (c *conn) lookBehind() {
	heard := c.heard.Load()
	if heard == c.checked {
		return
	}
	c.checked = heard
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.from != nil && c.from.Wire().Gone() {
		c.from.End()
	}
}

// leave says that the client left.
func (c *conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tell != nil && !c.gone {
		close(c.tell)
	}
	c.gone = true
	if c.up != nil {
		c.up.Abort()
	}
}

// departure is closed when the client leaves.
func (c *conn) departure() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tell == nil {
		c.tell = make(chan struct{})
		if c.gone {
			close(c.tell)
		}
	}
	return c.tell
}

// left says whether the client was seen to leave.
func (c *conn) left() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// cut ends whatever the connection does.
func (c *conn) cut() {
	c.leave()
	c.wire.Cut()
}

// drainInput reads what the client is still sending, for a while: closing at once would reset the connection, and the
// answer could be lost with it (RFC 9112, section 9.6).
func (c *conn) drainInput() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	c.wire.Linger(lingerFor)
	for n := 0; n < lingerBytes; n += len(c.in.Bytes()) {
		c.in.Skip(len(c.in.Bytes()))
		if c.in.Fill() != nil {
			break
		}
	}
	c.in.Skip(len(c.in.Bytes()))
	c.in.Drop()
}

const (
	lingerFor   = time.Second
	lingerBytes = 1 << 20
)
