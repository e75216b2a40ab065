package shadow

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/router"
)

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\niris\n"

// Each kind of answer is counted by its status and by what comparing it with the live one finds.
func TestAnswersAreCompared(t *testing.T) {
	f := func(o *Original, answer, code, result string) {
		t.Helper()
		s := newStage(t, serve(t, func(c *net.TCPConn) {
			if readRequest(bufio.NewReader(c)) == nil {
				_, _ = io.WriteString(c, answer)
			}
		}), caps())
		s.mirror.Offer(s.shadow, o, headOf(len(o.Body)))
		s.end(t)
		if got := s.counted(t, "requests"); !maps.Equal(got, map[string]int{code: 1}) {
			t.Errorf("%q counts as code %v, want %s", answer, got, code)
		}
		if got := s.counted(t, "compared"); !maps.Equal(got, map[string]int{result: 1}) {
			t.Errorf("%q counts as %v, want %s", answer, got, result)
		}
		if got := s.counted(t, "dropped"); got != nil {
			t.Errorf("%q: dropped %v", answer, got)
		}
	}
	live := original("x", 200, "iris\n")
	f(live, okAnswer, "200", "agree")
	f(live, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nir\r\n3\r\nis\n\r\n0\r\n\r\n", "200", "agree")
	f(live, "HTTP/1.1 200 OK\r\n\r\niris\n", "200", "agree")
	f(live, "HTTP/1.1 100 Continue\r\n\r\n"+okAnswer, "200", "agree")
	f(live, "HTTP/1.1 201 OK\r\nContent-Length: 5\r\n\r\niris\n", "201", "differ")
	f(live, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nIris\n", "200", "differ")
	f(live, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200", "differ")
	f(live, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\niris\n", "200", "error")
	f(live, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\niris\n\r\n", "200", "error")
	f(live, "HTTP/9", "0", "error")
	f(live, "", "0", "error")
	f(original("", 503, ""), "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "503", "agree")
	cut := original("x", 200, "iris\n")
	cut.Complete = false // the live client left, or its model server failed
	f(cut, okAnswer, "200", "error")
	head := original("", 200, "")
	head.Method = "HEAD"
	f(head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200", "agree")
}

// A copy is the head its owner writes and the whole body, once, and credentials are asked for only by config.
func TestCopyOnTheWire(t *testing.T) {
	f := func(forward bool, body, want string) {
		t.Helper()
		got := make(chan string, 2)
		c := caps()
		c.ForwardCredentials = forward
		s := newStage(t, serve(t, func(c *net.TCPConn) {
			var read strings.Builder
			if readRequest(bufio.NewReader(io.TeeReader(c, &read))) == nil {
				got <- read.String()
				_, _ = io.WriteString(c, okAnswer)
			}
		}), c)
		o := original(body, 200, "iris\n")
		s.mirror.Offer(s.shadow, o, func(dst []byte, _ *router.Pool, credentials bool) []byte {
			dst = append(dst, "POST / HTTP/1.1\r\nHost: m\r\n"...)
			if credentials {
				dst = append(dst, "Cookie: a\r\n"...)
			}
			return append(append(append(dst, "Content-Length: "...), byte('0'+len(body))), "\r\n\r\n"...)
		})
		clear(o.Body) // the exchange goes on to others
		s.end(t)
		select {
		case copied := <-got:
			if copied != want {
				t.Errorf("the shadow got %q, want %q", copied, want)
			}
		default:
			t.Error("the shadow got nothing")
		}
	}
	f(false, "abc", "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\nabc")
	f(true, "abc", "POST / HTTP/1.1\r\nHost: m\r\nCookie: a\r\nContent-Length: 3\r\n\r\nabc")
	f(false, "", "POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 0\r\n\r\n")
}

// What there is no room for is dropped, counted by reason, and costs no head.
func TestDrops(t *testing.T) {
	f := func(tune func(*config.Shadow), o *Original, want string) {
		t.Helper()
		c := caps()
		tune(c)
		s := newStage(t, absent(t), c)
		s.mirror.Offer(s.shadow, o, func([]byte, *router.Pool, bool) []byte {
			t.Errorf("%s: a head was written for nothing", want)
			return nil
		})
		if got := s.counted(t, "dropped"); !maps.Equal(got, map[string]int{want: 1}) {
			t.Errorf("dropped %v, want %s", got, want)
		}
		s.end(t)
		if n := s.total(t, "requests"); n != 0 {
			t.Errorf("%s: sent all the same", want)
		}
	}
	o := original("0123456789", 200, "")
	f(func(c *config.Shadow) { c.MaxBody = 9 }, o, "body_too_large")
	f(func(c *config.Shadow) { c.MaxBytes = 9 }, o, "bytes")
	f(func(c *config.Shadow) { c.MaxInFlight = 0 }, o, "in_flight")
	part := original("01234", 200, "")
	part.BodyLen = 10
	f(func(*config.Shadow) {}, part, "incomplete")
	f(func(c *config.Shadow) { c.MaxBody = 9 }, part, "body_too_large")
}

// Head and body together are held against max_bytes, to the byte.
func TestMaxBytesIncludesTheHead(t *testing.T) {
	f := func(spare int64, want map[string]int) {
		t.Helper()
		o := original("0123456789", 200, "iris\n")
		c := caps()
		c.MaxBytes = int64(len(headOf(10)(nil, nil, false))) + 10 + spare
		s := newStage(t, serve(t, answering(okAnswer)), c)
		s.mirror.Offer(s.shadow, o, headOf(10))
		s.end(t)
		if got := s.counted(t, "dropped"); !maps.Equal(got, want) {
			t.Errorf("%d bytes to spare: dropped %v, want %v", spare, got, want)
		}
	}
	f(0, nil)
	f(-1, map[string]int{"bytes": 1})
}

// Shadows that misbehave, under more copies than they may have: no offer waits for one, the caps hold all the time,
// memory stays bounded, nothing is tried twice, and every offer is counted once as sent or dropped.
func TestMisbehavingShadows(t *testing.T) {
	f := func(name string, handle func(*net.TCPConn), codes ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			address := absent(t)
			if handle != nil {
				address = serve(t, handle)
			}
			overload(t, address, codes)
		})
	}
	f("hang", func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }, "0")
	f("never read", func(c *net.TCPConn) { waitForClose(c) }, "0")
	f("reset", func(c *net.TCPConn) {
		_, _ = io.ReadFull(c, make([]byte, 10))
		_ = c.SetLinger(0)
	}, "0")
	f("flood of body", func(c *net.TCPConn) {
		flood(c, "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 64<<10))
	}, "0", "200")
	f("flood of head", func(c *net.TCPConn) { flood(c, "HTTP/1.1 200 OK\r\nx: ", strings.Repeat("x", 64<<10)) }, "0")
	f("flood of interim answers", func(c *net.TCPConn) { flood(c, "", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100)) }, "0")
	f("drip", func(c *net.TCPConn) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for flood := okAnswer[:len(okAnswer)-6]; len(flood) > 0; flood = flood[1:] {
			if _, err := io.WriteString(c, flood[:1]); err != nil {
				return
			}
			<-tick.C
		}
	}, "0")
	f("absent", nil, "0")
}

// flood reads requests and answers with begin and endless repetitions of more.
func flood(c *net.TCPConn, begin, more string) {
	go func() { _, _ = io.Copy(io.Discard, c) }() // ends with c
	again := []byte(more)                         // once: the heap is measured
	for _, err := io.WriteString(c, begin); err == nil; {
		_, err = c.Write(again)
	}
}

// waitForClose returns when the peer or the test closes c, without reading what it sent.
func waitForClose(c *net.TCPConn) {
	_ = c.SetReadBuffer(4 << 10)
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(uintptr) bool { return false })
}

func overload(t *testing.T, address string, codes []string) {
	t.Helper()
	const waves, offers, size = 3, 200, 1 << 20
	c := caps()
	c.Timeout, c.MaxInFlight, c.MaxBytes = 150*time.Millisecond, 8, 6<<20
	s := newStage(t, address, c)
	before := heap()
	o, head := original(strings.Repeat("b", size), 200, "iris\n"), headOf(size)
	for range waves {
		for range offers {
			began := time.Now()
			s.mirror.Offer(s.shadow, o, head)
			if took := time.Since(began); took > time.Second {
				t.Errorf("an offer took %v", took)
			}
			if n, b := s.shadow.InFlight.Load(), s.shadow.Bytes.Load(); n > 8 || b > 6<<20 {
				t.Fatalf("%d copies with %d bytes at once, want at most 8 with 6 MiB", n, b)
			}
		}
		if grown := heap() - before; grown > 24<<20 {
			t.Errorf("the heap grew by %d MiB", grown>>20)
		}
		s.quiet(t)
	}
	s.end(t)
	sent, dropped := s.total(t, "requests"), s.total(t, "dropped")
	if sent == 0 || sent+dropped != waves*offers || s.total(t, "compared") != sent || s.counted(t, "compared")["error"] != sent {
		t.Errorf("%d offers: sent %d, dropped %d, compared %v", waves*offers, sent, dropped, s.counted(t, "compared"))
	}
	for code := range s.counted(t, "requests") {
		if !strings.Contains(strings.Join(codes, " "), code) {
			t.Errorf("answers counted as %s, want %v", code, codes)
		}
	}
}

// A copy that failed is not tried again.
func TestNeverRetried(t *testing.T) {
	requests := make(chan struct{}, 10)
	s := newStage(t, serve(t, func(c *net.TCPConn) {
		if readRequest(bufio.NewReader(c)) == nil {
			requests <- struct{}{}
		}
	}), caps())
	s.mirror.Offer(s.shadow, original("x", 200, ""), headOf(1))
	s.end(t)
	if n := len(requests); n != 1 {
		t.Errorf("the shadow got %d requests, want 1", n)
	}
}

// Many live exchanges at once: every offer is counted, and nothing stays behind.
func TestOffersAtOnce(t *testing.T) {
	const callers, offers = 8, 100
	s := newStage(t, serve(t, answering(okAnswer)), caps())
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			o, head := original("x", 200, "iris\n"), headOf(1)
			for range offers {
				s.mirror.Offer(s.shadow, o, head)
			}
		})
	}
	all.Wait()
	s.end(t)
	agreed, dropped := s.counted(t, "compared")["agree"], s.total(t, "dropped")
	if agreed == 0 || agreed+dropped != callers*offers {
		t.Errorf("%d offers: %d agreed, %d dropped", callers*offers, agreed, dropped)
	}
}

