package upstream

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// through is a pipe with a wire on either side and their peers.
func through(t *testing.T) (p *Pipe, from, to *Wire, source, sink *net.TCPConn) {
	t.Helper()
	from, source = over(t)
	to, sink = over(t)
	if p = BorrowPipe(from, to); p == nil {
		t.Fatal("no pipe between two sockets")
	}
	return p, from, to, source, sink
}

func TestPipeMovesEveryByte(t *testing.T) {
	p, from, to, source, sink := through(t)
	defer p.Return()
	const size = 3<<20 + 17
	sent := make([]byte, size)
	_, _ = rand.Read(sent)
	go func() { _, _ = source.Write(sent) }()
	got := make(chan []byte, 1)
	go func() {
		b := make([]byte, size)
		_, _ = io.ReadFull(sink, b)
		got <- b
	}()
	for left := int64(size); left > 0; {
		n, err := p.Fill(from, left)
		if err != nil || n <= 0 || n > pipeRoom {
			t.Fatalf("%d bytes, %v", n, err)
		}
		left -= int64(n)
		if err := p.Drain(to); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(<-got, sent) {
		t.Error("other bytes came out")
	}
}

// What lies behind a body stays in the socket, for it is the next request.
func TestPipeTakesNoMoreThanItMay(t *testing.T) {
	p, from, to, source, sink := through(t)
	defer p.Return()
	send(t, source, "bodynext")
	until(t, "all of it is there", func() bool { return arrived(t, from) })
	if n, err := p.Fill(from, 4); n != 4 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if err := p.Drain(to); err != nil {
		t.Fatal(err)
	}
	receive(t, sink, "body")
	b := make([]byte, 16)
	if n, err := from.Read(b); err != nil || string(b[:n]) != "next" {
		t.Errorf("behind it: %q, %v", b[:n], err)
	}
}

func TestPipeEnds(t *testing.T) {
	f := func(what string, end func(from *Wire, source *net.TCPConn), want error) {
		t.Helper()
		p, from, _, source, _ := through(t)
		defer p.Return()
		end(from, source)
		if n, err := p.Fill(from, 100); n != 0 || !errors.Is(err, want) {
			t.Errorf("%s: %d bytes, %v; want %v", what, n, err, want)
		}
	}
	f("the peer ended", func(_ *Wire, source *net.TCPConn) { _ = source.Close() }, io.EOF)
	f("the peer reset", func(_ *Wire, source *net.TCPConn) { _ = source.SetLinger(0); _ = source.Close() }, unix.ECONNRESET)
	f("overdue", func(from *Wire, _ *net.TCPConn) {
		from.ReadWithin(time.Nanosecond)
		from.expire(int64(time.Hour))
	}, ErrTimeout)
	f("cut while it waits", func(from *Wire, _ *net.TCPConn) { time.AfterFunc(time.Millisecond, from.Cut) }, ErrTimeout)
}

// A pipe that could not be drained is not used again: what it holds would be the next body.
func TestPipeThatHoldsSomethingIsClosed(t *testing.T) {
	p, from, to, source, _ := through(t)
	send(t, source, "secret")
	until(t, "it is there", func() bool { return arrived(t, from) })
	if n, err := p.Fill(from, 6); n != 6 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	to.Cut()
	if err := p.Drain(to); !errors.Is(err, ErrTimeout) {
		t.Errorf("draining into a wire that was cut: %v", err)
	}
	p.Return()
	next := BorrowPipe(from, to)
	defer next.Return()
	if next == p {
		t.Error("it is lent again")
	}
}

// The next pipe is the one that was returned, and there is none for what is no plain socket.
func TestPipesAreLent(t *testing.T) {
	p, from, to, _, _ := through(t)
	p.Return()
	again := BorrowPipe(from, to)
	defer again.Return()
	if again != p {
		t.Error("a new pipe, though one was idle")
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	plain := NewWire(a, NewWatch())
	if BorrowPipe(plain, to) != nil || BorrowPipe(from, plain) != nil {
		t.Error("a pipe to what is no socket")
	}
}
