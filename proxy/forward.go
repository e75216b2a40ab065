package proxy

import (
	"errors"
	"slices"
	"time"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// forward sends the request to an endpoint of the chosen pool and the answer to the client; to another endpoint only
// where the route's retry rules allow.
func (x *exchange) forward() bool {
	pool := x.version.Pool
	endpoint, _ := pool.Pick(x.hash(), nil)
	if endpoint == nil {
		return x.refuse(monitor.NoHealthyEndpoint, "the pool "+pool.Name+" has no endpoint")
	}
	err := x.try(endpoint, false)
	for n := 0; err != nil && !x.begun && x.mayRetry(err, n); n++ {
		x.meter.Error(reasonOf(err))
		endpoint, _ = pool.Pick(x.hash(), endpoint)
		err = x.try(endpoint, errors.Is(err, upstream.ErrStale))
		x.meter.Retry(retryOutcome(err))
	}
	if err != nil {
		return x.failed(err)
	}
	return true
}

// try makes one exchange with an endpoint. Its error is one of package upstream's, or [errClient].
func (x *exchange) try(endpoint *upstream.Endpoint, fresh bool) error {
	c, err := endpoint.Acquire(x.version.Pool.Options, fresh)
	if err != nil {
		return err
	}
	if !x.conn.bind(c, x.version.Pool.DrainOnGone) {
		c.Release(false)
		return upstream.ErrAborted
	}
	again, err := x.carry(c)
	x.conn.unbind()
	c.Release(again && err == nil)
	return err
}

// carry sends the request over c and the answer to the client. again says that c may carry another exchange.
func (x *exchange) carry(c *upstream.Conn) (again bool, err error) {
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
	x.markSent()
	c.Wire().ReadWithin(x.answerWithin())
	if len(rest) == 0 {
		c.Hold(out)
		return nil
	}
	if err := c.Write(out); err != nil {
		return err
	}
	c.Hold(rest)
	return nil
}

// markSent notes when the request went to a model server first: the route's timeout counts from there.
func (x *exchange) markSent() {
	if x.sent.IsZero() {
		x.sent = time.Now()
		x.seen.Sent = true
	}
}

// answerWithin is what is left of the route's timeout.
func (x *exchange) answerWithin() time.Duration {
	d := x.route.Config.Timeout
	if x.retried {
		d = max(d-time.Since(x.sent), time.Nanosecond)
	}
	return x.within(d)
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

// mayRetry says whether err, met by try number n, allows another one.
func (x *exchange) mayRetry(err error, n int) bool {
	rules := &x.route.Config.Retry
	if n >= rules.Attempts || !x.replays {
		return false
	}
	ok := false
	switch {
	case errors.Is(err, upstream.ErrConnect), errors.Is(err, upstream.ErrFull):
		ok = slices.Contains(rules.On, "connect")
	case errors.Is(err, upstream.ErrStale):
		ok = slices.Contains(rules.On, "stale") && slices.Contains(rules.Methods, string(x.req.Method))
	}
	if ok && !x.route.Retries.Spend() {
		x.meter.Retry(monitor.RetryNoBudget)
		return false
	}
	x.retried = ok
	return ok
}

func retryOutcome(err error) monitor.RetryOutcome {
	if err != nil {
		return monitor.RetryFailed
	}
	return monitor.RetrySucceeded
}

// hash is the sticky key as balancing policies take it.
func (x *exchange) hash() uint64 { return x.route.Hash(x.key) }
