package proxy

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"mlproxy/upstream"
)

// upload sends the rest of a request body while its answer may already be coming: a body that is too long to be
// buffered, or that the client sends as it is made. It is the one case in which an exchange has a second goroutine.
type upload struct {
	exchange *exchange
	to       *upstream.Conn
	out      flow
	bytes    int64
	done     sync.WaitGroup
	state    atomic.Int32 // running, ending, complete or failed by its client
	cause    error        // valid once failed: what the client did
	sent     time.Time    // valid once complete
	tell     func()       // the try, that all was sent

	mu       sync.Mutex
	answered bool // the answer's head has come: its timeout counts no more
}

const (
	uploadRuns int32 = iota
	uploadEnds       // all has come from the client, and the last of it is being sent: the answer may overtake us
	uploadComplete
	uploadFailed // its client is to blame
)

// errClient says that the request could not be sent because of its client; the upload's cause says why.
var errClient = errors.New("the client's body failed")

// startUpload sends the head and the prefix, and starts the sending of the rest.
func (x *exchange) startUpload(c *upstream.Conn) error {
	if x.invite() != nil {
		return upstream.ErrAborted
	}
	u := &upload{exchange: x, to: c, bytes: int64(len(x.prefix))}
	u.out.start(c.Wire())
	to := destination{pool: x.version.Pool, authority: c.Endpoint().Addr()}
	u.out.buf = x.appendRequest(u.out.buf, &to)
	u.out.chunked = x.req.Framing == upstream.Chunked
	if x.shadow.wanted {
		x.shadow.foresee(&x.req)
		x.shadow.take(x.prefix)
	}
	x.captureUpload()
	c.Wire().ReadWithin(x.within(0))
	x.markSent()
	u.tell = x.task.Uploads()
	u.allow()
	if err := u.first(); err != nil {
		u.out.free()
		return c.Explain(err)
	}
	x.upload = u
	u.done.Add(1)
	go u.run()
	return nil
}

// first sends the head and what of the body is there.
func (u *upload) first() error {
	if err := u.out.piece(u.exchange.prefix); err != nil {
		return err
	}
	return u.out.flush()
}

// run sends the rest. When that fails, whoever waits for the answer is told: there is none to come if the client is to
// blame or the model server took nothing for too long, but there may be one if it closed its ears early.
func (u *upload) run() {
	defer u.done.Done()
	defer u.out.free()
	switch err := u.copy(); {
	case err == nil:
		u.sent = u.exchange.now()
		u.state.Store(uploadComplete)
		u.tell()
		u.awaitAnswer()
	case err == errClient:
		u.state.Store(uploadFailed)
		u.to.Abort()
	case errors.Is(err, upstream.ErrTimeout):
		u.to.Wire().Cut()
	default:
		u.awaitAnswer()
	}
}

// awaitAnswer lets the route's timeout count, unless the answer came before the request was complete.
func (u *upload) awaitAnswer() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.answered {
		u.to.Wire().ReadWithin(u.exchange.answerWithin())
	}
}

// headCame says that the answer's head has come.
func (u *upload) headCame() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answered = true
}

// runs says that not all of the request has come.
func (u *upload) runs() bool {
	if u == nil {
		return false
	}
	state := u.state.Load()
	return state != uploadEnds && state != uploadComplete
}

// completed says that all of the request was sent, and when. How long its client took is nothing the model server is to blame for.
func (u *upload) completed() (at time.Time, yes bool) {
	if u == nil || u.state.Load() != uploadComplete {
		return at, false
	}
	return u.sent, true
}

// copy sends piece by piece. A piece waits in the buffer only for others that have come already.
func (u *upload) copy() error {
	x := u.exchange
	in := &x.conn.in
	for {
		piece, err := x.body.Ready(in)
		if u.bytes+int64(len(piece))+x.body.Announced() > x.limits.maxBody {
			return u.blame(errTooLarge)
		}
		if piece == nil && err == nil {
			if err := u.flush(); err != nil {
				return err
			}
			if err := u.splice(); err != nil {
				return err
			}
			if x.body.Done() {
				continue
			}
			u.to.Pause()
			if err := x.fill(); err != nil {
				return u.blame(err)
			}
			u.to.Resume()
			continue
		}
		if err == io.EOF {
			u.state.Store(uploadEnds)
			return u.finish()
		}
		if err != nil {
			return u.blame(err)
		}
		if err := u.piece(piece); err != nil {
			return err
		}
	}
}

// splice sends what of a large body is still to come without looking at it, where nobody wants to.
func (u *upload) splice() error {
	x := u.exchange
	left := x.body.Whole(&x.conn.in)
	if left < upstream.SpliceAtLeast || x.shadow.wanted || x.capture.WantsRequest() || u.bytes+left > x.limits.maxBody {
		return nil
	}
	p := upstream.BorrowPipe(x.conn.wire, u.to.Wire())
	if p == nil {
		return nil
	}
	defer p.Return()
	for ; left > 0; left = x.body.Whole(&x.conn.in) {
		u.to.Pause()
		x.conn.wire.ReadWithin(x.bodyIdle())
		n, err := p.Fill(x.conn.wire, left)
		x.conn.wire.ReadWithin(0)
		if err != nil {
			return u.blame(err)
		}
		u.to.Resume()
		x.body.Advance(n)
		u.bytes += int64(n)
		if x.body.Done() {
			u.state.Store(uploadEnds)
		}
		u.allow()
		if err := p.Drain(u.to.Wire()); err != nil {
			return err
		}
	}
	return nil
}

func (u *upload) piece(p []byte) error {
	u.bytes += int64(len(p))
	if u.exchange.shadow.wanted {
		u.exchange.shadow.take(p)
	}
	if u.exchange.capture != nil {
		u.exchange.capture.RequestBody(p)
	}
	u.allow()
	return u.out.piece(p)
}

func (u *upload) flush() error {
	u.allow()
	return u.out.flush()
}

// finish sends the end of the body.
func (u *upload) finish() error {
	u.allow()
	u.out.end(u.exchange.body.Trailer())
	return u.out.flush()
}

// allow gives the model server body_idle_timeout to take more.
func (u *upload) allow() {
	u.to.Wire().WriteWithin(u.exchange.within(u.exchange.route.Config.BodyIdleTimeout))
}

func (u *upload) blame(err error) error {
	u.cause = err
	return errClient
}

// endUpload waits for the upload of an exchange whose answer came, or failed. An upload that still runs is of no more
// use: it is stopped, and neither connection carries another exchange. One whose end the answer overtook spoils the model server's alone.
func (x *exchange) endUpload(c *upstream.Conn, again bool, err error) (bool, error) {
	u := x.upload
	state := u.state.Load()
	came := state == uploadComplete || state == uploadEnds
	if state != uploadComplete {
		c.Wire().Cut()
	}
	if !came {
		x.conn.wire.CutRead()
	}
	u.done.Wait()
	x.upload = nil
	x.seen.BytesIn = u.bytes
	if came {
		return again && state == uploadComplete, err
	}
	x.conn.closing, x.conn.linger = true, true
	if state == uploadFailed && !x.begun {
		x.clientFault = u.cause
		err = errClient
	}
	return false, err
}
