package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// eachKind runs f over a real socket, over TLS, and over a connection that is neither.
func eachKind(t *testing.T, f func(t *testing.T, w *Wire, peer net.Conn)) {
	t.Run("socket", func(t *testing.T) {
		w, peer := over(t)
		f(t, w, peer)
	})
	t.Run("TLS 1.2", func(t *testing.T) {
		w, peer := overTLS(t, tls.VersionTLS12)
		f(t, w, peer)
	})
	t.Run("TLS 1.3", func(t *testing.T) {
		w, peer := overTLS(t, tls.VersionTLS13)
		f(t, w, peer)
	})
	t.Run("pipe", func(t *testing.T) {
		ours, theirs := net.Pipe()
		w := NewWire(ours, NewWatch())
		defer w.Close()
		defer theirs.Close()
		f(t, w, theirs)
	})
}

// pass lets d go by for the watch.
func pass(w *Watch, d time.Duration) {
	w.look(d)
}

// later runs f and gives what it returns.
func later[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	return c
}

const long = 4 << 20 // more than socket buffers take at once

func TestWireCarriesBothWaysAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, w *Wire, peer net.Conn) {
		out, in := bytes.Repeat([]byte("request "), long/8), bytes.Repeat([]byte("answer, "), long/8)
		var done sync.WaitGroup
		done.Go(func() {
			if n, err := w.Write(out); n != len(out) || err != nil {
				t.Error(n, err)
			}
		})
		done.Go(func() {
			if n, err := peer.Write(in); n != len(in) || err != nil {
				t.Error(n, err)
			}
		})
		got := make([]byte, len(out))
		done.Go(func() {
			if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, out) {
				t.Error("the peer read something else", err)
			}
		})
		back := make([]byte, len(in))
		if _, err := io.ReadFull(w, back); err != nil || !bytes.Equal(back, in) {
			t.Error("read something else", err)
		}
		done.Wait()
	})
}