// Closed, a mirror takes nothing; what is with a shadow is waited for, but no longer than the caller likes.
func TestClose(t *testing.T) {
	release := make(chan struct{})
	s := newStage(t, serve(t, func(c *net.TCPConn) {
		if readRequest(bufio.NewReader(c)) == nil {
			<-release
			_, _ = io.WriteString(c, okAnswer)
		}
	}), caps())
	s.mirror.Offer(s.shadow, original("x", 200, "iris\n"), headOf(1))
	hurried, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.mirror.Close(hurried); err == nil {
		t.Error("Close did not say that a copy was left")
	}
	s.mirror.Offer(s.shadow, original("x", 200, "iris\n"), func([]byte, *router.Pool, bool) []byte {
		t.Error("a head was written for a mirror that has stopped")
		return nil
	})
	if got := s.counted(t, "dropped"); !maps.Equal(got, map[string]int{"draining": 1}) {
		t.Errorf("dropped %v, want the second offer", got)
	}
	close(release)
	s.end(t)
	if got := s.counted(t, "compared"); !maps.Equal(got, map[string]int{"agree": 1}) {
		t.Errorf("compared %v, want the first offer", got)
	}
}

// An answered copy leaves its connection to the next.
func TestConnectionsAreUsedAgain(t *testing.T) {
	connections := make(chan struct{}, 100)
	s := newStage(t, serve(t, func(c *net.TCPConn) {
		connections <- struct{}{}
		answering(okAnswer)(c)
	}), caps())
	o, head := original("x", 200, "iris\n"), headOf(1)
	for range 20 {
		s.mirror.Offer(s.shadow, o, head)
		s.quiet(t)
	}
	s.end(t)
	if n := len(connections); n != 1 {
		t.Errorf("20 copies took %d connections, want 1", n)
	}
}
