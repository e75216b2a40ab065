package proxy

import (
	"errors"
	"strconv"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// errSlowClient says that the client took no byte of the answer for body_idle_timeout.
var errSlowClient = errors.New("the client does not read the answer")

// reasons name the errors of an exchange with a model server.
var reasons = []struct {
	err    error
	reason monitor.Reason
}{
	{upstream.ErrConnect, monitor.UpstreamConnect},
	{upstream.ErrFull, monitor.Overloaded},
	{upstream.ErrOpen, monitor.BreakerOpen},
	{errStatus, monitor.None},
	{upstream.ErrTimeout, monitor.UpstreamTimeout},
	{upstream.ErrInvalid, monitor.UpstreamInvalid},
	{upstream.ErrAborted, monitor.ClientGone},
	{errSlowClient, monitor.RequestTimeout},
}

func is(err, known error) bool { return errors.Is(err, known) }

// failed ends an exchange that found no answer, or lost it midway.
func (x *exchange) failed(err error) bool {
	reason := reasonOf(err)
	switch {
	case err == errClient:
		return x.bodyFailed(x.clientFault)
	case reason == monitor.ClientGone:
		return x.abandon()
	case x.begun:
		return x.broken(reason)
	}
	return x.refuse(reason, x.detail(err))
}

// detail says what happened at which pool; the endpoint's address is not the client's business.
func (x *exchange) detail(err error) string {
	pool := x.version.Pool.Name
	handshake, secure := errors.AsType[*upstream.HandshakeError](err)
	switch {
	case secure:
		return "no TLS connection to a model server of the pool " + pool + ": " + handshake.Check
	case errors.Is(err, upstream.ErrConnect):
		return "no connection to a model server of the pool " + pool
	case errors.Is(err, upstream.ErrFull):
		return "the model servers of the pool " + pool + " have max_connections or max_in_flight"
	case errors.Is(err, upstream.ErrOpen):
		return "the breakers of the pool " + pool + " are open: its model servers failed, and are tried again soon"
	case errors.Is(err, upstream.ErrTimeout) && x.task.Hurried():
		return "no endpoint of the pool " + pool + " is fit, and the one that was tried for want of another has been silent for long"
	case errors.Is(err, upstream.ErrTimeout):
		return "the pool " + pool + " did not answer within the route's timeout"
	case errors.Is(err, upstream.ErrInvalid):
		return "the pool " + pool + " answered with something that is not HTTP/1.1"
	}
	return "a model server of the pool " + pool + " closed the connection before its answer was complete"
}

// broken ends an answer that cannot be completed: its client must not take it for whole, so the connection is reset.
func (x *exchange) broken(reason monitor.Reason) bool {
	x.seen.Reason = reason
	x.conn.closing = true
	if x.ans.Framing == upstream.UntilClose || x.req.Minor == 0 {
		x.conn.resets, x.conn.linger = true, false
	}
	return false
}

// refuseHead refuses a request whose head could not be read.
func (x *exchange) refuseHead(bad *upstream.HeadError) bool {
	reason := monitor.BadRequest
	switch bad.Status {
	case 414:
		reason = monitor.URITooLong
	case 417:
		reason = monitor.Expectation
	case 431:
		reason = monitor.HeadersTooLarge
	case 501:
		reason = monitor.NotImplemented
	case 505:
		reason = monitor.VersionNotSupported
	}
	x.conn.closing, x.conn.linger = true, true
	return x.refuse(reason, bad.Reason)
}

// refuse answers with a problem of our own (RFC 9457).
func (x *exchange) refuse(reason monitor.Reason, detail string) bool {
	status := statusOf[reason]
	x.seen.Status, x.seen.Reason = status.code, reason
	if !x.drained() || reason == monitor.BadRequest {
		x.conn.closing, x.conn.linger = true, true
	}
	x.out.start(x.conn.wire)
	b := append(x.out.buf, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status.code), 10)
	b = append(append(append(b, ' '), status.phrase...), "\r\nContent-Type: application/problem+json\r\nX-MLProxy-Error: "...)
	b = append(append(b, reason.String()...), crlf...)
	b = x.appendSigned(x.appendAdvice(b, status.code))
	body := x.problem(status, reason, detail)
	b = appendLength(b, int64(len(body)))
	if string(x.req.Method) != "HEAD" {
		b = append(b, body...)
	}
	x.sendOwn(b)
	return false
}

// sendOwn sends an answer of our own, which began in x.out.buf.
func (x *exchange) sendOwn(answer []byte) {
	x.out.buf = answer
	x.conn.wire.WriteWithin(defaultBodyIdle)
	x.leave()
	if x.out.flush() != nil {
		x.conn.closing = true
	}
	x.conn.wire.WriteWithin(0)
}

// problem is the body of an error of our own. Nothing of the request is in it but an ID that is safe to quote.
func (x *exchange) problem(status answerStatus, reason monitor.Reason, detail string) []byte {
	b := append(make([]byte, 0, 512), `{"type":"about:blank","title":"`...)
	b = append(append(b, status.phrase...), `","status":`...)
	b = strconv.AppendInt(b, int64(status.code), 10)
	b = append(append(b, `,"reason":"`...), reason.String()...)
	b = append(strconv.AppendQuote(append(b, `","detail":`...), detail), `,"request_id":`...)
	return append(strconv.AppendQuoteToASCII(b, string(x.id.bytes())), '}')
}

// drained says that nothing of the request is left to read.
func (x *exchange) drained() bool {
	for !x.body.Done() {
		if piece, err := x.body.Ready(&x.conn.in); piece == nil || err != nil {
			break
		}
	}
	return x.body.Done()
}

type answerStatus struct {
	code   int
	phrase string
}

// statusOf is what each reason is answered with.
var statusOf = map[monitor.Reason]answerStatus{
	monitor.BadRequest:          {400, "Bad Request"},
	monitor.Unauthorized:        {401, "Unauthorized"},
	monitor.Forbidden:           {403, "Forbidden"},
	monitor.NoRoute:             {404, "Not Found"},
	monitor.RequestTimeout:      {408, "Request Timeout"},
	monitor.BodyTooLarge:        {413, "Content Too Large"},
	monitor.URITooLong:          {414, "URI Too Long"},
	monitor.Expectation:         {417, "Expectation Failed"},
	monitor.RateLimited:         {429, "Too Many Requests"},
	monitor.HeadersTooLarge:     {431, "Request Header Fields Too Large"},
	monitor.NotImplemented:      {501, "Not Implemented"},
	monitor.UpstreamConnect:     {502, "Bad Gateway"},
	monitor.UpstreamReset:       {502, "Bad Gateway"},
	monitor.UpstreamInvalid:     {502, "Bad Gateway"},
	monitor.NoHealthyEndpoint:   {503, "Service Unavailable"},
	monitor.Overloaded:          {503, "Service Unavailable"},
	monitor.BreakerOpen:         {503, "Service Unavailable"},
	monitor.Draining:            {503, "Service Unavailable"},
	monitor.UpstreamTimeout:     {504, "Gateway Timeout"},
	monitor.VersionNotSupported: {505, "HTTP Version Not Supported"},
}
