package conformance

import (
	"fmt"
	"testing"
	"time"
)

// A client that ends its sending side behind its request has left, as far as anybody can tell; but what is answered at once,
// it still gets.
func TestHalfClosedClients(t *testing.T) {
	const rfc = "RFC 9112 9.6"
	// answered plays a client that sends a request and its end in one go, until one is answered: the model server of a test may
	// be slower than any that is meant here.
	answered := func(send string, answers int, more ...check) func(s *stage) {
		return func(s *stage) {
			for until := time.Now().Add(patience); time.Now().Before(until); {
				s.dial()
				s.send(send)
				s.stops()
				if s.answersAll(answers, more) {
					s.seesClosed()
					return
				}
			}
			s.fail("no client is answered that ends what it sends")
		}
	}
	plays(t, world{}, []play{
		{"GET", rfc, answered(get(), 1)},
		{"GET with close", rfc, answered(get("Connection: close"), 1, has("Connection: close"))},
		{"GET of HTTP/1.0", rfc, answered("GET /~ HTTP/1.0\r\n\r\n", 1)},
		{"POST", rfc, answered(post("hello"), 1)},
		{"POST in chunks", rfc, answered(chunks("5\r\nhello\r\n0\r\n\r\n"), 1)},
		{"two in the pipeline", rfc, answered(get()+get(), 2)},
		{"no route", rfc, func(s *stage) {
			s.send("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
			s.stops()
			s.refused("404", true)
			s.seesClosed()
		}},
		{"malformed", rfc, func(s *stage) {
			s.send("GET /~ HTTP/1.1\r\n\r\n")
			s.stops()
			s.refused("400", false)
		}},
		{"no answer for a while", "RELIABILITY 6", func(s *stage) {
			s.send(get())
			s.stops()
			s.gets()
			s.freed(goneWithin)
			s.seesClosed()
		}},
		{"in a stream that goes on", "RELIABILITY 6", func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead + chunk("x"))
			s.seesHead(200)
			s.seesPiece("x")
			s.stops()
			s.freed(goneWithin)
			s.seesBroken()
		}},
	})
}

// answersAll lets the model server answer n requests at once; false when the proxy gave one of them up.
func (s *stage) answersAll(n int, more []check) bool {
	s.t.Helper()
	for range n {
		select {
		case s.a = <-s.model.arrivals:
		case <-time.After(time.Second):
			return false
		}
		if s.a.err != nil || s.a.rest(s.a.peer) != nil {
			return false
		}
		_, _ = fmt.Fprint(s.a.peer, ok)
		m, err := s.c.readHead(false, false)
		if err != nil || m.rest(s.c) != nil {
			return false
		}
		s.hold(m, append(more, bodyIs("ok")), headChecks)
		s.model.hearAgain(s.a)
	}
	return true
}
