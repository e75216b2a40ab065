package upstream

import (
	"io"
	"time"
)

// answerLimit bounds the heads of model servers: they are trusted further than clients.
var answerLimit = Limits{Bytes: 64 << 10, Fields: 256}

// MaxInterim bounds the 1xx answers before the final one.
const MaxInterim = 32

// Send writes one whole request as it goes on the wire, reads the answer and hands the bytes of its body to sink as
// they come. It is for copies: no retry, no streaming of the request, everything within deadline. The status is 0 when
// no final head came.
func (e *Endpoint) Send(o *Options, method string, request []byte, deadline time.Time, sink func([]byte)) (status int, err error) {
	c, err := e.Acquire(o, false)
	if err != nil {
		return 0, err
	}
	again := false
	defer func() { c.Release(again) }()
	left := time.Until(deadline)
	if left <= 0 {
		return 0, ErrTimeout
	}
	c.wire.WriteWithin(left)
	c.wire.ReadWithin(left)
	if err := c.Write(request); err != nil {
		return 0, err
	}
	var h Head
	if err := c.finalHead(&h, method == "HEAD"); err != nil {
		return 0, err
	}
	var body Body
	body.Start(&h, answerLimit)
	for {
		piece, err := body.Next(&c.in)
		if err == io.EOF {
			again = !h.Close && h.Framing != UntilClose
			return h.Status, nil
		}
		if err != nil {
			return h.Status, c.Explain(err)
		}
		sink(piece)
	}
}

// finalHead reads heads until one is not interim.
func (c *Conn) finalHead(h *Head, bodiless bool) error {
	for range MaxInterim {
		if err := c.ReadHead(h, answerLimit, bodiless); err != nil {
			return err
		}
		if h.Status >= 200 {
			return nil
		}
		if h.Status == 101 {
			break
		}
	}
	return ErrInvalid
}
