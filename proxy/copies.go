package proxy

import (
	"math"

	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/shadow"
	"mlproxy/upstream"
)

// copies is what an exchange keeps for the shadows that drew it: a streamed request's body, within the shadows' caps, and
// the answer, or its fingerprint alone where that is enough.
type copies struct {
	drawn  []*router.Shadow
	wanted bool   // some shadow drew the exchange
	body   []byte // of a streamed request, charged to every shadow in drawn; a buffered one is in the exchange
	length int    // of the whole body; 0 = not known
	answer shadow.Capture
}

// draw asks each of the route's shadows whether it wants this request. It comes before the body streams.
func (c *copies) draw(r *router.Route, m *shadow.Mirror) {
	for _, s := range r.Shadows {
		if s.Sample() {
			c.drawn = append(c.drawn, s)
		}
	}
	if c.wanted = len(c.drawn) > 0; c.wanted {
		m.Begin(&c.answer, c.drawn)
	}
}

// foresee refuses what could not be copied in the end, before a byte of a streamed body is kept for it.
func (c *copies) foresee(head *upstream.Head) {
	c.length = 0
	if head.Framing == upstream.ByLength && head.Length <= math.MaxInt32 {
		c.length = int(head.Length)
	}
	left := c.drawn[:0]
	for _, s := range c.drawn {
		switch {
		case head.Framing == upstream.ByLength && head.Length > s.Config.MaxBody:
			s.Meter.Dropped(monitor.DropTooLarge)
		case !s.Pool.Serves():
			s.Meter.Dropped(monitor.DropNoEndpoint)
		case s.InFlight.Load() >= int64(s.Config.MaxInFlight):
			s.Meter.Dropped(monitor.DropInFlight)
		case s.Bytes.Load()+int64(c.length) > s.Config.MaxBytes:
			s.Meter.Dropped(monitor.DropBytes)
		default:
			left = append(left, s)
		}
	}
	c.drawn, c.wanted = left, len(left) > 0
}

// take keeps a piece of a streamed body. A shadow that has no room for it gets no copy.
func (c *copies) take(piece []byte) {
	n := int64(len(piece))
	left := c.drawn[:0]
	for _, s := range c.drawn {
		switch {
		case int64(len(c.body))+n > s.Config.MaxBody:
			c.refuse(s, monitor.DropTooLarge)
		case s.Bytes.Load()+n > s.Config.MaxBytes:
			c.refuse(s, monitor.DropBytes)
		default:
			s.Bytes.Add(n)
			left = append(left, s)
		}
	}
	if c.drawn = left; len(left) > 0 {
		c.keep(piece)
	} else {
		c.body = nil
	}
}

// keep appends a piece. The room doubles until it is that of the whole: what a client claims to send takes none.
func (c *copies) keep(piece []byte) {
	if need := len(c.body) + len(piece); need > cap(c.body) {
		room := max(need, 2*cap(c.body))
		if c.length >= need {
			room = min(room, c.length)
		}
		c.body = append(make([]byte, 0, room), c.body...)
	}
	c.body = append(c.body, piece...)
}

func (c *copies) refuse(s *router.Shadow, why monitor.DropReason) {
	s.Bytes.Add(-int64(len(c.body)))
	s.Meter.Dropped(why)
}

// offer hands the finished exchange to the mirror, which charges what it takes.
func (c *copies) offer(x *exchange) {
	o := shadow.Original{
		Method: string(x.req.Method), Key: x.hash(), Body: x.prefix,
		Status: x.ans.Status, AnswerSum: c.answer.Hash(), AnswerLen: c.answer.Len(), Complete: true,
		Answer: c.answer.Kept, Took: x.seen.Upstream, Pool: x.version.Pool.Name,
	}
	if !x.replays {
		o.Body = c.body
	}
	o.BodyLen = int64(len(o.Body))
	for _, s := range c.drawn {
		s.Bytes.Add(-int64(len(c.body)))
		x.server.opt.Mirror.Offer(s, &o, func(dst []byte, pool *router.Pool, credentials bool) []byte {
			to := destination{pool: pool, authority: pool.Endpoints[0].Addr(), copied: true, anonymous: !credentials, length: o.BodyLen}
			return x.appendRequest(dst, &to)
		})
	}
	c.forget()
}

// shed drops the copies for the sake of live traffic.
func (c *copies) shed() {
	for _, s := range c.drawn {
		c.refuse(s, monitor.DropOverload)
	}
	c.forget()
}

// free gives back what is held, and keeps the room for drawn shadows.
func (c *copies) free() copies {
	for _, s := range c.drawn {
		s.Bytes.Add(-int64(len(c.body)))
	}
	c.forget()
	return copies{drawn: c.drawn}
}

func (c *copies) forget() {
	clear(c.drawn)
	c.drawn, c.body = c.drawn[:0], nil
	c.answer.Free()
}
