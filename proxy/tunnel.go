package proxy

import (
	"bytes"
	"io"
	"sync"
	"time"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// tunnel is what an exchange becomes once its model server has agreed to another protocol: bytes both ways, of which none is
// understood. It holds a buffer only while there is something in it, and reads no more than the other side takes. An end
// of what one side sends is passed on to the other, which may send on; anything worse ends both.
type tunnel struct {
	exchange       *exchange
	up             *upstream.Conn
	client, server *upstream.Reader
	in, out        int64 // bytes from the client, and to it

	once  sync.Once
	ended monitor.TunnelEnd // valid once both directions have ended
}

// tunnel passes the 101 on and carries bytes until both sides have ended, or the tunnel is.
func (x *exchange) tunnel(c *upstream.Conn) error {
	if err := x.switchProtocols(); err != nil {
		return err
	}
	t := &tunnel{exchange: x, up: c, client: &x.conn.in, server: c.Reader()}
	x.shrink(c)
	c.Streams()
	x.meter.TunnelOpened()
	x.server.tunnels.add(t)
	t.run()
	x.server.tunnels.remove(t)
	x.meter.TunnelEnded(t.ended)
	x.seen.BytesIn, x.seen.BytesOut = t.in, t.out
	x.seen.Reason = reasonOfTunnel[t.ended]
	t.passReset()
	return nil
}

// reasonOfTunnel is what the ends of tunnels count as that are errors.
var reasonOfTunnel = map[monitor.TunnelEnd]monitor.Reason{
	monitor.TunnelClientGone:    monitor.ClientGone,
	monitor.TunnelUpstreamReset: monitor.UpstreamReset,
	monitor.TunnelDraining:      monitor.Draining,
}

// switchProtocols sends the 101.
func (x *exchange) switchProtocols() error {
	x.out.start(x.conn.wire)
	b := x.appendIdentity(x.appendAnswer(x.out.buf))
	x.out.buf = append(x.ans.AppendUpgrade(b), crlf...)
	if err := x.flush(); err != nil {
		return err
	}
	x.conn.closing = true
	return nil
}

// shrink gives back every buffer that the tunnel does not need: of the request's head, which is told of at the end, a copy
// of its size stays.
func (x *exchange) shrink(c *upstream.Conn) {
	raw := bytes.Clone(x.req.Raw)
	_ = x.req.ReadRequest(raw, x.limits.head) // as it was read before
	x.aim()
	x.key = nil
	x.conn.in.Drop()
	c.Reader().Drop()
	upstream.Return(x.request)
	x.request = nil
	x.out.free()
}

// run carries both directions to their ends.
func (t *tunnel) run() {
	x := t.exchange
	x.conn.tunnel.Store(true)
	x.conn.busy.Store(0) // from here on the client's leaving is for the tunnel to see
	t.allow()
	var up sync.WaitGroup
	up.Go(func() { t.carry(t.client, t.server, &t.in) })
	t.carry(t.server, t.client, &t.out)
	up.Wait()
}

// carry passes on what one side sends until it ends.
func (t *tunnel) carry(from, to *upstream.Reader, n *int64) {
	for {
		if b := from.Bytes(); len(b) > 0 {
			t.allow()
			if _, err := to.Wire().Write(b); err != nil {
				t.broke(to, err)
				return
			}
			*n += int64(len(b))
			from.Skip(len(b))
			from.Drop()
		}
		switch err := from.Fill(); {
		case err == io.EOF:
			if err := to.Wire().CloseWrite(); err != nil {
				t.broke(to, err)
			}
			return
		case err != nil:
			t.broke(from, err)
			return
		}
	}
}

// allow gives both sides body_idle_timeout until something passes, either way.
func (t *tunnel) allow() {
	d := t.exchange.within(t.exchange.bodyIdle())
	for _, side := range []*upstream.Reader{t.client, t.server} {
		side.Wire().ReadWithin(d)
		side.Wire().WriteWithin(d)
	}
}

// broke ends the tunnel because of err, which side's connection had.
func (t *tunnel) broke(side *upstream.Reader, err error) {
	x := t.exchange
	most := x.route.Config.MaxDuration
	switch {
	case x.conn.left(): // cut: nobody but the tunnel looks after the client itself
		t.stop(monitor.TunnelDraining)
	case err != upstream.ErrTimeout && side == t.client:
		t.stop(monitor.TunnelClientGone)
	case err != upstream.ErrTimeout:
		t.stop(monitor.TunnelUpstreamReset)
	case most > 0 && time.Since(x.began) >= most:
		t.stop(monitor.TunnelMaxDuration)
	default:
		t.stop(monitor.TunnelIdle)
	}
}

// stop ends both directions; only the first reason counts.
func (t *tunnel) stop(why monitor.TunnelEnd) {
	t.once.Do(func() {
		t.ended = why
		t.client.Wire().Cut()
		t.server.Wire().Cut()
	})
}

// passReset lets one side see that the other's connection broke: it must not take what it has for complete.
func (t *tunnel) passReset() {
	switch t.ended {
	case monitor.TunnelClientGone:
		_ = t.server.Wire().Reset()
	case monitor.TunnelUpstreamReset:
		_ = t.client.Wire().Reset()
	}
}

// tunnels are those that are open.
type tunnels struct {
	mu   sync.Mutex
	open map[*tunnel]struct{}
}

func (s *tunnels) add(t *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*tunnel]struct{}{}
	}
	s.open[t] = struct{}{}
}

func (s *tunnels) remove(t *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, t)
}

// retire ends those whose endpoint has been in no table for the time that exchanges are given to finish.
func (s *tunnels) retire(drain time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.open {
		if t.up.Endpoint().Retired() > drain {
			t.stop(monitor.TunnelDraining)
		}
	}
}
