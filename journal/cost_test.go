package journal

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"

	"mlproxy/monitor"
)

func logging(s Settings) *Access {
	return New(Options{
		Settings: func() Settings { return s }, Stderr: io.Discard, Dropped: func(int) {}, Log: slog.New(slog.DiscardHandler),
	})
}

func TestAllocsOfAnOffer(t *testing.T) {
	a, r := logging(Settings{Sample: .5, File: "x"}), record()
	r.Path = []byte("/\u00e9\x1b\xff") // escapes allocate no more than plain text
	a.queue = make([]byte, 0, mostQueued)
	if n := testing.AllocsPerRun(1000, func() { a.Offer(r) }); n > 0 && !raceDetector {
		t.Errorf("%v allocations an offer, want 0", n)
	}
	if n := testing.AllocsPerRun(1000, func() { a.Wants(200, monitor.None) }); n > 0 {
		t.Errorf("%v allocations a question, want 0", n)
	}
}

// What does an exchange pay that is not logged?
func BenchmarkWants(b *testing.B) {
	a := logging(Settings{Sample: .01, File: "x"})
	for b.Loop() {
		a.Wants(200, monitor.None)
	}
}

// What does an exchange pay that is logged?
func BenchmarkOffer(b *testing.B) {
	a, r := logging(Settings{Sample: 1}), record()
	b.ReportAllocs()
	for b.Loop() {
		a.Offer(r)
		if len(a.queue) > mostQueued/2 {
			a.queue = a.queue[:0]
		}
	}
}

// How many lines a second get onto the disk? Lost ones are not counted.
func BenchmarkWriter(b *testing.B) {
	lost := 0
	s := Settings{File: filepath.Join(b.TempDir(), "access.log"), MaxSize: 64 << 20, Keep: 1}
	a := New(Options{
		Settings: func() Settings { return s }, Stderr: io.Discard, Dropped: func(n int) { lost += n }, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	line := appendLine(nil, record())
	b.SetBytes(int64(len(line)))
	go func() { a.Run(ctx); close(ended) }()
	for b.Loop() {
		for !a.enqueue(line) {
			nudge(a.full)
			runtime.Gosched()
		}
	}
	cancel()
	<-ended
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
