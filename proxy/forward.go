package proxy

import (
	"errors"
	"time"

	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/upstream"
)

// forward sends the request to an endpoint and the answer to the client: of the chosen pool, or of a failover pool when
// the chosen one has no fit endpoint. It is sent again only where the route's retry rules allow.
func (x *exchange) forward() bool {
	for {
		x.serveBy(x.route.Serving(x.chosen))
		endpoint, insist := x.version.Pool.Pick(x.hash(), x.failedAt)
		if endpoint == nil {
			return x.refuse(monitor.NoHealthyEndpoint, "the pool "+x.version.Pool.Name+" has no endpoint")
		}
		x.tries++
		x.endpoint = endpoint
		x.task.Path = x.path
		err := x.task.Do(endpoint, x.version.Pool.Options, x.fresh, insist)
		if x.tries > 1 {
			x.meter.Retry(retryOutcome(err))
		}
		if err == nil {
			return true
		}
		if x.begun || !x.mayRetry(err) {
			return x.failed(err)
		}
		if err != upstream.ErrOpen { // which costs nobody anything
			x.meter.Error(reasonOf(err))
		}
		x.failedAt, x.fresh = endpoint, errors.Is(err, upstream.ErrStale)
	}
}

// serveBy has v serve the request. If that is not the version chosen, it is charged to the one that was.
func (x *exchange) serveBy(v *router.Version) {
	if v == x.version {
		return
	}
	if x.meter != nil {
		x.meter.Abandon()
	}
	if v != x.chosen {
		x.route.FailedOver(x.chosen, v)
	}
	x.version, x.meter = v, v.Meter
	x.meter.Begin()
}

// carry sends the request over c and the answer to the client. again says that c may carry another exchange.
func (x *exchange) carry(c *upstream.Conn) (again bool, err error) {
	if !x.conn.bind(c, x.version.Pool.DrainOnGone) {
		return false, upstream.ErrAborted
	}
	defer x.conn.unbind()
	if x.body.Done() {
		if err := x.send(c); err != nil {
			return false, err
		}
		return x.receive(c)
	}
	if err := x.startUpload(c); err != nil {
		return false, err
	}
	again, err = x.receive(c)
	return x.endUpload(c, again, err)
}

// send sends a request whose body is in prefix. Its last part leaves with the first read of the answer.
func (x *exchange) send(c *upstream.Conn) error {
	if x.request == nil {
		x.request = upstream.Borrow()
	}
	to := destination{pool: x.version.Pool, authority: c.Endpoint().Addr()}
	out := x.appendRequest(x.request[:0], &to)
	c.Wire().WriteWithin(x.within(x.route.Config.BodyIdleTimeout))
	rest := x.prefix
	if x.chunksOn() {
		out = upstream.AppendLastChunk(upstream.AppendChunk(out, rest), x.body.Trailer())
		rest = nil
	}
	n := min(len(rest), max(0, upstream.BufferSize-len(out)))
	out, rest = append(out, rest[:n]...), rest[n:]
	x.seen.BytesIn = int64(len(x.prefix))
	c.Wire().ReadWithin(x.answerWithin())
	x.markSent()
	if len(rest) == 0 {
		x.request = nil // out is it, or stands in for it
		c.Give(out)
		return nil
	}
	if err := c.Write(out); err != nil {
		return err
	}
	c.Hold(rest)
	return nil
}

// patience is how long the exchange may stand in line for an endpoint, and what tells that its client left. It leaves while there is time for
// an answer: who gets its turn when the time is over takes it from somebody else, for nothing.
func (x *exchange) patience() (atMost time.Duration, left <-chan struct{}) {
	if x.lined.IsZero() && x.sent.IsZero() {
		x.lined = x.now()
	}
	return patienceFor(x.left(), x.endpoint.Latency()), x.conn.departure()
}

// patienceFor is how long to stand in line with so much time left, for answers that take so long: what leaves one and a half of these. One slow answer
// makes the endpoint look slow for a while, so that a quarter of the time is risked in any case.
func patienceFor(left, answer time.Duration) time.Duration {
	return max(left-answer-answer/2, left/4, time.Nanosecond)
}

// markSent notes when the request went to a model server first: the route's timeout counts from there, or from when it stood in line.
func (x *exchange) markSent() {
	if x.sent.IsZero() {
		x.sent = x.now()
		x.seen.Sent = true
	}
}

// answerWithin is how long the try may wait for the head of an answer: what is left to the exchange, or less when the endpoint's return depends on it.
func (x *exchange) answerWithin() time.Duration {
	allowed := x.route.Config.Timeout
	if limit := x.task.Limit(); limit > 0 {
		allowed = min(allowed, limit)
	}
	d := min(allowed, x.left())
	if most := x.route.Config.MaxDuration; most > 0 {
		allowed = min(allowed, most)
	}
	if d < allowed/2 {
		x.task.Late()
	}
	return d
}

// left is what is left of the route's timeout, and of max_duration.
func (x *exchange) left() time.Duration {
	return x.within(max(x.route.Config.Timeout-x.waited(), time.Nanosecond))
}

// waited is what of the route's timeout is over. Of an upload that is the time in line alone, for the rest counts from its end.
func (x *exchange) waited() time.Duration {
	since := x.lined
	if since.IsZero() {
		since = x.sent
	}
	switch {
	case since.IsZero():
		return 0
	case x.upload != nil:
		return x.sent.Sub(since)
	}
	return time.Since(since)
}

// within is d, or what is left of max_duration when that is less.
func (x *exchange) within(d time.Duration) time.Duration {
	most := x.route.Config.MaxDuration
	if most <= 0 {
		return d
	}
	left := max(most-time.Since(x.began), time.Nanosecond)
	if d <= 0 {
		return left
	}
	return min(d, left)
}

func retryOutcome(err error) monitor.RetryOutcome {
	if err != nil {
		return monitor.RetryFailed
	}
	return monitor.RetrySucceeded
}

// hash is the sticky key as balancing policies take it.
func (x *exchange) hash() uint64 { return x.route.Hash(x.key) }
