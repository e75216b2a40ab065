package upstream

import (
	"math"
	"sync"
	"testing"
	"time"
)

func TestLatencyBelievesBadNewsAtOnceAndGoodNewsByAndBy(t *testing.T) {
	type news struct{ at, took time.Duration }
	f := func(at, want time.Duration, heard ...news) {
		t.Helper()
		var l latency
		for _, n := range heard {
			l.observe(n.took, int64(n.at))
		}
		if got := l.now(int64(at)); math.Abs(float64(got-want)) > float64(want)/1000 {
			t.Errorf("%v after %v: %v, want %v", at, heard, got, want)
		}
	}
	const ms, s = time.Millisecond, time.Second
	e := func(d time.Duration) time.Duration { return time.Duration(float64(d) / math.E) } // after 10s
	f(s, 0)
	f(0, 5*ms, news{0, 5 * ms})
	f(s, 5*s, news{0, 5 * ms}, news{s, 5 * s})
	f(s, 5*s, news{s, 5 * s}, news{s, 5 * ms}) // no time has passed
	f(10*s, e(5*s), news{0, 5 * s})
	f(10*s, e(5*s)+5*ms-e(5*ms), news{0, 5 * s}, news{10 * s, 5 * ms})
	f(20*s, 10*s, news{0, 5 * s}, news{20 * s, 10 * s})
	f(5*s, 5*s, news{10 * s, 5 * s}) // another thread's clock
	f(time.Hour, 0, news{0, 5 * ms})
}

// How fast the average falls is a matter of time, not of how many answers come.
func TestLatencyDoesNotDependOnTheTraffic(t *testing.T) {
	after := func(every time.Duration) time.Duration {
		var l latency
		l.observe(time.Second, 0)
		for at := every; at <= 10*time.Second; at += every {
			l.observe(10*time.Millisecond, int64(at))
		}
		return l.now(int64(10 * time.Second))
	}
	if often, seldom := after(time.Millisecond), after(time.Second); math.Abs(float64(often-seldom)) > float64(time.Millisecond) {
		t.Errorf("%v after many answers, %v after few", often, seldom)
	}
}

func TestLatencyUnderContention(t *testing.T) {
	e := newEndpoint("http://127.0.0.1:1", NewWatch(), unknown())
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 1000 {
				e.Observe(time.Duration(i*1000 + n))
				e.Latency()
			}
		})
	}
	all.Wait()
	if got := e.Latency(); got != 7999 {
		t.Errorf("%v, want the peak", got)
	}
}

func TestAllocLatency(t *testing.T) {
	e := newEndpoint("http://127.0.0.1:1", NewWatch(), unknown())
	if n := testing.AllocsPerRun(100, func() { e.Observe(1); e.Latency() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
