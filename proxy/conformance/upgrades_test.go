package conformance

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	wsAsk    = "GET /~ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	wsAgreed = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
)

// switches asks for WebSocket and has the model server agree.
func (s *stage) switches() {
	s.t.Helper()
	s.asks(wsAsk)
	s.says(wsAgreed)
	s.seesHead(101, has("Upgrade: websocket"), has("Connection: Upgrade"), has("Sec-WebSocket-Accept: x"))
}

// asks sends a request that is to go on with its Upgrade, and what follows it.
func (s *stage) asks(script string, checks ...check) {
	s.t.Helper()
	s.upgrades = true
	s.send(script)
	s.getsHead(append(checks, has("Connection: Upgrade"))...)
}

// carried waits until the next bytes of a tunnel are these.
func (s *stage) carried(to *peer, want string) {
	s.t.Helper()
	if err := to.need(len(want)); err != nil || string(to.in[:len(want)]) != want {
		s.fail("%q comes out of the tunnel, not %q (%v)", to.in, want, err)
	}
	to.in = to.in[len(want):]
}

// ends waits for one side's end of the tunnel, with nothing more on it.
func (s *stage) ends(p *peer) {
	s.t.Helper()
	if err := p.more(); err != io.EOF {
		s.fail("%q comes out of the tunnel, and %v, not its end", p.in, err)
	}
}

// breaks waits for one side of the tunnel to be cut, however that looks.
func (s *stage) breaks(p *peer) {
	s.t.Helper()
	for {
		if err := p.more(); err != nil {
			if strings.HasPrefix(early(err).Error(), "waited") {
				s.fail("the tunnel stays open")
			}
			return
		}
	}
}

// speaks lets one side send.
func (s *stage) speaks(p *peer, text string) {
	s.t.Helper()
	_ = p.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(p, text); err != nil {
		s.fail("the tunnel takes nothing: %v", err)
	}
}