func TestReadTellsTheEnd(t *testing.T) {
	eachKind(t, func(t *testing.T, w *Wire, peer net.Conn) {
		_ = peer.Close()
		for range 2 {
			if n, err := w.Read(make([]byte, 9)); n != 0 || err != io.EOF {
				t.Errorf("%d, %v", n, err)
			}
		}
	})
	w, peer := over(t)
	_ = peer.SetLinger(0)
	_ = peer.Close()
	if _, err := w.Read(make([]byte, 9)); !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

// What is held or given leaves with the next read, whole, and not before.
func TestHold(t *testing.T) {
	eachKind(t, func(t *testing.T, w *Wire, peer net.Conn) {
		for i, size := range []int{long, 1, 100, BufferSize, 1} {
			request := bytes.Repeat([]byte{'a' + byte(i)}, size)
			if w.Hold(request); i > 2 {
				w.Give(append(Borrow()[:0], request...))
			}
			if tcp, ok := peer.(*net.TCPConn); ok && !NewWire(tcp, NewWatch()).Quiet() {
				t.Fatal("it left before the read")
			}
			got := later(func() string {
				b := make([]byte, 9)
				n, err := w.Read(b)
				if err != nil {
					return err.Error()
				}
				return string(b[:n])
			})
			receive(t, peer, string(request))
			send(t, peer, "answer")
			if s := <-got; s != "answer" {
				t.Fatalf("after %d: %q", size, s)
			}
		}
		if w.held != nil || w.given {
			t.Error("it would leave twice, or be returned twice")
		}
	})
}

// An answer that came before the last part of its request left is read at once: the poller, which tells of an arrival
// once only, has told already.
func TestHoldAfterAnEarlyAnswer(t *testing.T) {
	w, peer := over(t)
	w.early = false // as after an exchange
	if _, err := w.Write([]byte("a part ")); err != nil {
		t.Fatal(err)
	}
	receive(t, peer, "a part ")
	send(t, peer, "early")
	until(t, "the answer is there", func() bool { return !w.Quiet() })
	told(t)
	w.Hold([]byte("and the rest"))
	w.ReadWithin(time.Second)
	run(t, w.watch.Run)
	receive(t, w, "early")
	receive(t, peer, "and the rest")
}

// told has the poller tell all that it knows: it does to whoever waits.
func told(t testing.TB) {
	t.Helper()
	a, b := peers(t)
	for range 10 {
		got := later(func() error { _, err := a.Read(make([]byte, 1)); return err })
		send(t, b, "x")
		if err := <-got; err != nil {
			t.Fatal(err)
		}
	}
}

// The peer that does not read will not answer either.
func TestHoldTellsAWriteThatFails(t *testing.T) {
	f := func(what string, fail func(w *Wire, peer net.Conn), want func(error) bool) {
		eachKind(t, func(t *testing.T, w *Wire, peer net.Conn) {
			fail(w, peer)
			w.Hold(bytes.Repeat([]byte("r"), 8*long))
			if n, err := w.Read(make([]byte, 9)); n != 0 || !want(err) {
				t.Errorf("%s: %d, %v", what, n, err)
			}
		})
	}
	f("closed", func(_ *Wire, peer net.Conn) { _ = peer.Close() }, func(err error) bool { return err != nil })
	f("cut", func(w *Wire, _ net.Conn) { w.WriteWithin(time.Second); pass(w.watch, time.Hour) },
		func(err error) bool { return err == ErrTimeout })
}

// A deadline never comes early, and a direction that was cut stays cut.
func TestDeadlines(t *testing.T) {
	var watch Watch
	w := &Wire{conn: ended{}, watch: &watch}
	f := func(now time.Duration, read, write bool) {
		t.Helper()
		w.expire(int64(now))
		if r, wr := w.readDue.Load() == cut, w.writeDue.Load() == cut; r != read || wr != write {
			t.Errorf("at %v: read cut %t, write cut %t", now, r, wr)
		}
	}
	watch.now.Store(int64(time.Minute))
	f(time.Hour, false, false) // no limit
	w.ReadWithin(time.Second)
	f(time.Minute+time.Second, false, false)
	f(time.Minute+time.Second+Tick, false, false) // the minute may be a tick old
	w.ReadWithin(2 * time.Second)                 // from the start again
	w.WriteWithin(time.Second)
	f(time.Minute+time.Second+Tick+1, false, true)
	w.ReadWithin(0)
	f(time.Hour, false, true)
	w.ReadWithin(time.Second)
	f(time.Hour, true, true)
	w.ReadWithin(0)
	w.WriteWithin(time.Hour)
	f(time.Minute, true, true)
}

func (ended) SetReadDeadline(time.Time) error  { return nil }
func (ended) SetWriteDeadline(time.Time) error { return nil }

func TestWatchCutsAReadThatWaits(t *testing.T) {
	eachKind(t, func(t *testing.T, w *Wire, peer net.Conn) {
		w.ReadWithin(time.Second)
		w.Hold([]byte("r"))
		got := later(func() error { _, err := w.Read(make([]byte, 9)); return err })
		receive(t, peer, "r") // it waits, or is about to
		pass(w.watch, time.Minute)
		if err := <-got; err != ErrTimeout {
			t.Errorf("%#v", err)
		}
		if _, err := w.Read(make([]byte, 9)); err != ErrTimeout {
			t.Errorf("again: %#v", err)
		}
		if w.Rest() {
			t.Error("a wire that was cut may be used again")
		}
	})
}

func TestWatchCutsAWriteThatWaits(t *testing.T) {
	eachKind(t, func(t *testing.T, w *Wire, peer net.Conn) {
		w.WriteWithin(time.Second)
		got := later(func() error { _, err := w.Write(make([]byte, 8*long)); return err })
		receive(t, peer, "\x00") // it waits, or is about to
		pass(w.watch, time.Minute)
		if err := <-got; err != ErrTimeout {
			t.Errorf("%#v", err)
		}
		if _, err := w.Write([]byte("x")); err != ErrTimeout {
			t.Errorf("again: %#v", err)
		}
		if w.Rest() {
			t.Error("a wire that was cut may be used again")
		}
		answer := later(func() error { _, err := io.WriteString(peer, "x"); return err })
		if _, err := w.Read(make([]byte, 1)); err != nil {
			t.Errorf("reading was not cut: %v", err)
		}
		if err := <-answer; err != nil {
			t.Error(err)
		}
	})
}

// The watch that looks by itself cuts the first due first, and what has no limit never.
func TestWatchRuns(t *testing.T) {
	watch := running(t)
	cuts := make(chan string, 3)
	wait := func(name string, d time.Duration) *Wire {
		ours, _ := peers(t)
		w := NewWire(ours, watch)
		w.ReadWithin(d)
		go func() {
			if _, err := w.Read(make([]byte, 1)); err == ErrTimeout {
				cuts <- name
			} else {
				cuts <- err.Error()
			}
		}()
		return w
	}
	third := wait("never", 0)
	wait("second", 20*Tick)
	wait("first", Tick)
	began := time.Now()
	for _, want := range []string{"first", "second"} {
		if got := <-cuts; got != want {
			t.Errorf("%s; want %s", got, want)
		}
	}
	if took := time.Since(began); took < 19*Tick || took > 400*Tick {
		t.Errorf("the second took %v", took)
	}
	_ = third.Close()
	if got := <-cuts; !strings.Contains(got, "closed") {
		t.Error(got)
	}
}

func TestWatchForgetsClosedWires(t *testing.T) {
	watch := NewWatch()
	looks := 0
	watch.Every(func() { looks++ })
	var wires []*Wire
	for range 5 {
		wires = append(wires, NewWire(ended{}, watch))
	}
	for i, at := range []int{2, 4, 0, 1, 3} {
		for range 2 { // closing twice harms no other
			_ = wires[at].Close()
		}
		if len(watch.wires) != 4-i {
			t.Errorf("%d left after %d", len(watch.wires), i+1)
		}
		for slot, w := range watch.wires {
			if w.slot != slot {
				t.Errorf("a wire in slot %d believes in %d", slot, w.slot)
			}
		}
	}
	watch.look(0)
	watch.look(0)
	if looks != 2 {
		t.Errorf("%d looks", looks)
	}
}

func (ended) Close() error { return nil }

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	NewWatch().Run(ctx)
}

