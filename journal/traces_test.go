package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// desk are Traces with a collector that does as a test says.
type desk struct {
	t *testing.T
	*Traces
	post    func(ctx context.Context) error
	sizes   []int // of the batches that came
	dropped int
	said    bytes.Buffer
	mu      sync.Mutex
}

func newDesk(t *testing.T, post func(ctx context.Context) error) *desk {
	d := &desk{t: t, post: post}
	d.Traces = NewTraces(TraceOptions{
		Sampling: func() Sampling { return Sampling{On: true, Share: 1} },
		Version:  "test", Post: d.take,
		Dropped: func(n int) { d.mu.Lock(); d.dropped += n; d.mu.Unlock() },
		Log:     slog.New(slog.NewTextHandler(&d.said, nil)),
	})
	return d
}

func (d *desk) take(ctx context.Context, body []byte) error {
	if err := d.post(ctx); err != nil {
		return err
	}
	var got struct {
		ResourceSpans []struct {
			ScopeSpans []struct{ Spans []struct{ TraceID string } }
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		d.t.Errorf("%v: %s", err, body)
	}
	d.sizes = append(d.sizes, len(got.ResourceSpans[0].ScopeSpans[0].Spans))
	return nil
}

// run starts the sender; what it returns ends it and waits.
func (d *desk) run() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { d.Run(ctx); close(ended) }()
	return func() { cancel(); <-ended }
}

func (d *desk) offer(exchanges int) {
	for range exchanges {
		d.Offer(sent()) // two spans each
	}
}

// is fails unless so many spans came and were dropped, and the log has these lines.
func (d *desk) is(came, dropped int, said ...string) {
	d.t.Helper()
	sum := 0
	for _, n := range d.sizes {
		sum += n
	}
	if sum != came || d.dropped != dropped {
		d.t.Errorf("%d came and %d are counted as dropped, want %d and %d", sum, d.dropped, came, dropped)
	}
	log := strings.Split(strings.TrimSuffix(d.said.String(), "\n"), "\n")
	if d.said.Len() == 0 {
		log = nil
	}
	if len(log) != len(said) {
		d.t.Fatalf("said %q, want %q", log, said)
	}
	for i, part := range said {
		if !strings.Contains(log[i], part) {
			d.t.Errorf("said %q, want %q", log[i], part)
		}
	}
}

func well(context.Context) error { return nil }

var errDown = errors.New("connection refused")

func TestSampling(t *testing.T) {
	const asked, notAsked = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	f := func(s Sampling, traceparent string, trusted bool, least, most int) {
		t.Helper()
		traces, n := NewTraces(TraceOptions{Sampling: func() Sampling { return s }}), 0
		for range 10_000 {
			if traces.Wants([]byte(traceparent), trusted) {
				n++
			}
		}
		if n < least || n > most || traces.On() != s.On {
			t.Errorf("%+v: %d of 10000 with %q, trusted %v, are wanted, want %d to %d", s, n, traceparent, trusted, least, most)
		}
	}
	f(Sampling{}, asked, true, 0, 0)
	f(Sampling{On: true}, asked, true, 10_000, 10_000)
	f(Sampling{On: true}, asked, false, 0, 0)
	f(Sampling{On: true}, notAsked, true, 0, 0)
	f(Sampling{On: true}, "01", true, 0, 0)
	f(Sampling{On: true, Share: .1}, "", false, 800, 1200)
	f(Sampling{On: true, Share: .1}, notAsked, true, 800, 1200)
	f(Sampling{On: true, Share: 1}, "", false, 10_000, 10_000)
}

func TestSpansAreSentWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, well)
		end := d.run()
		d.offer(2)
		time.Sleep(sendEvery)
		synctest.Wait()
		d.is(4, 0)
		d.offer(3)
		end()
		d.is(10, 0)
	})
}

func TestManySpansAreSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, well)
		defer d.run()()
		d.offer(spansAtOnce/2 + 1)
		synctest.Wait() // no time passes
		if len(d.sizes) == 0 || d.sizes[0] != spansAtOnce {
			t.Errorf("batches of %v came, want one of %d", d.sizes, spansAtOnce)
		}
	})
}

// A collector that hiccups costs nothing but another attempt.
func TestAnotherAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		d := newDesk(t, func(context.Context) error {
			if n++; n < postAttempts {
				return errDown
			}
			return nil
		})
		end := d.run()
		d.offer(1)
		time.Sleep(3 * sendEvery)
		end()
		d.is(2, 0)
	})
}

func TestOutageIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts, down := 0, true
		d := newDesk(t, func(context.Context) error {
			attempts++
			if down {
				return errDown
			}
			return nil
		})
		end := d.run()
		for range 20 {
			d.offer(1)
			time.Sleep(2 * sendEvery)
			synctest.Wait()
		}
		if attempts > 20*postAttempts || attempts < 19*postAttempts {
			t.Errorf("%d attempts", attempts)
		}
		down = false
		time.Sleep(2 * quiet)
		synctest.Wait()
		d.offer(1)
		end()
		d.is(2, 40, "spans cannot be sent", "spans are sent again")
	})
}

// There is no use in repeating what is wrong.
func TestRefusedIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		d := newDesk(t, func(context.Context) error { attempts++; return ErrRefused })
		end := d.run()
		d.offer(1)
		end()
		d.is(0, 2, "refuses")
		if attempts != 1 {
			t.Errorf("%d attempts", attempts)
		}
	})
}

// A collector that hangs costs spans, never time, and keeps the program from ending for a second only.
func TestACollectorThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		end := d.run()
		const room = (batchesQueue + 2) * spansAtOnce / 2 // exchanges: those being sent, those that wait, and those that gather
		d.offer(spansAtOnce / 2)
		synctest.Wait()
		d.offer(room - spansAtOnce/2 + 5)
		d.mu.Lock()
		if d.dropped != 10 {
			t.Errorf("%d are counted as dropped, want 10", d.dropped)
		}
		d.mu.Unlock()
		began := time.Now()
		end()
		if took := time.Since(began); took > postLast+postPause {
			t.Errorf("ending took %v", took)
		}
		d.is(0, 2*room+10, "spans cannot be sent")
	})
}

func TestAllocsOfATrace(t *testing.T) {
	traces, r := newDesk(t, well).Traces, sent()
	traces.open.spans = make([]byte, 0, mostSpans)
	if n := testing.AllocsPerRun(200, func() { traces.Offer(r) }); n > 0 && !raceDetector {
		t.Errorf("%v allocations an offer, want 0", n)
	}
	if n := testing.AllocsPerRun(200, func() { traces.Wants(nil, true) }); n > 0 {
		t.Errorf("%v allocations a question, want 0", n)
	}
}
