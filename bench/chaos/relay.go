package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// relay is the network before a model server: it carries connections there, and what comes back as ill as it is told.
type relay struct {
	addr string // where it listens
	to   string
	ill  atomic.Pointer[illness]
	most atomic.Int64 // bytes that one connection has carried back

	ln   net.Listener
	ctx  context.Context // ends with close
	end  context.CancelFunc
	work sync.WaitGroup
}

// illness is what is wrong with a network. It is of the bytes of answers; the zero value is good health.
type illness struct {
	shut            bool          // connections are closed as soon as they are accepted
	latency, jitter time.Duration // of every piece: latency, give or take jitter
	perSecond       int           // bytes
	slice           int           // bytes of a segment at most, with a millisecond between two
	resetAfter      int64         // bytes of a connection, which is then reset
	vanishAfter     int64         // bytes of a connection, of which then nothing arrives any more, not even its end
	lateClose       time.Duration // the end of a connection arrives so much later
}

func openRelay(to string) (*relay, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{addr: ln.Addr().String(), to: to, ln: ln}
	r.ctx, r.end = context.WithCancel(context.Background())
	r.falls(illness{})
	r.work.Go(r.accept)
	return r, nil
}

// falls changes what is wrong, also for the connections there are.
func (r *relay) falls(ill illness) { r.ill.Store(&ill) }

// close cuts every connection and waits until nothing of the relay runs.
func (r *relay) close() {
	r.end()
	_ = r.ln.Close()
	r.work.Wait()
}

func (r *relay) accept() {
	for {
		c, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.work.Go(func() { r.carry(c.(*net.TCPConn)) })
	}
}

func (r *relay) carry(near *net.TCPConn) {
	defer near.Close()
	if r.ill.Load().shut {
		return
	}
	far, err := net.Dial("tcp", r.to)
	if err != nil {
		_ = near.SetLinger(0) // it is refused in another way than by a refusal, since it was accepted
		return
	}
	defer far.Close()
	defer context.AfterFunc(r.ctx, func() { near.Close(); far.Close() })()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		_, _ = io.Copy(far, near)
		_ = far.Close()
		_, _ = io.Copy(io.Discard, near) // until whoever asked leaves
	}()
	switch r.answer(near, far) {
	case reset:
		_ = near.SetLinger(0)
	case vanished:
		<-asked
	}
	r.pause(r.ill.Load().lateClose)
	_ = near.Close()
	<-asked
}

// ending is how a connection of the relay ends.
type ending int

const (
	closed   ending = iota // by either side
	reset                  // by the illness
	vanished               // when whoever asked gives up
)

// answer carries what comes back until either side ends, or the illness has it end.
func (r *relay) answer(near io.Writer, far io.Reader) ending {
	buffer := make([]byte, 16<<10)
	for passed := int64(0); ; {
		n, err := far.Read(buffer)
		r.sees(passed + int64(n))
		ill := r.ill.Load()
		switch {
		case err != nil:
			return closed
		case ill.vanishAfter > 0 && passed+int64(n) > ill.vanishAfter:
			_, _ = near.Write(buffer[:max(0, ill.vanishAfter-passed)])
			_, _ = io.Copy(io.Discard, far)
			return vanished
		case ill.resetAfter > 0 && passed+int64(n) > ill.resetAfter:
			_, _ = near.Write(buffer[:max(0, ill.resetAfter-passed)])
			return reset
		}
		if err := r.pass(near, buffer[:n], ill); err != nil {
			return closed
		}
		passed += int64(n)
	}
}

// sees notes how much a connection has carried back.
func (r *relay) sees(bytes int64) {
	for most := r.most.Load(); bytes > most && !r.most.CompareAndSwap(most, bytes); most = r.most.Load() {
	}
}

// pass writes a piece as slowly and as finely cut as the illness has it.
func (r *relay) pass(near io.Writer, piece []byte, ill *illness) error {
	r.pause(ill.latency + time.Duration((2*rand.Float64()-1)*float64(ill.jitter)))
	if ill.perSecond > 0 {
		r.pause(time.Duration(len(piece)) * time.Second / time.Duration(ill.perSecond))
	}
	for ill.slice > 0 && len(piece) > ill.slice {
		if _, err := near.Write(piece[:ill.slice]); err != nil {
			return err
		}
		piece = piece[ill.slice:]
		r.pause(time.Millisecond)
	}
	_, err := near.Write(piece)
	return err
}

// pause ends early when the relay is closed.
func (r *relay) pause(d time.Duration) {
	if d > 0 {
		_ = wait(r.ctx, d)
	}
}
