package upstream

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Conn is a connection to a model server, lent to one exchange by [Endpoint.Acquire] until Release.
type Conn struct {
	endpoint *Endpoint
	wire     *Wire
	trust    Trust // that the connection was made with
	in       Reader
	reused   bool
	spoken   bool         // a byte of the answer has come
	written  bool         // a byte of the request may have been sent
	streams  bool         // its answer has begun and takes its time
	spared   atomic.Int32 // for how many reasons it does not wait for the model server
	aborted  atomic.Bool  // its client left
	ended    atomic.Bool  // the model server left; see End
	idle     int64        // watch time of its return to the pool
}

// Why an exchange with a model server failed.
var (
	ErrConnect = errors.New("no connection to the model server")
	ErrFull    = errors.New("the model server has max_connections or max_in_flight, and none became free in time")
	ErrStale   = errors.New("the model server closed a kept connection before it answered")
	ErrReset   = errors.New("the model server closed the connection early")
	ErrInvalid = errors.New("the model server's answer is not HTTP/1.1")
	ErrAborted = errors.New("the client left")
)

// Reader is where answers come from.
func (c *Conn) Reader() *Reader { return &c.in }

// Wire is the connection itself.
func (c *Conn) Wire() *Wire { return c.wire }

// Endpoint is the other end.
func (c *Conn) Endpoint() *Endpoint { return c.endpoint }

// Abort ends whatever the exchange waits for: its client left. Any goroutine may call it, until Release.
func (c *Conn) Abort() {
	c.aborted.Store(true)
	c.wire.Cut()
}

// End ends what the exchange waits for: the model server was seen to have left. Any goroutine may call it, until Release.
func (c *Conn) End() {
	c.ended.Store(true)
	c.wire.CutRead()
}

// Hold is Write for the last part of a request: p leaves with the first read of the answer.
func (c *Conn) Hold(p []byte) {
	c.written = true
	c.wire.Hold(p)
}

// Give is Hold for a borrowed buffer, which is the connection's from now on.
func (c *Conn) Give(p []byte) {
	c.written = true
	c.wire.Give(p)
}

// Write sends a part of the request.
func (c *Conn) Write(p []byte) error {
	c.written = true
	if _, err := c.wire.Write(p); err != nil {
		return c.Explain(err)
	}
	return nil
}

// ReadHead reads the head of the next answer into h, interim ones (1xx) included. It keeps the bytes until the head
// after it is read.
func (c *Conn) ReadHead(h *Head, limit Limits, bodiless bool) error {
	seen := 0
	for {
		b := c.in.Bytes()
		n, bad := HeadEnd(b, seen, limit)
		switch {
		case bad != nil:
		case n > 0:
			bad = h.ReadAnswer(c.in.Keep(n), limit, bodiless)
		default:
			bad = h.AnswerSoFar(b, seen, limit)
		}
		if bad != nil {
			return fmt.Errorf("%w: %s", ErrInvalid, bad.Reason)
		}
		if n > 0 {
			return nil
		}
		seen = len(b)
		if err := c.in.Fill(); err != nil {
			return c.Explain(err)
		}
		c.spoken = true
	}
}

// Explain says what a failed read or write means to the exchange: one of the errors above, or [ErrTimeout].
func (c *Conn) Explain(err error) error {
	switch {
	case c.aborted.Load():
		return ErrAborted
	case c.ended.Load():
		return ErrReset
	case errors.Is(err, ErrTimeout):
		return ErrTimeout
	case errors.Is(err, ErrChunk):
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	case !c.reused && !c.spoken && rejected(err):
		return fmt.Errorf("%w: %w", ErrConnect, &HandshakeError{Check: checked(err), Err: err})
	case c.reused && !c.spoken:
		return ErrStale
	case errors.Is(err, io.EOF):
		return ErrReset
	}
	return fmt.Errorf("%w: %w", ErrReset, err)
}

// Written says that a byte of the request may have reached the model server.
func (c *Conn) Written() bool { return c.written }

// Streams says that the answer has begun and takes its time, as an event stream or a tunnel does: the exchange is load, but
// that it does not end is no sign of an endpoint that hangs.
func (c *Conn) Streams() {
	if !c.streams {
		c.streams = true
		c.endpoint.gate.heardFrom(c.endpoint.watch.Now())
		c.spare()
	}
}

// Pause says that the exchange waits for its client, who has more of the request to send, until Resume. Meanwhile it is no sign of an
// endpoint that hangs. One goroutine may call these two while another one reads the answer.
func (c *Conn) Pause() { c.spare() }

// Resume takes Pause back. It is left out when the client fails.
func (c *Conn) Resume() { c.await() }

func (c *Conn) spare() {
	if c.spared.Add(1) == 1 {
		c.endpoint.gate.spare()
	}
}

func (c *Conn) await() {
	if c.spared.Add(-1) == 0 {
		c.endpoint.gate.await(c.endpoint.watch.Now())
	}
}

// Release ends the exchange. again says that the connection is as it was before: the answer was read to its end and
// may be followed by another. Any doubt closes it.
func (c *Conn) Release(again bool) {
	whole := c.wire.Rest()
	out := (*load).end
	switch {
	case whole || c.spoken:
	case c.spared.Load() > 0:
		out = (*load).quit
	default:
		out = (*load).forsake
	}
	now := c.endpoint.watch.Now()
	defer c.endpoint.gate.leave(now, out)
	c.streams = false
	if c.spared.Swap(0) > 0 {
		c.endpoint.gate.await(now)
	}
	again = whole && again && len(c.in.Bytes()) == 0 && !c.aborted.Load()
	c.in.Skip(len(c.in.Bytes()))
	c.in.Drop()
	if !again || !c.endpoint.keep(c) {
		c.endpoint.discard(c)
	}
}

// ready says that a kept connection may carry another request: nothing came meanwhile, not even an end.
func (c *Conn) ready() bool { return c.wire.Quiet() }

func (c *Conn) lend() *Conn {
	c.reused, c.spoken, c.written = true, false, false
	return c
}

// idleFor says how long the connection has been waiting in the pool.
func (c *Conn) idleFor(now int64) time.Duration { return time.Duration(now - c.idle) }
