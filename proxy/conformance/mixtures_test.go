package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Pipelines in which requests of all kinds, good and bad, follow each other on one connection.
func TestPipelinedMixtures(t *testing.T) {
	const rfc = "RFC 9112 9.3.2"
	const nowhere = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
	head := strings.Replace(get(), "GET", "HEAD", 1)
	plain := func(s *stage) {
		s.gets()
		s.says(ok)
		s.sees(200, bodyIs("ok"))
	}
	notFound := func(s *stage) { s.seesProblem(404, "no_route") }
	refused := func(status string) func(s *stage) { return func(s *stage) { s.refused(status, false) } }
	// behind sends all at once and has one act after the other.
	behind := func(name string, send string, acts ...func(s *stage)) play {
		return play{name, rfc, func(s *stage) {
			s.send(send)
			for _, act := range acts {
				s.head = false
				act(s)
			}
			s.fence()
		}}
	}
	answered := func(says string, status int, checks ...check) func(s *stage) {
		return func(s *stage) {
			s.gets()
			s.says(says)
			s.sees(status, checks...)
		}
	}
	plays(t, world{limits: "max_body: 1000B"}, []play{
		behind("an error of ours between", get()+nowhere+get(), plain, notFound, plain),
		behind("errors of ours only", nowhere+nowhere+nowhere, notFound, notFound, notFound),
		behind("HEAD first", head+get(), func(s *stage) {
			s.head = true
			s.gets()
			s.says("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
			s.sees(200, value("Content-Length", "500"))
		}, plain),
		behind("HEAD of an error of ours", strings.Replace(nowhere, "GET", "HEAD", 1)+get(), func(s *stage) {
			s.head = true
			s.sees(404, value("X-MLProxy-Error", "no_route"))
		}, plain),
		behind("every framing of answers", get()+get()+get()+get(),
			answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", 200, bodyIs("ok"), trailers("X-Sum: 1")),
			answered("HTTP/1.1 204 No Content\r\n\r\n", 204),
			answered("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304),
			answered(ok, 200, bodyIs("ok"))),
		behind("an answer until close", get()+get(), func(s *stage) {
			s.gets()
			s.says("HTTP/1.1 200 OK\r\n\r\nok")
			s.hangsUp()
			s.sees(200, bodyIs("ok"), framed(chunked))
		}, plain),
		behind("interim answers", get()+get(), func(s *stage) {
			s.gets()
			s.says("HTTP/1.1 103 Early Hints\r\nConnection: close\r\nLink: x\r\n\r\n" + ok)
			s.seesHead(103)
			s.sees(200, bodyIs("ok"), lacks("Connection"))
		}, plain),
		behind("a model server that breaks off before its answer", post("one")+post("two"), func(s *stage) {
			s.gets(bodyIs("one"))
			s.hangsUp()
			s.seesProblem(502, "upstream_reset")
		}, func(s *stage) {
			s.gets(bodyIs("two"))
			s.says(ok)
			s.sees(200)
		}),
		behind("a model server that answers nonsense", get()+get(), func(s *stage) {
			s.gets()
			s.says("nonsense\r\n\r\n")
			s.seesProblem(502, "upstream_invalid")
		}, plain),
		behind("a body too long that is there", post(strings.Repeat("b", 1001))+get(), func(s *stage) { s.seesProblem(413, "body_too_large") }, plain),
		behind("an expectation whose body is there", post("hello", "Expect: 100-continue")+get(), func(s *stage) {
			s.gets(bodyIs("hello"))
			s.says(ok)
			s.sees(200)
		}, plain),
		behind("an expectation that is refused", get()+post("hello", "Expect: x")+get(), plain, refused("417")),
		behind("chunks, and chunks malformed", chunks("1\r\na\r\n0\r\n\r\n")+chunks("z\r\n")+get(), func(s *stage) {
			s.gets(bodyIs("a"))
			s.says(ok)
			s.sees(200)
		}, refused("400")),
		behind("a version of its own", get()+"GET /~ HTTP/3.0\r\nHost: a\r\n\r\n"+get(), plain, refused("505")),
		behind("a coding that is not served", get()+post("", "X: y")+strings.Replace(chunks("0\r\n\r\n"), "chunked", "gzip, chunked", 1)+get(), plain, plain, refused("501")),
		behind("CONNECT", get()+"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"+get(), plain, refused("501")),
		behind("bytes that are no request", get()+"hello\r\n\r\n"+get(), plain, refused("400")),
		behind("a body without length", "GET /~ HTTP/1.1\r\nHost: a\r\n\r\nhello\r\n\r\n", plain, refused("400")),
		behind("a length too short", "POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhello\r\n\r\n", func(s *stage) {
			s.gets(bodyIs("hell"))
			s.says(ok)
			s.sees(200)
		}, refused("400")),
		behind("HTTP/1.0 kept, then 1.1", "GET /~ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"+get(), answered(ok, 200, has("Connection: keep-alive")), plain),
		behind("an offer of another protocol that is refused", wsAsk+get(), func(s *stage) {
			s.upgrades = true
			answered("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", 400)(s)
			s.upgrades = false
		}, plain),
		{"a second request while the first answer streams", rfc, func(s *stage) {
			s.send(get())
			s.gets()
			s.says(chunkedHead + chunk("one"))
			s.seesHead(200)
			s.seesPiece("one")
			first := s.a
			s.send(get("X-A: second"))
			second := s.a
			s.a = first
			s.says(chunk("two") + "0\r\n\r\n")
			s.seesPiece("two")
			s.seesEnd()
			s.a = second
			s.gets(has("X-A: second"))
			s.says(ok)
			s.sees(200)
		}},
	})
}

// TestSplits cuts a request and its answer in two at every byte.
func TestSplits(t *testing.T) {
	const request = "POST /~ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\none\r\n0\r\nX-A: b\r\n\r\n"
	const answer = "HTTP/1.1 103 Hi\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\nX-C: d\r\n\r\n"
	plays(t, world{}, []play{
		{"requests", "RFC 9112 2.2", func(s *stage) {
			whole := s.text(request)
			for i := 1; i < len(whole); i++ {
				s.send(whole[:i])
				s.pause(time.Millisecond)
				s.send(whole[i:])
				s.gets(bodyIs("one"), trailers("X-A: b"))
				s.says(ok)
				s.sees(200, bodyIs("ok"), lacks("Connection"))
			}
		}},
		{"answers", "RFC 9112 2.2", func(s *stage) {
			for i := 1; i < len(answer); i++ {
				s.send(get())
				s.gets()
				s.says(answer[:i])
				s.pause(time.Millisecond)
				s.says(answer[i:])
				s.seesHead(103)
				s.sees(200, bodyIs("two"), trailers("X-C: d"))
			}
		}},
		{"lengths", "RFC 9112 6.2", func(s *stage) {
			whole := s.text(post("hello"))
			for i := 1; i < len(whole); i++ {
				s.send(whole[:i])
				s.pause(time.Millisecond)
				s.send(whole[i:])
				s.gets(bodyIs("hello"))
				s.says(ok[:len(ok)*i/len(whole)])
				s.pause(time.Millisecond)
				s.says(ok[len(ok)*i/len(whole):])
				s.sees(200, bodyIs("ok"), lacks("Connection"))
			}
		}},
	})
}

// Answers that come before their request is complete, and clients that send on all the same.
func TestEarlyAnswers(t *testing.T) {
	const rfc, size = "RFC 9112 9.3", 64 << 20
	long := fmt.Sprintf("POST /~ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
	// stubborn plays a client that sends its whole body before it reads, if it can.
	stubborn := func(send, says string, status int, checks ...check) func(s *stage) {
		return func(s *stage) {
			s.send(send)
			s.getsHead()
			s.getsPiece(strings.Repeat("p", 1000))
			s.says(says)
			_, _ = pour(s.c.Conn, size-1000, patience)
			s.sees(status, append(checks, has("Connection: close"))...)
			s.fence()
		}
	}
	piece := strings.Repeat("p", 1000)
	plays(t, world{}, []play{
		{"413 to a length", rfc, stubborn(long+piece, "HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno", 413, bodyIs("no"))},
		{"413 and close", rfc, stubborn(long+piece, "HTTP/1.1 413 Too Much\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", 413, bodyIs("no"))},
		{"401 in chunks", rfc, stubborn(long+piece, "HTTP/1.1 401 Who\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 401, bodyIs("no"))},
		{"200 to a length", rfc, stubborn(long+piece, ok, 200, bodyIs("ok"))},
		{"204 to a length", rfc, stubborn(long+piece, "HTTP/1.1 204 No Content\r\n\r\n", 204)},
		{"413 to chunks", rfc, stubborn(chunks(fmt.Sprintf("%x\r\n", size)+piece), "HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno", 413, bodyIs("no"))},
		{"404 of ours to a length", rfc, func(s *stage) {
			s.send(strings.Replace(long, "/~", "/nowhere", 1) + piece)
			_, _ = pour(s.c.Conn, size-1000, patience)
			s.refused("404", false)
		}},
		{"a long one to the end of the request", rfc, func(s *stage) {
			s.send(chunks(chunk("one")))
			s.getsHead()
			s.getsPiece("one")
			s.says(chunkedHead + chunk("early"))
			s.seesHead(200)
			s.seesPiece("early")
			s.send(chunk("two") + "0\r\n\r\n")
			s.getsPiece("two")
			s.getsEnd()
			s.says(chunk("late") + "0\r\n\r\n")
			s.seesPiece("late")
			s.seesEnd()
		}},
		{"a broken one", "RELIABILITY 3", func(s *stage) {
			s.send(long + piece)
			s.getsHead()
			s.says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe")
			s.seesHead(200)
			s.seesPiece("he")
			s.hangsUp()
			s.seesBroken()
		}},
		{"nonsense", "RELIABILITY 3", func(s *stage) {
			s.send(long + piece)
			s.getsHead()
			s.says("nonsense\r\n\r\n")
			s.seesHead(502, value("X-MLProxy-Error", "upstream_invalid"), has("Connection: close"))
		}},
	})
}
