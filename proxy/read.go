package proxy

import (
	"errors"
	"io"
	"time"

	"mlproxy/monitor"
	"mlproxy/protocol"
	"mlproxy/upstream"
)

// bufferAtMost is how long a body may be that is read whole before it is forwarded: the request can then be sent again, and the model server
// does not wait for the client. bufferFor is how long the rest of one is waited for that was not sent with its head: what a client sends bit
// by bit goes on bit by bit, and is answered when the model server wants to.
const (
	bufferAtMost = 64 << 10
	bufferFor    = 250 * time.Millisecond
)

// defaultBodyIdle is how long a body is waited for whose route is not known yet.
const defaultBodyIdle = 30 * time.Second

// read reads of the body what routing needs, all of it when it is short, and otherwise only what has come already.
func (x *exchange) read() bool {
	if !x.body.Done() {
		if err := x.readPrefix(); err != nil {
			return x.bodyFailed(err)
		}
	}
	x.replays = x.body.Done()
	if x.found.NeedsModel {
		return x.matchModel()
	}
	return true
}

func (x *exchange) readPrefix() error {
	want, hoped := x.wanted()
	if x.req.Framing == upstream.Chunked {
		return x.readChunks(want)
	}
	return x.readLength(int(min(x.req.Length, int64(want))), hoped)
}

// wanted is how many bytes of the body are waited for, and how many are waited for briefly.
func (x *exchange) wanted() (want, hoped int) {
	if x.req.Length <= bufferAtMost {
		hoped = int(x.req.Length)
	}
	switch {
	case x.found.NeedsModel, x.route.NeedsBody():
		want = max(x.limits.maxRoutingBody, hoped)
	case x.route.Config.Feedback && x.req.Length <= searchMost:
		want = hoped // else what is searched for would be known of fast clients alone
	}
	return want, hoped
}

// readLength takes the first want bytes of a body of known length, as many as are hoped for if they come soon, and whatever came with them.
func (x *exchange) readLength(want, hoped int) error {
	if err := x.await(want, x.bodyIdle()); err != nil {
		return err
	}
	if err := x.awaitBriefly(hoped); err != nil {
		return err
	}
	var err error
	x.prefix, err = x.body.Ready(&x.conn.in)
	return err
}

// await waits for the first want bytes of a body of known length, of which none may take longer than limit.
func (x *exchange) await(want int, limit time.Duration) error {
	in := &x.conn.in
	if len(in.Bytes()) < want {
		if err := x.invite(); err != nil {
			return err
		}
	}
	for len(in.Bytes()) < want {
		if err := x.fillWithin(limit); err != nil {
			return err
		}
	}
	return nil
}

// awaitBriefly is await for bytes that need not be there.
func (x *exchange) awaitBriefly(want int) error {
	in := &x.conn.in
	for len(in.Bytes()) < want {
		left := bufferFor - x.now().Sub(x.began)
		if left <= 0 {
			return nil
		}
		err := x.await(len(in.Bytes())+1, min(left, x.bodyIdle()))
		late := err == upstream.ErrTimeout || !in.Wire().Reads() // the watch may cut a wire that has just brought something
		switch {
		case late && !x.conn.left():
			in.Wire().Resume()
		case err != nil:
			return err
		}
	}
	return nil
}

// readChunks takes the first want bytes of a chunked body, and the chunks that have come whole or in part.
func (x *exchange) readChunks(want int) error {
	in := &x.conn.in
	if x.store == nil {
		x.store = upstream.Borrow()
	}
	x.prefix = x.store[:0]
	for {
		piece, err := x.body.Ready(in)
		switch x.prefix = append(x.prefix, piece...); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case int64(len(x.prefix))+x.body.Announced() > x.limits.maxBody:
			return errTooLarge
		case len(x.prefix) >= max(want, upstream.BufferSize/2):
			return nil
		case piece != nil:
			continue
		case len(x.prefix) >= want:
			return nil
		}
		if err := x.invite(); err != nil {
			return err
		}
		if err := x.fill(); err != nil {
			return err
		}
	}
}

// fill reads more of the body, which may not take longer than body_idle_timeout.
func (x *exchange) fill() error { return x.fillWithin(x.bodyIdle()) }

func (x *exchange) fillWithin(limit time.Duration) error {
	in := &x.conn.in
	if x.route != nil && !x.seen.Sent { // later max_duration is the model server's connection's
		limit = x.within(limit)
	}
	in.Wire().ReadWithin(limit)
	err := in.Fill()
	in.Wire().ReadWithin(0)
	if !x.seen.Sent {
		x.ready = x.now()
	}
	return err
}

func (x *exchange) bodyIdle() time.Duration {
	if x.route == nil {
		return defaultBodyIdle
	}
	return x.route.Config.BodyIdleTimeout
}

// invite sends the 100 that the client waits for before it sends the body (RFC 9110, section 10.1.1). The expectation
// ends here: the model server gets the body without being asked.
func (x *exchange) invite() error {
	if !x.req.Expect || x.invited {
		return nil
	}
	x.invited = true
	_, err := x.conn.wire.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

var errTooLarge = errors.New("the body is longer than limits.max_body")

// bodyFailed answers for a body that could not be read: whatever is wrong with it is the client's.
func (x *exchange) bodyFailed(err error) bool {
	switch {
	case errors.Is(err, upstream.ErrChunk):
		return x.refuse(monitor.BadRequest, "the body's chunked framing is malformed")
	case errors.Is(err, upstream.ErrTimeout) && !x.conn.left():
		return x.refuse(monitor.RequestTimeout, "no byte of the body came within body_idle_timeout, or not all of it within max_duration")
	case errors.Is(err, errTooLarge):
		return x.refuse(monitor.BodyTooLarge, err.Error())
	}
	return x.abandon()
}

// matchModel decides among the routes found by the body's model. A body that is longer than limits.max_routing_body
// names none.
func (x *exchange) matchModel() bool {
	var model []byte
	if x.replays {
		value, found, err := protocol.Field(x.prefix, "model")
		if errors.Is(err, protocol.ErrDuplicate) {
			return x.refuse(monitor.BadRequest, "the body names its model twice; name it once")
		}
		if found && err == nil {
			model = value
		}
	}
	if x.route = x.found.Model(model); x.route == nil {
		return x.refuse(monitor.NoRoute, "no route matches this host, path, method, headers and the body's model")
	}
	return x.soleReading(model, true) && x.admit()
}
