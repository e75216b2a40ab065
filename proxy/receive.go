package proxy

import (
	"io"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// receive passes the answer on as it comes. again says that c may carry another exchange.
func (x *exchange) receive(c *upstream.Conn) (again bool, err error) {
	if err := x.finalHead(c); err != nil {
		return false, err
	}
	x.answered = x.now()
	sent, complete := x.upload.completed()
	if !complete {
		sent = x.sent
	}
	x.seen.Answered, x.seen.FirstByte = true, x.answered.Sub(sent)
	x.task.Answered(x.ans.Status)
	if x.tries == 1 && (complete || x.upload == nil) && !x.version.Pool.Options.Breaker.Fails(x.ans.Status) {
		c.Endpoint().Observe(x.seen.FirstByte) // a failure is no answer: it would make the endpoint look fast
	}
	if x.mayRetryStatus() {
		return false, errStatus
	}
	x.seen.Status = x.ans.Status
	if err := x.passAnswer(c); err != nil {
		return false, err
	}
	x.last = x.now()
	x.seen.Upstream = x.last.Sub(sent)
	return x.keeps(), nil
}

// keeps says that the connection to the model server may carry another exchange after this answer.
func (x *exchange) keeps() bool {
	return !x.ans.Close && x.ans.Framing != upstream.UntilClose && x.ans.Status != 101
}

func (x *exchange) passAnswer(c *upstream.Conn) error {
	if x.ans.Status == 101 {
		return x.tunnel(c)
	}
	if x.shadow.wanted {
		x.shadow.answer.TakeHead(&x.ans)
	}
	x.startAnswer()
	x.ansBody.Start(&x.ans, answerLimits)
	x.captureAnswer()
	return x.relay(c)
}

var answerLimits = upstream.Limits{Bytes: 64 << 10, Fields: 256}

// finalHead reads heads until one is not interim; of the interim ones only 100 ends here (RFC 9110, section 15.2). A 101
// is final, and an invalid answer if it goes on in a protocol that the client did not offer.
func (x *exchange) finalHead(c *upstream.Conn) error {
	bodiless := string(x.req.Method) == "HEAD"
	for range upstream.MaxInterim {
		if err := c.ReadHead(&x.ans, answerLimits, bodiless); err != nil {
			return err
		}
		switch {
		case x.ans.Status >= 200:
			x.upload.headCame()
			return nil
		case x.ans.Status == 101:
			if !x.upgrades || !x.ans.Agrees(&x.req) {
				return upstream.ErrInvalid
			}
			return nil
		case x.ans.Status == 100 || x.req.Minor == 0:
		default:
			if err := x.passInterim(); err != nil {
				return upstream.ErrAborted
			}
		}
	}
	return upstream.ErrInvalid
}

func (x *exchange) passInterim() error {
	x.out.start(x.conn.wire)
	x.out.buf = append(appendVia(x.appendAnswer(x.out.buf), x.ans.Minor), crlf...)
	x.conn.wire.WriteWithin(x.bodyIdle())
	return x.out.flush()
}

// startAnswer puts the answer's head together. An HTTP/1.0 client gets a body of unknown length until the connection
// closes; any other client gets it in chunks, so that it can tell a whole body from a part.
func (x *exchange) startAnswer() {
	unknown := x.ans.Framing == upstream.Chunked || x.ans.Framing == upstream.UntilClose
	if unknown && x.req.Minor == 0 || x.upload.runs() {
		x.conn.closing = true
	}
	x.conn.linger = x.upload.runs()
	x.out.start(x.conn.wire)
	b := x.appendReceipt(x.appendSigned(x.appendAnswer(x.out.buf)))
	if x.out.chunked = unknown && x.req.Minor == 1; x.out.chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	x.out.buf = append(b, crlf...)
}

// relay passes the body on. What has come is sent before more is waited for: an event reaches the client when the model
// server flushed it, and a client that reads slowly slows the model server down.
func (x *exchange) relay(c *upstream.Conn) error {
	for {
		whole, err := x.passReady(c)
		if err != nil {
			return err
		}
		if whole {
			return x.finishAnswer()
		}
		if err := x.flush(); err != nil {
			return err
		}
		c.Streams()
		spliced, err := x.splice(c)
		if err == nil && !spliced {
			err = x.follow(c)
		}
		if err != nil {
			return err
		}
	}
}

// passReady passes on what has come, and says whether the body has ended with it.
func (x *exchange) passReady(c *upstream.Conn) (whole bool, err error) {
	for {
		piece, err := x.ansBody.Ready(c.Reader())
		switch {
		case err == io.EOF:
			return true, nil
		case err != nil:
			return false, c.Explain(err)
		case piece == nil:
			return false, nil
		}
		if err := x.pass(piece); err != nil {
			return false, err
		}
	}
}

// follow waits for more of the body, once or again and again: on a plain socket all that follows is passed on within one call of the
// poller, so that an event costs one read and one write. Only where the model server's end is the body's it must be read for each time.
func (x *exchange) follow(c *upstream.Conn) error {
	if !x.ans.Nominates() {
		c.Reader().Forget() // a stream that waits then holds no buffer of the answer's
	}
	x.out.rest()
	c.Wire().ReadWithin(x.within(x.bodyIdle()))
	var failed, ended error
	if c.Wire().Plain() && x.ans.Framing != upstream.UntilClose {
		x.conn.follow(c)
		ended = c.Reader().Each(func() (waits bool) {
			waits, failed = x.passMore(c)
			return waits
		})
		x.conn.follow(nil)
	} else {
		ended = c.Reader().Fill()
		x.clock()
	}
	if failed == nil && ended != nil {
		if ended = x.ansBody.Ended(ended); ended != io.EOF {
			failed = c.Explain(ended)
		}
	}
	return failed
}

// passMore passes on what has just come, and says whether it is to be gone on like this.
func (x *exchange) passMore(c *upstream.Conn) (waits bool, err error) {
	x.clock()
	x.conn.heard.Add(1)
	whole, err := x.passReady(c)
	if err == nil && !whole {
		err = x.flush()
		x.out.rest()
	}
	c.Wire().ReadWithin(x.within(x.bodyIdle()))
	return err == nil && !whole && !x.splices(c), err
}

// splices says that much of the answer is still to come which nobody wants to look at.
func (x *exchange) splices(c *upstream.Conn) bool {
	return x.ansBody.Whole(c.Reader()) >= upstream.SpliceAtLeast && !x.shadow.wanted && !x.capture.WantsAnswer() && !x.out.mute
}

// splice passes on what of a large answer is still to come without looking at it, where that can be done.
func (x *exchange) splice(c *upstream.Conn) (spliced bool, err error) {
	if !x.splices(c) {
		return false, nil
	}
	p := upstream.BorrowPipe(c.Wire(), x.conn.wire)
	if p == nil {
		return false, nil
	}
	defer p.Return()
	for left := x.ansBody.Whole(c.Reader()); left > 0 && !x.out.mute; left = x.ansBody.Whole(c.Reader()) {
		c.Wire().ReadWithin(x.within(x.bodyIdle()))
		n, err := p.Fill(c.Wire(), left)
		if err == io.EOF {
			return false, c.Explain(upstream.ErrTruncated)
		}
		if err != nil {
			return false, c.Explain(err)
		}
		x.ansBody.Advance(n)
		x.seen.BytesOut += int64(n)
		x.conn.wire.WriteWithin(x.within(x.bodyIdle()))
		if err := x.written(p.Drain(x.conn.wire)); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (x *exchange) pass(piece []byte) error {
	x.seen.BytesOut += int64(len(piece))
	if x.shadow.wanted {
		x.shadow.answer.Take(piece)
	}
	if x.capture != nil {
		x.capture.AnswerBody(piece, x.came)
	}
	x.conn.wire.WriteWithin(x.within(x.bodyIdle()))
	return x.written(x.out.piece(piece))
}

func (x *exchange) flush() error {
	x.conn.wire.WriteWithin(x.within(x.bodyIdle()))
	return x.written(x.out.flush())
}

// finishAnswer writes the last of the answer. Before that the exchange gives up its places: who reads it may send the next request at once,
// and must find them free.
func (x *exchange) finishAnswer() error {
	x.out.end(x.ansBody.Trailer())
	if x.upload == nil {
		x.conn.unbind()
		x.task.GiveBack(x.keeps())
	}
	x.leave()
	x.conn.wire.WriteWithin(x.within(x.bodyIdle()))
	err := x.written(x.out.flush())
	x.conn.wire.WriteWithin(0)
	return err
}

// written is what a write to the client means: if it failed the client left, and its model server is either let
// finish or not.
func (x *exchange) written(err error) error {
	x.begun = x.begun || x.out.written
	switch {
	case err == nil:
		return nil
	case x.version.Pool.DrainOnGone:
		x.conn.leave()
		x.conn.closing = true
		x.out.mute, x.out.err = true, nil
		return nil
	case err == upstream.ErrTimeout:
		return errSlowClient
	}
	return upstream.ErrAborted
}

// offer hands the exchange to the mirror, for the shadows that drew it, unless live traffic is near a limit.
func (x *exchange) offer() {
	switch {
	case len(x.shadow.drawn) == 0:
	case x.pressed():
		x.shadow.shed()
	default:
		x.shadow.offer(x)
	}
}

// pressed says that live traffic is near limits.max_in_flight, or near a limit of the endpoint that answered.
func (x *exchange) pressed() bool {
	return upstream.Near(x.server.inFlight.Load(), x.limits.maxInFlight) || x.endpoint.Pressed(x.version.Pool.Options)
}

// reasonOf is what an error of an exchange with a model server is counted and answered as.
func reasonOf(err error) monitor.Reason {
	for _, known := range reasons {
		if is(err, known.err) {
			return known.reason
		}
	}
	return monitor.UpstreamReset
}
