package upstream

import (
	"io"
	"sync"
	"time"
)

// answerLimit bounds the heads of model servers: they are trusted further than clients.
var answerLimit = Limits{Bytes: 64 << 10, Fields: 256}

// MaxInterim bounds the 1xx answers before the final one.
const MaxInterim = 32

// Send writes one whole request as it goes on the wire, reads the answer and hands its final head to head, and the bytes of
// its body to sink as they come. Neither may keep what it gets. It is for copies: no retry, no streaming of the request,
// everything within deadline. The status is 0 when no final head came. The endpoint's health, in its role, is asked first
// and told after: [ErrOpen] is its refusal.
func (e *Endpoint) Send(
	o *Options, method string, request []byte, deadline time.Time, head func(*Head), sink func([]byte),
) (status int, err error) {
	s := sendings.Get().(*sending)
	s.method, s.request, s.deadline, s.onHead, s.sink = method, request, deadline, head, sink
	err = s.try.Do(e, o, false, false)
	status = s.try.status
	s.request, s.onHead, s.sink = nil, nil, nil
	sendings.Put(s)
	return status, err
}

// sending is one copy on its way; it is reused, so that a copy allocates nothing.
type sending struct {
	try      Try
	method   string
	request  []byte
	deadline time.Time
	onHead   func(*Head)
	sink     func([]byte)
	head     Head
	body     Body
}

var sendings = sync.Pool{New: func() any {
	s := new(sending)
	s.try.Carry = s.carry
	return s
}}

func (s *sending) carry(c *Conn) (again bool, err error) {
	left := time.Until(s.deadline)
	if left <= 0 {
		return false, ErrTimeout
	}
	c.wire.WriteWithin(left)
	c.wire.ReadWithin(left)
	if err := c.Write(s.request); err != nil {
		return false, err
	}
	if err := c.finalHead(&s.head, s.method == "HEAD"); err != nil {
		return false, err
	}
	s.try.Answered(s.head.Status)
	s.onHead(&s.head)
	return s.drain(c)
}

// drain hands the answer's body to the sink.
func (s *sending) drain(c *Conn) (again bool, err error) {
	s.body.Start(&s.head, answerLimit)
	for {
		piece, err := s.body.Next(&c.in)
		if err == io.EOF {
			return !s.head.Close && s.head.Framing != UntilClose, nil
		}
		if err != nil {
			return false, c.Explain(err)
		}
		s.sink(piece)
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
