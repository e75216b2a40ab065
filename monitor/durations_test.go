package monitor

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// A scrape cannot tell durations from the client library's histogram.
func TestDurationsAreWrittenAsTheLibraryWritesThem(t *testing.T) {
	f := func(what string, observed ...time.Duration) {
		t.Helper()
		theirs := factory{prometheus.NewRegistry()}.histogram("x_seconds", "Help.", exchangeBounds, "route", "pool").WithLabelValues("iris", "stable")
		ours := newDurationsVec("x_seconds", "Help.", exchangeBounds, []string{"route", "pool"}).of("iris", "stable")
		for _, d := range observed {
			ours.Observe(d)
			theirs.Observe(seconds(d))
		}
		got, want := written(t, ours), written(t, theirs.(prometheus.Metric))
		if sum := want.Histogram.GetSampleSum(); math.Abs(got.Histogram.GetSampleSum()-sum) > 1e-9*sum {
			t.Errorf("%s: the sum is %v, want %v", what, got.Histogram.GetSampleSum(), sum)
		}
		for _, m := range []*dto.Metric{got, want} {
			m.Histogram.SampleSum, m.Histogram.CreatedTimestamp = nil, nil
		}
		if !proto.Equal(got, want) {
			t.Errorf("%s:\ngot  %v\nwant %v", what, got, want)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	// between are n durations spread evenly over the orders of magnitude.
	between := func(n int, least, most time.Duration) (d []time.Duration) {
		for range n {
			d = append(d, time.Duration(float64(least)*math.Pow(float64(most)/float64(least), random.Float64())))
		}
		return d
	}
	f("nothing")
	f("no time", 0, 0)
	f("a clock that went back", -time.Second)
	f("one", 3*time.Millisecond)
	f("gaps of every size", time.Millisecond, 1100*time.Microsecond, 1300*time.Microsecond, 1700*time.Microsecond, 5*time.Millisecond, time.Hour)
	f("bounds", 50*time.Microsecond, 100*time.Microsecond, 250*time.Microsecond, time.Second, time.Minute, time.Minute+1)
	f("powers of two", time.Second/2, time.Second, 2*time.Second, 4*time.Second, time.Second/4, time.Second/1024)
	f("the extremes", 1, 2, 3, 200*365*24*time.Hour)
	f("inference", between(10000, 100*time.Microsecond, time.Second)...)
	f("more buckets than 160", between(10000, 10*time.Nanosecond, 100*time.Hour)...)
}

func written(t testing.TB, m prometheus.Metric) *dto.Metric {
	t.Helper()
	out := new(dto.Metric)
	if err := m.Write(out); err != nil {
		t.Fatal(err)
	}
	return out
}

// The count is that of the buckets, classic and native, at any moment.
func TestDurationsAreConsistentWhileTheyCount(t *testing.T) {
	const observers, each = 4, 5000
	h := newDurationsVec("x_seconds", "Help.", exchangeBounds, nil).of()
	var work sync.WaitGroup
	for range observers {
		work.Go(func() {
			for i := range each {
				h.Observe(time.Duration(i) * time.Microsecond)
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); work.Wait() }()
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		his := written(t, h).Histogram
		native, now := his.GetZeroCount(), int64(0)
		for _, delta := range his.PositiveDelta {
			now += delta
			native += uint64(now)
		}
		last := his.Bucket[len(his.Bucket)-1] // nothing takes longer here
		if n := his.GetSampleCount(); native != n || last.GetCumulativeCount() != n || ended && n != observers*each {
			t.Fatalf("%d observed, %d in native buckets, %d in classic ones", n, native, last.GetCumulativeCount())
		}
	}
}