func TestCutIsSticky(t *testing.T) {
	eachKind(t, func(t *testing.T, w *Wire, _ net.Conn) {
		reading := later(func() error { _, err := w.Read(make([]byte, 9)); return err })
		writing := later(func() error { _, err := w.Write(make([]byte, 8*long)); return err })
		w.Cut()
		for range 2 {
			if r, wr := <-reading, <-writing; r != ErrTimeout || wr != ErrTimeout {
				t.Errorf("%#v, %#v", r, wr)
			}
			w.ReadWithin(time.Hour)
			w.WriteWithin(time.Hour)
			for range 3 {
				if w.Rest() {
					t.Error("a wire that was cut may be used again")
				}
			}
			reading = later(func() error { _, err := w.Read(make([]byte, 9)); return err })
			writing = later(func() error { _, err := w.Write([]byte("x")); return err })
		}
		if r, wr := <-reading, <-writing; r == nil || wr == nil {
			t.Errorf("at last: %v, %v", r, wr)
		}
	})
}

func TestCutReadLetsWritesBe(t *testing.T) {
	w, peer := over(t)
	w.CutRead()
	if _, err := w.Read(make([]byte, 9)); err != ErrTimeout {
		t.Error(err)
	}
	if _, err := w.Write([]byte("last words")); err != nil {
		t.Error(err)
	}
	receive(t, peer, "last words")
	w.Linger(time.Hour)
	send(t, peer, "x")
	if n, err := w.Read(make([]byte, 9)); n != 1 || err != nil {
		t.Errorf("lingering: %d, %v", n, err)
	}
}

func TestRest(t *testing.T) {
	w, _ := over(t)
	w.ReadWithin(time.Second)
	w.WriteWithin(time.Second)
	if !w.Rest() {
		t.Error("a wire that was not cut may not be used again")
	}
	pass(w.watch, time.Hour)
	if !w.Rest() {
		t.Error("Rest left a limit")
	}
}

