package proxy

import (
	"mlproxy/router"
	"mlproxy/shadow"
)

// copies is what an exchange keeps for the shadows that drew it: the request's body as far as a shadow may want it, and
// the fingerprint of the answer.
type copies struct {
	drawn  []*router.Shadow
	body   []byte // of a streamed request; a buffered one is in the exchange
	most   int64  // the longest body that a drawn shadow takes
	length int64  // of the body, however much was kept
	answer shadow.Sum
}

// draw asks each of the route's shadows whether it wants this request. It comes before the body streams.
func (c *copies) draw(r *router.Route) {
	for _, s := range r.Shadows {
		if s.Sample() {
			c.drawn = append(c.drawn, s)
			c.answer.Reset()
			c.most = max(c.most, s.Config.MaxBody)
		}
	}
}

// take keeps a piece of a streamed body, while it is not too long for every shadow.
func (c *copies) take(piece []byte) {
	c.length += int64(len(piece))
	switch {
	case len(c.drawn) == 0:
	case c.length > c.most:
		c.body = nil
	default:
		c.body = append(c.body, piece...)
	}
}

// offer hands the finished exchange to the mirror.
func (c *copies) offer(x *exchange) {
	o := shadow.Original{
		Method: string(x.req.Method), Key: x.hash(),
		Body: x.prefix, BodyLen: int64(len(x.prefix)),
		Status: x.ans.Status, AnswerSum: c.answer.Hash(), AnswerLen: c.answer.Len(), Complete: true,
	}
	if !x.replays {
		o.Body, o.BodyLen = c.body, c.length
	}
	for _, s := range c.drawn {
		x.server.opt.Mirror.Offer(s, &o, func(dst []byte, credentials bool) []byte {
			to := destination{pool: s.Pool, authority: s.Pool.Endpoints[0].Addr(), copied: true, anonymous: !credentials, length: o.BodyLen}
			return x.appendRequest(dst, &to)
		})
	}
}

// free forgets the exchange and keeps the room for drawn shadows.
func (c *copies) free() copies {
	clear(c.drawn)
	return copies{drawn: c.drawn[:0]}
}
