package shadow

import (
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mlproxy/router"
)

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestDroppedOffersAllocateNothing(t *testing.T) {
	f := func(name string, fill func(*stage)) {
		t.Helper()
		s := newStage(t, absent(t), caps())
		fill(s)
		o, written := original("x", 200, ""), 0
		n := testing.AllocsPerRun(1000, func() {
			s.mirror.Offer(s.shadow, o, func(dst []byte, _ *router.Pool, _ bool) []byte {
				written++
				return append(dst, "POST / HTTP/1.1\r\n\r\n"...)
			})
		})
		if n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
		if s.total(t, "dropped") != 1001 {
			t.Errorf("%s: dropped %v of 1001", name, s.counted(t, "dropped"))
		}
		s.shadow.InFlight.Store(0)
		s.shadow.Bytes.Store(0)
	}
	f("in flight", func(s *stage) { s.shadow.InFlight.Store(64) })
	f("bytes", func(s *stage) { s.shadow.Bytes.Store(16 << 20) })
	f("bytes, with the head", func(s *stage) { s.shadow.Bytes.Store(16<<20 - 1) })
	f("too large", func(s *stage) { s.shadow.Config.MaxBody = 0 })
	f("draining", func(s *stage) { s.end(t) })
}

// From the offer to the verdict buffers, workers and connections are used again; what upstream.Send allocates is all.
func TestCopiesAllocateNothing(t *testing.T) {
	const size = 5000
	head := headOf(size)
	s := newStage(t, serve(t, frugal(len(head(nil, nil, false))+size)), caps())
	o := original(strings.Repeat("b", size), 200, "iris\n")
	tick := time.NewTicker(50 * time.Microsecond)
	defer tick.Stop()
	n := testing.AllocsPerRun(500, func() {
		s.mirror.Offer(s.shadow, o, head)
		for s.mirror.idle.Load() == 0 || s.shadow.InFlight.Load() > 0 {
			<-tick.C
		}
	})
	if n > 0 && !raceDetector {
		t.Errorf("%v allocations a copy, want none", n)
	}
	if got := s.counted(t, "compared")["agree"]; got != 501 {
		t.Errorf("%v of 501 agree", got)
	}
}

// frugal answers requests of n bytes without allocating.
func frugal(n int) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		request, answer := make([]byte, n), []byte(okAnswer)
		for {
			if _, err := io.ReadFull(c, request); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}
}

// Workers that wait are bounded in number and in time.
func TestIdleWorkersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		var waiting sync.WaitGroup
		for range maxIdle + 10 {
			waiting.Go(func() {
				timer := time.NewTimer(idleFor)
				if _, more := m.next(timer); more {
					t.Error("a parcel came from nowhere")
				}
			})
		}
		synctest.Wait()
		if n := m.idle.Load(); n != maxIdle {
			t.Errorf("%d workers wait, want %d", n, maxIdle)
		}
		began := time.Now()
		waiting.Wait()
		if took := time.Since(began); took != idleFor || m.idle.Load() != 0 {
			t.Errorf("after %v %d workers wait, want none after %v", took, m.idle.Load(), idleFor)
		}
	})
}

// What the live exchange pays is the drop, or the copying of its bytes; the rest is the worker's.
func BenchmarkWhatALiveExchangePays(b *testing.B) {
	f := func(name string, size int, pay func(*stage, *Original, AppendHead)) {
		b.Run(name, func(b *testing.B) {
			s, o, head := newStage(b, absent(b), caps()), original(strings.Repeat("b", size), 200, "iris\n"), headOf(size)
			b.ReportAllocs()
			for b.Loop() {
				pay(s, o, head)
			}
		})
	}
	f("dropped", 256, func(s *stage, o *Original, head AppendHead) {
		s.shadow.Config.MaxInFlight = 0
		s.mirror.Offer(s.shadow, o, head)
	})
	copied := func(s *stage, o *Original, head AppendHead) {
		s.shadow.InFlight.Add(1)
		p, _ := s.mirror.pack(s.shadow, o, head)
		s.mirror.discard(p)
	}
	f("copied, 256 B", 256, copied)
	f("copied, 64 KiB", 64<<10, copied)
	f("copied, 1 MiB", 1<<20, copied)
}

func BenchmarkWhatACopyCosts(b *testing.B) {
	head := headOf(256)
	s := newStage(b, serve(b, frugal(len(head(nil, nil, false))+256)), caps())
	o := original(strings.Repeat("b", 256), 200, "iris\n")
	s.shadow.Config.MaxInFlight = 1
	tick := time.NewTicker(20 * time.Microsecond)
	defer tick.Stop()
	b.ReportAllocs()
	for b.Loop() {
		s.mirror.Offer(s.shadow, o, head)
		for s.shadow.InFlight.Load() > 0 {
			<-tick.C
		}
	}
}
