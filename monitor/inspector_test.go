package monitor

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mlproxy/protocol"
)

// echo is an adapter that says what it was given: the request's length as a row's, the answer as a class. hold, if any, is waited for.
type echo struct {
	hold  chan struct{}
	panic bool
}

func (e *echo) Request(m *protocol.Message, f *protocol.Facts) {
	if e.hold != nil {
		<-e.hold
	}
	if e.panic {
		panic("an adapter's fault")
	}
	f.Rows++
	f.Lengths = append(f.Lengths, protocol.Length{Kind: protocol.Bytes, N: len(m.Body)})
	f.Query = append(f.Query, m.Path+" "+m.ContentType...)
	if m.Cut {
		f.Fault(protocol.Truncated)
	}
}

func (e *echo) Response(m *protocol.Message, f *protocol.Facts) {
	f.Outputs = append(f.Outputs, protocol.Output{Class: fmt.Sprint(m.Status, " ", string(m.Body))})
	if m.Cut {
		f.Fault(protocol.Truncated)
	}
}

// carry has an exchange captured, and offers it.
func carry(i *Inspector, m *ModelMeter, a protocol.Adapter, maxBody int64, request, answer string) bool {
	c := i.Begin(a, maxBody)
	if c == nil {
		return false
	}
	c.RequestField([]byte("content-TYPE"), []byte("text/plain"))
	c.Request(int64(len(request)))
	for piece := range bytes.SplitSeq([]byte(request), []byte(" ")) {
		c.RequestBody(piece)
	}
	c.Answer(200, int64(len(answer)))
	c.AnswerBody([]byte(answer), time.Millisecond)
	id := []byte("id-1")
	taken := i.Offer(c, m, &Record{RequestID: id, Sampled: 1, Seen: &Observation{Status: 200}}, []byte("/p"))
	copy(id, "gone") // the exchange's memory is used again
	return taken
}

func TestInspectorReadsCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		m := r.Model("iris", "stable")
		var mu sync.Mutex
		var heard []string
		i := NewInspector(r, func(r *Record) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, fmt.Sprintf("%s %s %d %v", r.RequestID, r.Facts.Query, r.Facts.Lengths[0].N, r.Facts.Outputs[0].Class))
		})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { i.Run(ctx) })
		carry(i, m, &echo{}, 100, "ab cd", "yes")
		carry(i, m, &echo{}, 3, "ab cd", "yesyes")
		carry(i, m, &echo{panic: true}, 100, "x", "y")
		time.Sleep(gathering) // on the clock of the bubble
		synctest.Wait()
		has(t, r, map[string]float64{
			`mlproxy_rows_total{pool="stable",route="iris"}`:                        2,
			`mlproxy_input_length_sum{kind="bytes",pool="stable",route="iris"}`:     7,
			`mlproxy_predictions_total{class="200 yes",pool="stable",route="iris"}`: 2,
			`mlproxy_extract_errors_total{reason="truncated",route="iris"}`:         2,
			`mlproxy_inspect_dropped_total{reason="failed"}`:                        1,
			`mlproxy_inspect_dropped_total{reason="queue_full"}`:                    0,
		})
		if len(heard) != 2 || !strings.HasPrefix(heard[0], "id-1 /p text/plain ") {
			t.Errorf("heard %q", heard)
		}
		stop()
		running.Wait()
		if held := i.held.Load(); held != 0 {
			t.Errorf("%d bytes are still counted", held)
		}
		if carry(i, m, &echo{}, 100, "x", "y") {
			t.Error("a capture began after the end")
		}
		has(t, r, map[string]float64{`mlproxy_inspect_dropped_total{reason="draining"}`: 1})
	})
}

// With workers that do not come on, offers end at once; what there is no room for is counted, and what it held is given back.
func TestStalledWorkersCostNobodyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		m := r.Model("iris", "stable")
		i := NewInspector(r)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { i.Run(ctx) })
		slow := &echo{hold: make(chan struct{})}
		taken := 0
		for range mostWaiting + 200 {
			if carry(i, m, slow, 100, "request", "answer") {
				taken++
			}
		}
		synctest.Wait()
		missed := scrape(t, r)[`mlproxy_inspect_dropped_total{reason="queue_full"}`]
		if taken < mostWaiting || int(missed) != mostWaiting+200-taken {
			t.Errorf("%d were taken, %v dropped", taken, missed)
		}
		close(slow.hold)
		stop()
		running.Wait()
		if rows := scrape(t, r)[`mlproxy_rows_total{pool="stable",route="iris"}`]; int(rows) != taken {
			t.Errorf("%v of %d were inspected at last", rows, taken)
		}
		if held := i.held.Load(); held != 0 {
			t.Errorf("%d bytes are still counted", held)
		}
	})
}

