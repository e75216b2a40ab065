//go:build !race

package upstream

import (
	"io"
	"net"
	"testing"
)

// canned answers whatever comes with the same bytes, and allocates nothing.
func canned(ln net.Listener, answer string) {
	c, err := ln.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	in, out := make([]byte, BufferSize), []byte(answer)
	for {
		if _, err := c.Read(in); err != nil {
			return
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// carrier makes one exchange after another.
type carrier struct {
	e    *Endpoint
	o    Options
	req  []byte
	head Head
	body Body
	got  int
}

func (x *carrier) exchange() error {
	c, err := x.e.Acquire(&x.o, false, nil)
	if err != nil {
		return err
	}
	c.Wire().ReadWithin(1e9)
	c.Wire().WriteWithin(1e9)
	c.Hold(x.req)
	if err := c.finalHead(&x.head, false); err != nil {
		return err
	}
	x.body.Start(&x.head, answerLimit)
	for x.got = 0; ; {
		piece, err := x.body.Next(c.Reader())
		if err == io.EOF {
			c.Release(true)
			return nil
		}
		if err != nil {
			return err
		}
		x.got += len(piece)
	}
}

func carrying(t testing.TB, answer string) *carrier {
	t.Helper()
	ln := listen(t)
	done := make(chan struct{})
	go func() { defer close(done); canned(ln, answer) }()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	x := &carrier{e: endpoint(t, "http://"+ln.Addr().String()), req: []byte(typicalRequest)} // its end ends the peer
	if err := x.exchange(); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestAllocExchange(t *testing.T) {
	f := func(name, answer string, want int) {
		t.Helper()
		x := carrying(t, answer)
		n := testing.AllocsPerRun(500, func() {
			if err := x.exchange(); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 || x.got != want {
			t.Errorf("%s: %v allocations an exchange, %d bytes", name, n, x.got)
		}
	}
	f("by length", typicalAnswer, 37)
	f("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n5\r\nworld\r\n0\r\nA: b\r\n\r\n", 10)
	f("interim", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"+answer, 5)
}

func TestAllocReadRequest(t *testing.T) {
	var h Head
	raw := []byte(typicalRequest)
	n := testing.AllocsPerRun(500, func() {
		end, err := HeadEnd(raw, 0, wide)
		if err == nil {
			err = h.ReadRequest(raw[:end], wide)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A wire that nobody uses is looked at, and a client's departure is looked for, all the time.
func TestAllocWatching(t *testing.T) {
	w, _ := over(t)
	f := func(name string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(500, do); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("Quiet", func() { w.Quiet() })
	f("look", func() { w.ReadWithin(1e9); w.watch.look(0) })
	f("Rest", func() { w.Rest() })
}

// What does an exchange with a model server on this machine cost, both ends in this process, and what does the pool
// add to it?
func BenchmarkExchange(b *testing.B) {
	x := carrying(b, typicalAnswer)
	b.ReportAllocs()
	for b.Loop() {
		if err := x.exchange(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAcquireRelease(b *testing.B) {
	x := carrying(b, typicalAnswer)
	b.ReportAllocs()
	for b.Loop() {
		c, err := x.e.Acquire(&x.o, false, nil)
		if err != nil {
			b.Fatal(err)
		}
		c.Release(true)
	}
}
