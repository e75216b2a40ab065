package upstream

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// each collects what comes until stop says so or the wire ends; between two pieces it does as meanwhile says.
func each(r *Reader, got *bytes.Buffer, meanwhile func(), stop func() bool) error {
	return r.Each(func() bool {
		got.Write(r.Bytes())
		r.Skip(len(r.Bytes()))
		r.Drop()
		meanwhile()
		return !stop()
	})
}

// Whatever comes while what came before is being used is seen, without a further read that finds nothing.
func TestEachMissesNothing(t *testing.T) {
	w, peer := over(t)
	r := NewReader(w)
	var got bytes.Buffer
	const rounds = 200
	send(t, peer, "x")
	err := each(&r, &got, func() {
		if got.Len() < rounds {
			send(t, peer, "y")
			until(t, "it is there", func() bool { return arrived(t, w) })
		}
	}, func() bool { return got.Len() == rounds })
	if err != nil || got.Len() != rounds {
		t.Errorf("%d of %d pieces, %v", got.Len(), rounds, err)
	}
	if r.buf != nil {
		t.Error("a buffer is held")
	}
}

// A read that fills the buffer may leave something behind, for which the poller has no sign.
func TestEachReadsOnBehindAFullBuffer(t *testing.T) {
	w, peer := over(t)
	r := NewReader(w)
	var got bytes.Buffer
	const size = 3*BufferSize + 5
	go func() { _, _ = peer.Write(make([]byte, size)) }()
	first := true
	err := each(&r, &got, func() {
		if first { // by now all of it waits, and nothing more will come
			first = false
			until(t, "the rest is there", func() bool { return unread(t, w) >= size-got.Len() })
		}
	}, func() bool { return got.Len() == size })
	if err != nil || got.Len() != size {
		t.Errorf("%d of %d bytes, %v", got.Len(), size, err)
	}
}

// What is written while the poller lends the socket arrives whole, also when the socket does not take it at once.
func TestEachWrites(t *testing.T) {
	w, peer := over(t)
	r := NewReader(w)
	for _, size := range []int{1, 16 << 20} {
		body := bytes.Repeat([]byte("body"), size)
		sent := make(chan error, 1)
		send(t, peer, "x")
		go func() {
			sent <- r.EachAlone(func() bool {
				r.Skip(len(r.Bytes()))
				r.Drop()
				n, err := w.Write(body)
				if n != len(body) || err != nil {
					t.Errorf("%d of %d bytes are written, %v", n, len(body), err)
				}
				return false
			})
		}()
		receive(t, peer, string(body))
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if w.lent != 0 {
			t.Error("the socket is still lent")
		}
	}
}

func TestEachEnds(t *testing.T) {
	f := func(what string, end func(w *Wire, peer io.Closer), want error) {
		t.Helper()
		w, peer := over(t)
		r := NewReader(w)
		end(w, peer)
		err := r.Each(func() bool { t.Error(what + ": used though nothing came"); return false })
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		r.Drop()
	}
	f("the peer ended", func(_ *Wire, peer io.Closer) { _ = peer.Close() }, io.EOF)
	f("cut before", func(w *Wire, _ io.Closer) { w.Cut() }, ErrTimeout)
	f("cut while it waits", func(w *Wire, _ io.Closer) { time.AfterFunc(time.Millisecond, w.CutRead) }, ErrTimeout)
}

func TestHeadComes(t *testing.T) {
	f := func(s string, want bool) {
		t.Helper()
		seen, comes := HeadComes([]byte(s))
		if comes != want {
			t.Errorf("%q: %v", s, comes)
		}
		for n := range seen + 1 { // nothing that need not be looked at is a head
			if end, _ := HeadEnd([]byte(s[:n]), 0, wide); end > 0 {
				t.Errorf("%q: %d bytes need not be looked at, and the head ends at %d", s, seen, end)
			}
		}
	}
	f("", false)
	f("GET / HTTP/1.1\r\nHost: a\r\n", false)
	f("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true)
	f("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", true)
	f("\r\n\r\n", false) // empty lines are no head
	f("\r\n\r\nGET / HTTP/1.1\r\n", false)
	f("\r\n\r\nGET / HTTP/1.1\r\n\r\nbody", true)
}

// unread is how many bytes wait in the wire's socket.
func unread(t testing.TB, w *Wire) (n int) {
	t.Helper()
	if err := w.raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil {
		t.Fatal(err)
	}
	return n
}