func TestHeldBytesAreBounded(t *testing.T) {
	r := New()
	m := r.Model("iris", "stable")
	i := NewInspector(r) // nobody works
	big, taken := strings.Repeat("x", 1<<20), 0
	for range mostHeld>>20 + 10 {
		if carry(i, m, &echo{}, 1<<20, big, "answer") {
			taken++
		}
		if held := i.held.Load(); held > mostHeld {
			t.Fatalf("%d bytes are held", held)
		}
	}
	dropped := scrape(t, r)[`mlproxy_inspect_dropped_total{reason="bytes"}`]
	if dropped < 10 || int(dropped)+len(i.queue) != mostHeld>>20+10 || taken != len(i.queue) {
		t.Errorf("%v were dropped, %d wait", dropped, len(i.queue))
	}
}

// A claim of a large body takes no memory: the room grows with what comes.
func TestRoomGrowsWithTheBody(t *testing.T) {
	i := NewInspector(New())
	c := i.Begin(&echo{}, 1<<30)
	c.Request(1 << 30)
	c.RequestBody(make([]byte, 100))
	if held := i.held.Load(); held > 1<<10 {
		t.Errorf("%d bytes are held for 100", held)
	}
	i.Drop(c, InspectNoAnswer)
	if held := i.held.Load(); held != 0 {
		t.Errorf("%d bytes are still counted", held)
	}
}

// However an exchange with an encoded stream ends, nothing is left of what reads it: TestMain would see it running.
func TestEncodedStreamsAreLetGo(t *testing.T) {
	r := New()
	i, m := NewInspector(r), r.Model("iris", "stable")
	a, err := protocol.New("openai", nil)
	if err != nil {
		t.Fatal(err)
	}
	var wire bytes.Buffer
	w := gzip.NewWriter(&wire)
	_, _ = w.Write([]byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n"))
	_ = w.Close()
	begin := func(bytes int) *Capture {
		c := i.Begin(a, 1<<20)
		c.AnswerField([]byte("Content-Type"), []byte("text/event-stream"))
		c.AnswerField([]byte("Content-Encoding"), []byte("gzip"))
		c.Answer(200, 0)
		c.AnswerBody(wire.Bytes()[:bytes], time.Millisecond)
		return c
	}
	for _, reason := range []Reason{None, ClientGone, UpstreamReset} {
		c := begin(wire.Len() - 1)
		i.Offer(c, m, &Record{Sampled: 1, Seen: &Observation{Status: 200, Reason: reason}}, []byte("/v1/chat/completions"))
	}
	i.Drop(begin(0), InspectOverload)
	i.Drop(begin(20), InspectOverload)
	again := begin(20)
	again.Answer(200, 0)
	i.Drop(again, InspectNoAnswer)
	has(t, r, map[string]float64{`mlproxy_inspect_dropped_total{reason="overload"}`: 2})
}

func TestCapturesAreUsedAgain(t *testing.T) {
	r := New()
	i := NewInspector(r)
	body := bytes.Repeat([]byte("x"), 5000)
	n := testing.AllocsPerRun(100, func() {
		c := i.Begin(&echo{}, 1<<20)
		c.Request(5000)
		c.RequestBody(body)
		i.Drop(c, InspectNoAnswer)
	})
	if n > 4 { // echo's own, and what the garbage collector took from the pool
		t.Errorf("%v allocations a capture", n)
	}
}

// A body is told of only if it is whole, and as it was written.
func TestBodiesAreToldOfWhole(t *testing.T) {
	f := func(coding string, cut bool, want string) {
		t.Helper()
		m := &message{body: []byte("abc"), cut: cut}
		if coding != "" {
			m.field([]byte("content-ENCODING"), []byte(coding))
		}
		if got := string(m.plain()); got != want {
			t.Errorf("coded as %q, cut %v: %q, want %q", coding, cut, got, want)
		}
	}
	f("", false, "abc")
	f("", true, "")
	f("gzip", false, "")
	f("Identity", false, "abc")
}
