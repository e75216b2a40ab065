package monitor

import (
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// durations is a histogram of how long something took. It looks to a scrape as one of the client library's, classic and native at once, and
// is for what every exchange observes: there a library's histogram, which finds each native bucket in a map, costs several times as much.
type durations struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	bounds []float64 // of the classic buckets, in seconds
	since  *timestamppb.Timestamp

	mu      sync.Mutex
	sum     float64 // seconds
	zero    uint64
	classic []uint64 // one for each of bounds, and one for what is longer
	native  [octaves]*octave
}

// octave counts what took from one power of two to the next, in eight steps: a native histogram of schema 3, whose buckets are 9% apart.
type octave [steps]uint64

const (
	schema      = 3
	steps       = 1 << schema
	octaves     = 64
	firstOctave = -30 // 2^-30 s is just below a nanosecond
	mostBuckets = 160 // of a native histogram; where there would be more they get wider
)

// stepBounds are the upper bounds of an octave's steps, as fractions (0.5 to 1) of its end; the last one is its end.
var stepBounds = func() (b [steps]float64) {
	for i := range b {
		b[i] = math.Exp2(float64(i)/steps) / 2
	}
	return b
}()

// Observe counts something that took d; a clock that stood still or went back counts as no time.
func (h *durations) Observe(d time.Duration) {
	s := seconds(d)
	o, step := place(s)
	h.mu.Lock()
	h.sum += s
	h.classic[h.bucket(s)]++
	if s > 0 {
		if h.native[o] == nil {
			h.native[o] = new(octave)
		}
		h.native[o][step]++
	} else {
		h.zero++
	}
	h.mu.Unlock()
}

// bucket is the classic bucket of s seconds.
func (h *durations) bucket(s float64) int {
	for i, bound := range h.bounds {
		if s <= bound {
			return i
		}
	}
	return len(h.bounds)
}

// place is the native bucket of s seconds: the one after the last bound that is below s.
func place(s float64) (o, step int) {
	fraction, exponent := math.Frexp(s)
	for step < steps && stepBounds[step] < fraction {
		step++
	}
	slot := (exponent-1-firstOctave)*steps + step
	slot = min(max(slot, 0), octaves*steps-1)
	return slot / steps, slot % steps
}

// Desc describes the metric.
func (h *durations) Desc() *prometheus.Desc { return h.desc }

// Write writes the histogram as a scrape has it.
func (h *durations) Write(out *dto.Metric) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	found, width := h.buckets(), int32(schema)
	for len(found) > mostBuckets {
		found, width = halved(found), width-1
	}
	his := &dto.Histogram{
		CreatedTimestamp: h.since, SampleSum: new(h.sum),
		Schema: new(width), ZeroCount: new(h.zero), ZeroThreshold: new(prometheus.DefNativeHistogramZeroThreshold),
	}
	count := uint64(0)
	for i, bound := range h.bounds {
		count += h.classic[i]
		his.Bucket = append(his.Bucket, &dto.Bucket{CumulativeCount: new(count), UpperBound: new(bound)})
	}
	his.SampleCount = new(count + h.classic[len(h.bounds)])
	his.PositiveSpan, his.PositiveDelta = spans(found)
	out.Label, out.Histogram = h.labels, his
	return nil
}

// bucketCount is a native bucket that is not empty, by the number that the format gives it.
type bucketCount struct {
	key int
	n   uint64
}

func (h *durations) buckets() (found []bucketCount) {
	for i, o := range h.native {
		if o == nil {
			continue
		}
		for step, n := range o {
			if n > 0 {
				found = append(found, bucketCount{(i+firstOctave)*steps + step, n})
			}
		}
	}
	return found
}

// halved joins the buckets two by two: the resolution of the schema below.
func halved(b []bucketCount) (wider []bucketCount) {
	for _, one := range b {
		key := (one.key + 1) >> 1
		if last := len(wider) - 1; last >= 0 && wider[last].key == key {
			wider[last].n += one.n
			continue
		}
		wider = append(wider, bucketCount{key, one.n})
	}
	return wider
}

// spans writes buckets as runs of neighbours and the differences between their counts; to write one or two empty buckets takes less than
// a run of their own.
func spans(b []bucketCount) (runs []*dto.BucketSpan, deltas []int64) {
	var before int64
	add := func(n int64) {
		*runs[len(runs)-1].Length++
		deltas = append(deltas, n-before)
		before = n
	}
	next := 0
	for i, one := range b {
		gap := one.key - next
		if i == 0 || gap > 2 {
			runs = append(runs, &dto.BucketSpan{Offset: new(int32(gap)), Length: new(uint32)})
		} else {
			for range gap {
				add(0)
			}
		}
		add(int64(one.n))
		next = one.key + 1
	}
	return runs, deltas
}

// durationsVec is durations by labels.
type durationsVec struct{ *prometheus.MetricVec }

func newDurationsVec(name, help string, bounds []float64, labels []string) durationsVec {
	desc := prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	return durationsVec{prometheus.NewMetricVec(desc, func(values ...string) prometheus.Metric {
		return &durations{
			desc: desc, labels: prometheus.MakeLabelPairs(desc, values), bounds: bounds,
			since: timestamppb.Now(), classic: make([]uint64, len(bounds)+1),
		}
	})}
}

// of is the histogram with these label values.
func (v durationsVec) of(values ...string) *durations {
	m, err := v.GetMetricWithLabelValues(values...)
	if err != nil {
		panic(err) // the number of labels is ours
	}
	return m.(*durations)
}
