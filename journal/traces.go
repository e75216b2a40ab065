package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"mlproxy/monitor"
)

const (
	sendEvery    = time.Second // a span waits no longer than that for others to be sent with it
	spansAtOnce  = 512         // in one export, or one more
	batchesQueue = 8           // full batches that wait while the collector hesitates
	mostSpans    = 4 << 20     // bytes of a batch, whatever clients write into paths
	postAttempts = 3           // of one batch, before it is dropped
	postPause    = 200 * time.Millisecond
	postLast     = time.Second // what Run may take to end, after its ctx has
)

// ErrRefused says that a collector has answered and will not take a batch, however often it is sent.
var ErrRefused = errors.New("the collector refuses the spans")

// Sampling says which exchanges are traced.
type Sampling struct {
	On    bool    // whether any is
	Share float64 // 0..1: of those whose clients do not say that they are traced
}

// TraceOptions are what Traces are made of; all of them are needed.
type TraceOptions struct {
	// Sampling is that in force. It is asked for again with every exchange, so that a reload changes it.
	Sampling func() Sampling
	// Version is the program's.
	Version string
	// Post sends a batch, OTLP in JSON, and returns once it was taken. ErrRefused says that there is no use in another attempt.
	Post func(ctx context.Context, body []byte) error
	// Dropped counts spans that reached no collector.
	Dropped func(spans int)
	// Log is told when spans are dropped, and when they no longer are.
	Log *slog.Logger
}

// Traces are spans of exchanges on their way to a collector. On, Wants and Offer may be called by many at once; they never wait for it.
type Traces struct {
	opt TraceOptions

	mu      sync.Mutex
	open    batch   // takes spans
	waiting []batch // oldest first; at most batchesQueue
	lost    int     // spans that found no room since the last sending
	full    chan struct{}
	body    []byte // the sender's alone, like all below
	trouble trouble
}

// batch is spans that are sent together.
type batch struct {
	spans []byte // JSON, with commas between
	n     int
}

// NewTraces makes Traces that send nothing until Run.
func NewTraces(o TraceOptions) *Traces {
	return &Traces{opt: o, full: make(chan struct{}, 1), trouble: trouble{what: "spans cannot be sent", over: "spans are sent again"}}
}

// On says whether any exchange may be wanted. It comes before any work.
func (t *Traces) On() bool { return t.opt.Sampling().On }

// Wants says whether an exchange is traced: if a trusted client says so by its traceparent, else by its share.
func (t *Traces) Wants(traceparent []byte, trusted bool) bool {
	s := t.opt.Sampling()
	if !s.On {
		return false
	}
	if trusted {
		if p, ok := readParent(traceparent); ok && p.sampled {
			return true
		}
	}
	return s.Share > 0 && rand.Float64() < s.Share
}

// Offer takes the record's spans, unless there is no room for them. Nothing of the record is kept.
func (t *Traces) Offer(r *monitor.Record) {
	id := newIdentity(r.Traceparent)
	buffer := lines.Get().(*[]byte)
	spans, n := appendSpans((*buffer)[:0], r, &id)
	if !t.enqueue(spans, n) {
		t.opt.Dropped(n)
	}
	*buffer = spans
	lines.Put(buffer)
}

// newIdentity goes on with the trace of a traceparent, or begins one. Spans of the model server have the same parent as ours, since
// the traceparent passes it unchanged.
func newIdentity(traceparent []byte) (id identity) {
	var ok bool
	if id.parent, ok = readParent(traceparent); !ok {
		binary.BigEndian.PutUint64(id.trace[:8], rand.Uint64())
		binary.BigEndian.PutUint64(id.trace[8:], rand.Uint64()|1) // all zero would be no ID
	}
	binary.BigEndian.PutUint64(id.server[:], rand.Uint64()|1)
	binary.BigEndian.PutUint64(id.client[:], rand.Uint64()|1)
	return id
}

// enqueue puts n spans into the queue if it has room.
func (t *Traces) enqueue(spans []byte, n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open.n >= spansAtOnce || len(t.open.spans)+len(spans) >= mostSpans {
		if len(t.waiting) >= batchesQueue {
			t.lost += n
			return false
		}
		t.waiting, t.open = append(t.waiting, t.open), batch{}
	}
	if t.open.n > 0 {
		t.open.spans = append(t.open.spans, ',')
	}
	t.open.spans = append(t.open.spans, spans...)
	if t.open.n += n; t.open.n >= spansAtOnce {
		nudge(t.full)
	}
	return true
}

// Run sends until ctx ends, and then what is left, for which it takes a second at the most. Call it once.
func (t *Traces) Run(ctx context.Context) {
	sending, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(postLast, cut) })()
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-t.full:
		case <-tick.C:
		}
		t.send(sending)
	}
	t.send(sending) // what came while the last but one was sent
}

// send sends all that waits, and tells of trouble.
func (t *Traces) send(ctx context.Context) {
	for {
		b, lost := t.take()
		if b.n == 0 && lost == 0 {
			t.trouble.report(t.opt.Log, time.Now(), 0, nil)
			return
		}
		var err error
		if b.n > 0 {
			err = t.post(ctx, b)
		}
		dropped := lost
		if err != nil {
			t.opt.Dropped(b.n)
			dropped += b.n
		} else if lost > 0 {
			err = errTooManySpans
		}
		t.trouble.report(t.opt.Log, time.Now(), dropped, err)
	}
}

var errTooManySpans = errors.New("more spans come than the collector takes")

// take takes the oldest batch.
func (t *Traces) take() (b batch, lost int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lost, t.lost = t.lost, 0
	if len(t.waiting) > 0 {
		b, t.waiting = t.waiting[0], t.waiting[1:]
		return b, lost
	}
	b, t.open = t.open, batch{}
	return b, lost
}

// post sends a batch, a few times if need be.
func (t *Traces) post(ctx context.Context, b batch) (err error) {
	t.body = appendBatch(t.body[:0], t.opt.Version, b.spans)
	pause := postPause
	for range postAttempts - 1 {
		if err = t.opt.Post(ctx, t.body); err == nil || errors.Is(err, ErrRefused) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause *= 2
	}
	return t.opt.Post(ctx, t.body)
}