func TestUpgradeRequests(t *testing.T) {
	const rfc = "RFC 9110 7.8"
	ask := func(lines ...string) string { return get(append(lines, "Sec-WebSocket-Version: 13")...) }
	// offered is a request that goes on with these protocols.
	offered := func(name, want string, lines ...string) play {
		return play{name, rfc, func(s *stage) {
			s.asks(ask(lines...), value("Connection", "Upgrade"), value("Upgrade", want), has("Sec-WebSocket-Version: 13"))
			s.getsEnd()
			s.says(ok)
			s.sees(200, lacks("Upgrade"))
			s.fence()
		}}
	}
	// withheld is one that goes on as any other.
	withheld := func(name, send string) play {
		return play{name, rfc, func(s *stage) {
			s.send(send)
			s.gets(lacks("Upgrade", "Connection"))
			s.says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			s.seesHead(502, value("X-MLProxy-Error", "upstream_invalid"))
			s.freed(patience)
		}}
	}
	plays(t, world{}, []play{
		offered("websocket", "websocket", "Connection: Upgrade", "Upgrade: websocket"),
		offered("as browsers ask", "websocket", "Connection: keep-alive, Upgrade", "Upgrade: websocket"),
		offered("in other case", "WebSocket", "connection: UPGRADE", "uPgRaDe: WebSocket"),
		offered("another protocol", "foo/2", "Connection: upgrade", "Upgrade: foo/2"),
		offered("several", "websocket, foo/2", "Connection: upgrade", "Upgrade: websocket,foo/2"),
		offered("several fields", "websocket, foo", "Connection: upgrade", "Upgrade: websocket", "Upgrade: foo"),
		offered("empty items", "websocket", "Connection: upgrade,,", "Upgrade: ,websocket, ,"),
		offered("not h2c beside it", "websocket", "Connection: upgrade, HTTP2-Settings", "Upgrade: h2c, websocket", "HTTP2-Settings: AAMAAABkAAQAAP__"),
		offered("not TLS beside it", "websocket", "Connection: upgrade", "Upgrade: TLS/1.0, websocket, HTTP/2.0"),
		offered("nothing malformed beside it", "websocket", "Connection: upgrade", "Upgrade: a b, websocket, /1, foo/, f(o"),
		offered("with a length of zero", "websocket", "Connection: upgrade", "Upgrade: websocket", "Content-Length: 0"),
		withheld("without Connection", ask("Upgrade: websocket")),
		withheld("without Upgrade", ask("Connection: Upgrade")),
		withheld("empty", ask("Connection: Upgrade", "Upgrade:")),
		withheld("h2c", ask("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")),
		withheld("h2c in capitals", ask("Connection: Upgrade", "Upgrade: H2C")),
		withheld("h2", ask("Connection: Upgrade", "Upgrade: h2")),
		withheld("HTTP", ask("Connection: Upgrade", "Upgrade: HTTP/2.0")),
		withheld("TLS", ask("Connection: Upgrade", "Upgrade: TLS/1.2")),
		withheld("malformed", ask("Connection: Upgrade", "Upgrade: web socket")),
		withheld("of HTTP/1.0", "GET /~ HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
		withheld("of POST", "POST /~ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n"),
		withheld("of a request with a body", "GET /~ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi"),
		withheld("of a request with chunks", "GET /~ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		{"other fields of one hop", "RFC 9110 7.6.1", func(s *stage) {
			s.asks(ask("Connection: Upgrade, X-A", "Upgrade: websocket", "X-A: b", "Keep-Alive: 5", "TE: trailers", "X-B: c"),
				lacks("X-A", "Keep-Alive", "TE"), has("X-B: c"))
		}},
		{"X-Forwarded and the like", "DESIGN 6 Headers", func(s *stage) {
			s.asks(ask("Connection: Upgrade, X-Forwarded-For", "Upgrade: websocket"), value("X-Forwarded-For", "127.0.0.1"), value("Via", "1.1 mlproxy"))
		}},
		{"malformed request", "RELIABILITY 1", func(s *stage) {
			s.send("GET /~ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			s.refused("400", false)
			s.getsNothing()
		}},
		{"no route", "DESIGN 6 Errors", func(s *stage) {
			s.send(strings.Replace(wsAsk, "/~", "/nowhere", 1))
			s.refused("404", true)
		}},
	})
}

func TestUpgradeAnswers(t *testing.T) {
	const rfc = "RFC 9110 15.2.2"
	agreed := func(lines string) string { return "HTTP/1.1 101 Switching Protocols\r\n" + lines + "\r\n" }
	invalid := func(name, lines string) play {
		return play{name, rfc, func(s *stage) {
			s.asks(strings.Replace(wsAsk, "websocket", "websocket, foo/2", 1) + "early")
			s.says(agreed(lines))
			s.seesHead(502, value("X-MLProxy-Error", "upstream_invalid"))
			s.breaks(s.a.peer)
			if len(s.a.in) > 0 {
				s.fail("%q went on without an agreement", s.a.in)
			}
		}}
	}
	valid := func(name, lines string, checks ...check) play {
		return play{name, rfc, func(s *stage) {
			s.asks(strings.Replace(wsAsk, "websocket", "websocket, foo/2", 1))
			s.says(agreed(lines) + "hello")
			s.seesHead(101, checks...)
			s.carried(s.c, "hello")
			s.speaks(s.c, "hi")
			s.carried(s.a.peer, "hi")
		}}
	}
	// ordinary is any other answer: the connections are as after any exchange.
	ordinary := func(status int, fields string, checks ...check) play {
		return play{fmt.Sprintf("%d", status), rfc, func(s *stage) {
			s.asks(wsAsk)
			s.getsEnd()
			s.says(fmt.Sprintf("HTTP/1.1 %d X\r\n%sContent-Length: 2\r\n\r\nno", status, fields))
			s.sees(status, append(checks, bodyIs("no"), lacks("Connection", "Upgrade"))...)
			s.upgrades = false
			n := s.a.number
			s.send(get())
			if s.gets().number != n {
				s.fail("another connection was made")
			}
			s.says(ok)
			s.sees(200)
		}}
	}
	plays(t, world{}, []play{
		invalid("nothing agreed", ""),
		invalid("no Upgrade", "Connection: Upgrade\r\n"),
		invalid("no Connection", "Upgrade: websocket\r\n"),
		invalid("not offered", "Connection: Upgrade\r\nUpgrade: bar\r\n"),
		invalid("another version", "Connection: Upgrade\r\nUpgrade: foo/3\r\n"),
		invalid("more than offered", "Connection: Upgrade\r\nUpgrade: websocket, bar\r\n"),
		invalid("h2c", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
		invalid("malformed head", "Connection: Upgrade\r\nUpgrade: websocket\r\nX A: b\r\n"),
		valid("websocket", "Connection: Upgrade\r\nUpgrade: websocket\r\n", value("Upgrade", "websocket")),
		valid("in other case", "connection: upgrade\r\nupgrade: WebSocket\r\n", value("Upgrade", "WebSocket")),
		valid("the other one", "Connection: Upgrade\r\nUpgrade: foo/2\r\n", value("Upgrade", "foo/2")),
		valid("one over the other", "Connection: Upgrade\r\nUpgrade: foo/2, websocket\r\n", value("Upgrade", "foo/2, websocket")),
		valid("with a length", "Content-Length: 5\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", lacks("Content-Length")),
		valid("other fields of one hop", "Connection: Upgrade, X-A\r\nX-A: b\r\nKeep-Alive: 1\r\nUpgrade: websocket\r\nX-B: c\r\n",
			lacks("X-A", "Keep-Alive"), has("X-B: c")),
		valid("identity of the exchange", "Connection: Upgrade\r\nX-Request-ID: theirs\r\nX-MLProxy-Pool: theirs\r\nUpgrade: websocket\r\n",
			matches("X-Request-ID", mlproxyID), matches("X-MLProxy-Pool", `c\d+`), value("Via", "1.1 mlproxy")),
		ordinary(200, ""),
		ordinary(400, "Sec-WebSocket-Version: 13\r\n", has("Sec-WebSocket-Version: 13")),
		ordinary(403, "Connection: keep-alive\r\n"),
		ordinary(500, ""),
		{"426 names what it asks for", "RFC 9110 15.5.22", func(s *stage) {
			s.raw = true
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 426 X\r\nConnection: Upgrade, X-A\r\nX-A: b\r\nUpgrade: websocket, h2c\r\nContent-Length: 0\r\n\r\n")
			s.sees(426, value("Connection", "Upgrade"), value("Upgrade", "websocket"), lacks("X-A"))
			s.warm()
		}},
		{"426 to h2c", "RFC 9110 7.8", func(s *stage) {
			s.send(get())
			s.gets()
			s.says("HTTP/1.1 426 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n")
			s.sees(426, lacks("Upgrade", "Connection"))
		}},
		{"after 100 and 103", rfc, func(s *stage) {
			s.asks(wsAsk)
			s.says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + wsAgreed)
			s.seesHead(103)
			s.seesHead(101)
			s.speaks(s.a.peer, "hi")
			s.carried(s.c, "hi")
		}},
		{"head in single bytes", rfc, func(s *stage) {
			s.asks(wsAsk)
			for _, c := range wsAgreed + "hello" {
				s.says(string(c))
			}
			s.seesHead(101)
			s.carried(s.c, "hello")
		}},
		{"refused, and a request in the pipeline", rfc, func(s *stage) {
			s.asks(wsAsk + get("X-A: second"))
			s.getsEnd()
			s.says("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
			s.sees(403)
			s.upgrades = false
			s.gets(has("X-A: second"))
			s.says(ok)
			s.sees(200)
		}},
		{"refused, and early bytes that are no request", rfc, func(s *stage) {
			s.asks(wsAsk + "\x81\x02hi\r\n\r\n")
			s.getsEnd()
			s.says("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
			s.sees(403)
			s.upgrades = false
			s.refused("400", false)
			s.getsNothing()
		}},
		{"closed without an answer", "RELIABILITY 3", func(s *stage) {
			s.asks(wsAsk)
			s.hangsUp()
			s.seesProblem(502, "upstream_reset")
		}},
		{"closed in the 101", "RELIABILITY 3", func(s *stage) {
			s.asks(wsAsk)
			s.says(wsAgreed[:40])
			s.hangsUp()
			s.seesProblem(502, "upstream_reset")
		}},
		{"stale connection", "DESIGN 6 Retry", func(s *stage) {
			n := s.warm()
			s.asks(wsAsk)
			if s.a.number != n {
				s.fail("the connection was not used again")
			}
			s.hangsUp()
			s.getsHead(has("Upgrade: websocket"))
			s.says(wsAgreed)
			s.seesHead(101)
		}},
	})
}

func TestTunnels(t *testing.T) {
	const rfc, size = "RELIABILITY 8", 16 << 20
	plays(t, world{}, []play{
		{"both ways", rfc, func(s *stage) {
			s.switches()
			for i := range 100 {
				s.speaks(s.c, fmt.Sprint("up ", i))
				s.carried(s.a.peer, fmt.Sprint("up ", i))
				s.speaks(s.a.peer, fmt.Sprint("down ", i))
				s.carried(s.c, fmt.Sprint("down ", i))
			}
		}},
		{"every byte value", rfc, func(s *stage) {
			all := make([]byte, 256)
			for i := range all {
				all[i] = byte(i)
			}
			s.switches()
			s.speaks(s.c, string(all))
			s.carried(s.a.peer, string(all))
			s.speaks(s.a.peer, string(all))
			s.carried(s.c, string(all))
		}},
		{"what looks like HTTP", "RELIABILITY 1", func(s *stage) {
			s.switches()
			s.speaks(s.c, get())
			s.carried(s.a.peer, get())
			s.speaks(s.a.peer, ok)
			s.carried(s.c, ok)
		}},
		{"early bytes wait for the 101", "RFC 9110 7.8", func(s *stage) {
			s.asks(wsAsk + "early")
			a := s.a
			s.fence()
			s.a = a
			_ = s.a.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			var b [10]byte
			if n, _ := s.a.Read(b[:]); n+len(s.a.in) > 0 {
				s.fail("%q%q came before the 101", s.a.in, b[:n])
			}
			s.says(wsAgreed)
			s.seesHead(101)
			s.carried(s.a.peer, "early")
			s.speaks(s.c, " and late")
			s.carried(s.a.peer, " and late")
		}},
		{"bytes behind the 101", rfc, func(s *stage) {
			s.asks(wsAsk)
			long := strings.Repeat("x", 100000)
			s.says(wsAgreed + long)
			s.seesHead(101)
			s.carried(s.c, long)
		}},
		{"the client ends what it sends", rfc, func(s *stage) {
			s.switches()
			s.speaks(s.c, "bye")
			_ = halfClose(s.c)
			s.carried(s.a.peer, "bye")
			s.ends(s.a.peer)
			for range 5 {
				s.speaks(s.a.peer, "still there")
				s.carried(s.c, "still there")
			}
			s.hangsUp()
			s.ends(s.c)
		}},
		{"the model server ends what it sends", rfc, func(s *stage) {
			s.switches()
			s.speaks(s.a.peer, "bye")
			_ = halfClose(s.a.peer)
			s.carried(s.c, "bye")
			s.ends(s.c)
			for range 5 {
				s.speaks(s.c, "still there")
				s.carried(s.a.peer, "still there")
			}
			s.leaves()
			s.ends(s.a.peer)
		}},
		{"the client leaves", rfc, func(s *stage) {
			s.switches()
			s.leaves()
			s.ends(s.a.peer)
			s.hangsUp()
			s.fence()
		}},
		{"the client resets", rfc, func(s *stage) {
			s.switches()
			s.vanishes()
			s.breaks(s.a.peer)
			s.fence()
		}},
		{"the model server closes", rfc, func(s *stage) {
			s.switches()
			s.speaks(s.a.peer, "bye")
			s.hangsUp()
			s.carried(s.c, "bye")
			s.ends(s.c)
			s.leaves()
			s.fence()
		}},
		{"the model server resets", rfc, func(s *stage) {
			s.switches()
			s.speaks(s.c, "unread")
			s.resets()
			s.breaks(s.c)
			s.getsNothing() // it is not tried again
		}},
		{"client that does not read leaves", rfc, func(s *stage) {
			s.switches()
			_, _ = pour(s.a.Conn, 64<<20, 200*time.Millisecond)
			s.leaves()
			s.breaks(s.a.peer)
		}},
		{"much, both ways at once", "DESIGN 6 Bodies are never altered", func(s *stage) {
			s.switches()
			up, down := sha256.New(), sha256.New()
			failed := make(chan error, 2)
			go func() { failed <- inject(s.c.Conn, up, size, 0) }()
			go func() { failed <- inject(s.a.Conn, down, size, 0) }()
			gotUp, gotDown := sha256.New(), sha256.New()
			go func() { failed <- take(s.a.peer, gotUp, size) }()
			go func() { failed <- take(s.c, gotDown, size) }()
			for range 4 {
				if err := <-failed; err != nil {
					s.fail("%v", err)
				}
			}
			if string(gotUp.Sum(nil)) != string(up.Sum(nil)) || string(gotDown.Sum(nil)) != string(down.Sum(nil)) {
				s.fail("what came out is not what went in")
			}
		}},
		{"the connection carries nothing else", rfc, func(s *stage) {
			s.switches()
			n := s.a.number
			s.hangsUp()
			s.ends(s.c)
			s.leaves()
			if s.fence() == n {
				s.fail("the tunnel's connection was used again")
			}
		}},
		{"after another exchange", rfc, func(s *stage) {
			n := s.warm()
			s.switches()
			if s.a.number != n {
				s.fail("another connection was made")
			}
			s.speaks(s.a.peer, "hi")
			s.carried(s.c, "hi")
		}},
	})
}

// take reads n bytes.
func take(p *peer, to io.Writer, n int) error {
	_ = p.SetReadDeadline(time.Now().Add(3 * patience))
	_, err := io.CopyN(to, io.MultiReader(strings.NewReader(string(p.in)), p.Conn), int64(n))
	return err
}

func TestTunnelsBackPressure(t *testing.T) {
	const offered, most = 256 << 20, 32 << 20
	held := func(one func(s *stage) net.Conn) func(s *stage) {
		return func(s *stage) {
			s.switches()
			n, err := pour(one(s), offered, time.Second)
			var timeout net.Error
			if n > most || !errors.As(err, &timeout) || !timeout.Timeout() {
				s.fail("%d MB were taken, and then: %v", n>>20, err)
			}
		}
	}
	plays(t, world{}, []play{
		{"the client does not read", "RELIABILITY 7", held(func(s *stage) net.Conn { return s.a.Conn })},
		{"the model server does not read", "RELIABILITY 7", held(func(s *stage) net.Conn { return s.c.Conn })},
	})
}

func TestTunnelsTimeLimits(t *testing.T) {
	const rfc = "DESIGN 5 body_idle_timeout"
	// talks has bytes pass one way only, for longer than the limit.
	talks := func(from, to func(s *stage) *peer) func(s *stage) {
		return func(s *stage) {
			s.switches()
			for until := time.Now().Add(time.Second); time.Now().Before(until); s.pause(20 * time.Millisecond) {
				s.speaks(from(s), "tick")
				s.carried(to(s), "tick")
			}
			s.breaks(s.c)
			s.breaks(s.a.peer)
		}
	}
	client, server := func(s *stage) *peer { return s.c }, func(s *stage) *peer { return s.a.peer }
	plays(t, world{route: "body_idle_timeout: 300ms, timeout: 300ms"}, []play{
		{"silence both ways", rfc, func(s *stage) {
			s.switches()
			s.ends(s.c)
			s.ends(s.a.peer)
			s.fence()
		}},
		{"the client alone talks", rfc, talks(client, server)},
		{"the model server alone talks", rfc, talks(server, client)},
		{"half closed and silent", rfc, func(s *stage) {
			s.switches()
			_ = halfClose(s.c)
			s.ends(s.a.peer)
			s.ends(s.c)
		}},
		{"no 101 in time", "DESIGN 5 timeout", func(s *stage) {
			s.asks(wsAsk)
			s.refused("504", true)
		}},
	})
}

func TestTunnelsMaxDuration(t *testing.T) {
	plays(t, world{route: "max_duration: 400ms"}, []play{
		{"however much is said", "DESIGN 5 max_duration", func(s *stage) {
			s.switches()
			for s.c.SetDeadline(time.Now().Add(patience)) == nil {
				if _, err := s.c.Write([]byte("tick")); err != nil {
					break
				}
			}
			s.breaks(s.c)
			s.breaks(s.a.peer)
			s.fence()
		}},
	})
}

// What on_client_gone says is for answers: of a tunnel the client is one of two ends.
func TestTunnelsOfPoolsThatDrain(t *testing.T) {
	plays(t, world{pool: "on_client_gone: drain"}, []play{
		{"the client leaves", "RELIABILITY 8", func(s *stage) {
			s.switches()
			s.leaves()
			s.ends(s.a.peer)
		}},
		{"the client resets", "RELIABILITY 8", func(s *stage) {
			s.switches()
			s.vanishes()
			s.breaks(s.a.peer)
		}},
	})
}

// TestTunnelsAreCounted has a binary of its own, which is then stopped while a tunnel is open.
func TestTunnelsAreCounted(t *testing.T) {
	t.Parallel()
	th := open(t, world{}, 1)
	s := th.stage(t, 0, "RELIABILITY 8")
	s.switches()
	s.speaks(s.c, "hello")
	s.carried(s.a.peer, "hello")
	labels := `{pool="c0",route="c0"}`
	s.metric("mlproxy_tunnels"+labels, "1")
	s.metric("mlproxy_in_flight"+labels, "1")
	s.speaks(s.a.peer, "hi")
	s.carried(s.c, "hi")
	s.leaves()
	s.ends(s.a.peer)
	s.hangsUp()
	s.metric("mlproxy_tunnels"+labels, "0")
	s.metric("mlproxy_in_flight"+labels, "0")
	s.metric(`mlproxy_tunnels_ended_total{outcome="closed",pool="c0",route="c0"}`, "1")
	s.metric(`mlproxy_requests_total{code="101",pool="c0",route="c0"}`, "1")
	s.metric("mlproxy_request_bytes_total"+labels, "5")
	s.metric("mlproxy_response_bytes_total"+labels, "2")
	s.metric("mlproxy_request_duration_seconds_count"+labels, "1")

	s.dial()
	s.switches()
	begun := time.Now()
	th.proxy.stop(t) // drain: 2s
	if took := time.Since(begun); took < 1500*time.Millisecond || took > 3*patience {
		s.fail("it took %v to stop with a tunnel open", took)
	}
	s.breaks(s.c)
	s.breaks(s.a.peer)
}

// metric waits until a series has a value.
func (s *stage) metric(series, want string) {
	s.t.Helper()
	sample := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`)
	got := ""
	for until := time.Now().Add(patience); time.Now().Before(until); {
		got = ""
		if m := sample.FindStringSubmatch(s.scrape()); m != nil {
			got = m[1]
		}
		if got == want {
			return
		}
	}
	s.fail("%s is %q, not %q", series, got, want)
}

func (s *stage) scrape() string {
	s.t.Helper()
	c, err := net.Dial("tcp", s.proxy.admin)
	if err != nil {
		s.fail("%v", err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = fmt.Fprintf(c, "GET /metrics HTTP/1.0\r\nHost: %s\r\n\r\n", s.proxy.admin)
	all, err := io.ReadAll(c)
	if err != nil {
		s.fail("%v", err)
	}
	return string(all)
}