func TestQuiet(t *testing.T) {
	f := func(what string, do func(peer *net.TCPConn), want bool) {
		t.Helper()
		w, peer := over(t)
		do(peer)
		if !want {
			until(t, what+" is there", func() bool { return arrived(t, w) })
		}
		if got := w.Quiet(); got != want {
			t.Errorf("%s: %t", what, got)
		}
	}
	f("nothing", func(*net.TCPConn) {}, true)
	f("a stray byte", func(p *net.TCPConn) { send(t, p, "x") }, false)
	f("a stray byte and the end", func(p *net.TCPConn) { send(t, p, "x"); _ = p.Close() }, false)
	f("the end", func(p *net.TCPConn) { _ = p.Close() }, false)
	f("the end of one way", func(p *net.TCPConn) { _ = p.CloseWrite() }, false)
	f("a reset", func(p *net.TCPConn) { _ = p.SetLinger(0); _ = p.Close() }, false)
	w, peer := over(t)
	send(t, peer, "x")
	if _, err := w.Read(make([]byte, 9)); err != nil || !w.Quiet() {
		t.Error("not quiet after all was read", err)
	}
	_ = w.Close()
	if w.Quiet() {
		t.Error("a closed wire is quiet")
	}
}

// arrived says that a read would not wait.
func arrived(t testing.TB, w *Wire) bool {
	t.Helper()
	n := 0
	err := w.raw.Control(func(fd uintptr) { n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

func TestGone(t *testing.T) {
	f := func(what string, do func(peer *net.TCPConn), want bool) {
		t.Helper()
		w, peer := over(t)
		do(peer)
		if want {
			until(t, what+" is noticed", w.Gone)
		} else if w.Gone() {
			t.Error(what)
		}
	}
	f("nothing", func(*net.TCPConn) {}, false)
	f("closed", func(p *net.TCPConn) { _ = p.Close() }, true)
	f("half closed", func(p *net.TCPConn) { _ = p.CloseWrite() }, true)
	f("reset", func(p *net.TCPConn) { _ = p.SetLinger(0); _ = p.Close() }, true)
	f("a pipelined request", func(p *net.TCPConn) { send(t, p, "GET") }, false)
	f("a pipelined request, then half closed", func(p *net.TCPConn) { send(t, p, "GET"); _ = p.CloseWrite() }, false)
	f("a pipelined request, then reset", func(p *net.TCPConn) { send(t, p, "GET"); _ = p.SetLinger(0); _ = p.Close() }, true)
	w, peer := over(t)
	send(t, peer, "GET")
	_ = peer.CloseWrite()
	if _, err := w.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	until(t, "the end behind the request is noticed", w.Gone)
	_ = w.Close()
	if !w.Gone() {
		t.Error("a closed wire is not gone")
	}
	pipe, _ := net.Pipe()
	if NewWire(pipe, NewWatch()).Gone() {
		t.Error("a pipe cannot tell, so it must not say so")
	}
}

func TestCloseEndsWhatWaits(t *testing.T) {
	eachKind(t, func(t *testing.T, w *Wire, _ net.Conn) {
		reading := later(func() error { _, err := w.Read(make([]byte, 9)); return err })
		writing := later(func() error { _, err := w.Write(make([]byte, 8*long)); return err })
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if r, wr := <-reading, <-writing; r == nil || wr == nil {
			t.Errorf("%v, %v", r, wr)
		}
	})
}

func TestReset(t *testing.T) {
	w, peer := over(t)
	if _, err := w.Write([]byte("half an answer")); err != nil {
		t.Fatal(err)
	}
	receive(t, peer, "half an answer")
	if err := w.Reset(); err != nil {
		t.Error(err)
	}
	if _, err := peer.Read(make([]byte, 9)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer sees %v", err)
	}
}

func TestWireIsItsConn(t *testing.T) {
	c := ended{}
	w := NewWire(c, NewWatch())
	r := NewReader(w)
	if w.Conn() != net.Conn(c) || r.Wire() != w {
		t.Error("not what was wrapped")
	}
}
