package conformance

import (
	"strings"
	"testing"
	"time"
)

// warm makes a connection to the model server that is kept, and returns its number.
func (s *stage) warm() int {
	s.t.Helper()
	s.send(get())
	n := s.gets().number
	s.says(ok)
	s.sees(200)
	return n
}

// stale sends a request over the kept connection, which then ends without a byte of answer.
func (s *stage) stale(method string) {
	s.t.Helper()
	n := s.warm()
	s.send(strings.Replace(post("hello"), "POST", method, 1))
	if s.gets(bodyIs("hello")).number != n {
		s.fail("the connection was not used again")
	}
	s.hangsUp()
}

func TestRetryRules(t *testing.T) {
	const rfc = "DESIGN 5 retry"
	plays(t, world{route: "retry: {methods: [POST]}"}, []play{
		{"listed POST is replayed", rfc, func(s *stage) {
			s.stale("POST")
			s.gets(bodyIs("hello"))
			s.says(ok)
			s.sees(200)
		}},
		{"GET that is not listed is not", rfc, func(s *stage) {
			s.stale("GET")
			s.seesProblem(502, "upstream_reset")
			s.getsNothing()
		}},
	})
}

func TestNoRetry(t *testing.T) {
	plays(t, world{route: "retry: {attempts: 0}"}, []play{
		{"GET", "DESIGN 5 retry", func(s *stage) {
			s.stale("GET")
			s.seesProblem(502, "upstream_reset")
			s.getsNothing()
		}},
	})
}

func TestMaxConnections(t *testing.T) {
	plays(t, world{pool: "max_connections: 1"}, []play{
		{"the second request", "DESIGN 6 Errors", func(s *stage) {
			one := s.dial()
			s.send(get())
			a := s.gets()
			s.dial()
			s.send(get())
			s.sees(503, append(problem("overloaded"), matches("Retry-After", `\d+`))...)
			s.c, s.a = one, a
			s.says(ok)
			s.sees(200)
			if s.fence() != 1 {
				s.fail("a second connection was made")
			}
		}},
		{"of which one is closed", "DESIGN 5 pools", func(s *stage) {
			for range 5 {
				s.warm()
				s.hangsUp()
			}
			s.fence()
		}},
	})
}

func TestMaxDuration(t *testing.T) {
	const rfc = "DESIGN 5 max_duration"
	plays(t, world{route: "max_duration: 400ms"}, []play{
		{"no answer", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.seesProblem(504, "upstream_timeout")
			s.freed(patience)
		}},
		{"an endless stream", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead)
			s.seesHead(200)
			s.seesBroken()
			s.freed(patience)
			s.fence()
		}},
		{"an endless upload", rfc, func(s *stage) {
			s.send(chunks(chunk("x")))
			s.getsHead()
			s.getsCut()
			s.fence()
		}},
	})
}

func TestIdleClients(t *testing.T) {
	const rfc = "RFC 9112 9.5"
	plays(t, world{limits: "idle_timeout: 300ms, read_header_timeout: 300ms"}, []play{
		{"between requests", rfc, func(s *stage) {
			s.warm()
			s.seesClosed()
		}},
		{"before the first request", rfc, func(s *stage) {
			s.dial()
			s.seesNothingGood()
		}},
		{"not while an answer is awaited", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			for until := time.Now().Add(800 * time.Millisecond); time.Now().Before(until); {
				s.says("HTTP/1.1 103 Early Hints\r\n\r\n")
				s.seesHead(103)
				s.pause(100 * time.Millisecond)
			}
			s.says(ok)
			s.sees(200)
		}},
		{"drips of a head", "RELIABILITY 17", func(s *stage) {
			s.dial()
			for _, c := range "GET / HTTP/1.1\r\nHost: a\r\nX-Drip: " + strings.Repeat("x", 100) {
				s.drip(string(c))
				if s.pause(20 * time.Millisecond) {
					break
				}
			}
			if !strings.HasPrefix(string(s.c.in), "HTTP/1.1 408") {
				s.fail("the client sees %q", s.c.in)
			}
		}},
	})
}

// pause waits for anything to reach the client, for a while; it says whether something did.
func (s *stage) pause(d time.Duration) bool {
	_ = s.c.SetReadDeadline(time.Now().Add(d))
	var b [4096]byte
	n, _ := s.c.Read(b[:])
	s.c.in = append(s.c.in, b[:n]...)
	return n > 0
}

// drip sends bytes to a proxy that may have closed.
func (s *stage) drip(b string) {
	_ = s.c.SetWriteDeadline(time.Now().Add(patience))
	_, _ = s.c.Write([]byte(b))
}
