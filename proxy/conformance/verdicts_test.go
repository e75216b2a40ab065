package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A message that can no longer be one is refused before the rest of it comes, which may be never.
func TestVerdictsAreNotWaitedFor(t *testing.T) {
	const line, syntax, framing = "RFC 9112 3", "RFC 9112 5", "RFC 9112 6.3"
	refused := func(name, rfc, send, statuses string) play {
		return play{"request, " + name, rfc, func(s *stage) {
			s.send(send)
			s.refused(statuses, false)
			s.getsNothing()
		}}
	}
	field := func(name, rfc, lines string) play {
		return refused(name, rfc, strings.TrimSuffix(get(), "\r\n")+lines, "400")
	}
	bad := func(name, rfc, says string) play { return invalid("answer, "+name, rfc, says) }
	plays(t, world{}, []play{
		refused("HTTP/0.9", line, "GET /~\r\n", "400"),
		refused("HTTP/2", "RFC 9110 2.5", "GET /~ HTTP/2.0\r\n", "505"),
		refused("a method that is no token", line, "G(T /~ HTTP/1.1\r\n", "400"),
		refused("a method that is no token, before its line ends", line, "G(T /~", "400"),
		refused("a CR alone", "RFC 9112 2.2", "GET /~ HTTP/1.1\rHost: a\r", "400"),
		refused("zeros", line, "\x00\x01\x02\x03", "400"),
		refused("a TLS hello", line, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
		refused("a request line too long", line, "GET /~"+strings.Repeat("x", 70<<10), "414"),
		field("a space before the colon", "RFC 9112 5.1", "X : y\r\n"),
		field("a folded field", "RFC 9112 5.2", "X: y\r\n z\r\n"),
		field("no colon", syntax, "X\r\n"),
		field("a CR within a value, before its line ends", "RFC 9112 2.2", "X: a\rb"),
		field("two lengths", framing, "Content-Length: 1\r\nContent-Length: 2\r\n"),
		field("two hosts", "RFC 9112 3.2", "Host: b\r\n"),
		refused("too many fields", "RFC 6585 5", strings.TrimSuffix(get(), "\r\n")+strings.Repeat("a:\r\n", 200), "431"),

		bad("a word", line, "garbage"),
		bad("two lines", line, "garbage\r\nfoo\r\n"),
		bad("HTTP/0.9", line, "<html><body>hi</body></html>"),
		bad("a status that is no number", "RFC 9112 4", "HTTP/1.1 2x0 OK\r\n"),
		bad("HTTP/2", "RFC 9110 2.5", "HTTP/2 200\r\n"),
		bad("a space before the colon", "RFC 9112 5.1", "HTTP/1.1 200 OK\r\nX : y\r\n"),
		bad("a CR alone", "RFC 9112 2.2", "HTTP/1.1 200 OK\rContent-Length: 2\r\rok"),
		bad("two lengths", framing, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n"),
		bad("a TLS alert", line, "\x15\x03\x01\x00\x02\x02\x46"),
		bad("frames of HTTP/2", line, "\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
	})
}

// A chunk that is said to be longer than a body may be is refused when its size is read.
func TestChunksAnnouncedTooLong(t *testing.T) {
	const rfc = "RFC 9110 15.5.14"
	f := func(size string) play {
		return play{size, rfc, func(s *stage) {
			s.send(chunks(size + "\r\nhello\r\n"))
			s.refused("413", false)
			s.getsNothing()
		}}
	}
	plays(t, world{limits: "max_body: 1000B"}, []play{
		f("3e9"),
		f("7fffffff"),
		f("ffffffff"),
		f("fffffffffffffff"),
		{"the second one", rfc, func(s *stage) {
			s.send(chunks(chunk("hello")))
			s.getsHead()
			s.getsPiece("hello")
			s.send("3e4\r\n")
			s.getsCut()
			s.refused("413", false)
		}},
	})
}

// A short body that comes bit by bit goes on bit by bit, and what the model server says of it meanwhile is passed on.
func TestShortBodiesThatTakeTheirTime(t *testing.T) {
	const rfc = "RELIABILITY 6"
	begun := func(lines ...string) string {
		return "POST" + strings.TrimPrefix(get(append(lines, "Content-Length: 10")...), "GET") + "hello"
	}
	plays(t, world{}, []play{
		{"whole in the end", rfc, func(s *stage) {
			s.send(begun())
			s.getsHead(value("Content-Length", "10"))
			s.getsPiece("hello")
			s.send("world")
			s.getsPiece("world")
			s.getsEnd()
			s.says(ok)
			s.sees(200, bodyIs("ok"))
			s.fence()
		}},
		{"the client's time is not the model server's", "DESIGN 7", func(s *stage) {
			s.send(begun())
			s.getsHead()
			s.getsPiece("hello")
			s.pause(time.Second)
			s.send("world")
			s.getsPiece("world")
			s.getsEnd()
			s.says(ok)
			s.sees(200)
			s.fence() // and what was counted stands
			name := strings.Trim(s.base, "/")
			s.metric(fmt.Sprintf(`mlproxy_time_to_first_byte_seconds_bucket{pool=%q,route=%q,le="0.5"}`, name, name), "2")
		}},
		{"an early answer", "RFC 9112 9.3", func(s *stage) {
			s.send(begun())
			s.getsHead()
			s.getsPiece("hello")
			s.says("HTTP/1.1 401 Who\r\nContent-Length: 2\r\n\r\nno")
			s.sees(401, bodyIs("no"), has("Connection: close"))
			s.fence()
		}},
		{"an early answer to who waits to be asked", "RFC 9110 10.1.1", func(s *stage) {
			s.send(strings.TrimSuffix(begun("Expect: 100-continue"), "hello"))
			s.seesHead(100)
			s.getsHead()
			s.says("HTTP/1.1 401 Who\r\nContent-Length: 2\r\n\r\nno")
			s.sees(401, bodyIs("no"), has("Connection: close"))
			s.fence()
		}},
		{"left unfinished", "RELIABILITY 3", func(s *stage) {
			s.send(begun())
			s.getsHead()
			s.getsPiece("hello")
			s.leaves()
			s.getsCut()
			s.fence()
		}},
	})
}
