package health

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// farm is many model servers that need no network: in a bubble of synctest their answers take no time but what they say.
type farm struct {
	mu    sync.Mutex
	seen  map[string][]time.Duration // when each was asked, since the farm began
	now   map[string]int             // probes under way
	most  int                        // at once, of all
	began time.Time
	// answer is the status and how long it takes.
	answer func(host string) (int, time.Duration)
	deaf   bool // it takes that long also when nobody waits for it any more
}

func newFarm() *farm {
	return &farm{seen: map[string][]time.Duration{}, now: map[string]int{}, began: time.Now(), answer: always(200)}
}

func always(status int) func(string) (int, time.Duration) {
	return func(string) (int, time.Duration) { return status, 0 }
}

// becomes changes what the farm answers.
func (f *farm) becomes(answer func(string) (int, time.Duration)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *farm) RoundTrip(r *http.Request) (*http.Response, error) {
	status, takes := f.begin(r.URL.Host)
	defer f.end(r.URL.Host)
	gone := r.Context().Done()
	if f.deaf {
		gone = nil
	}
	select {
	case <-gone:
		return nil, r.Context().Err()
	case <-time.After(takes):
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func (f *farm) begin(host string) (int, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[host] = append(f.seen[host], time.Since(f.began))
	f.now[host]++
	if f.now[host] > 1 {
		panic(host + " is asked twice at once")
	}
	sum := 0
	for _, n := range f.now {
		sum += n
	}
	f.most = max(f.most, sum)
	return f.answer(host)
}

func (f *farm) end(host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now[host]--
}

// asked is when a host was asked.
func (f *farm) asked(host string) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[host]
}

// probing runs a prober over a farm until the bubble's test ends.
func probing(t *testing.T, f *farm) (*Prober, *diary) {
	t.Helper()
	var d diary
	p := NewProber(d.tell)
	p.client.Transport = f
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	synctest.Wait()
	return p, &d
}

func member(p *Prober, host string, b Breaker, c *Check) *State {
	s := NewState(Name{"live", "iris", "http://" + host}, p.Tell)
	s.Configure(b, c)
	p.Add(s)
	return s
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestProberAsksAtOnceAndThenByTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		p, d := probing(t, f)
		after(time.Hour)
		f.began = time.Now()
		f.answer = func(string) (int, time.Duration) { return 200, 300 * time.Millisecond }
		s := member(p, "a", inRow, &Check{Path: "/", Interval: time.Second})
		after(299 * time.Millisecond)
		is(t, s, "unproven closed")
		after(time.Millisecond)
		is(t, s, "fit closed")
		d.says(t, "probe off > waiting: the endpoint is new", "probe waiting > up: the first probe succeeded: GET /")
		after(100 * time.Second)
		asked, sum := f.asked("a"), time.Duration(0)
		for i := 1; i < len(asked); i++ {
			gap := asked[i] - asked[i-1]
			if sum += gap; gap < 800*time.Millisecond || gap > time.Second {
				t.Errorf("asked again after %v", gap)
			}
		}
		if mean := sum / time.Duration(len(asked)-1); asked[0] != 0 || mean < 850*time.Millisecond || mean > 950*time.Millisecond {
			t.Errorf("asked first after %v, then every %v: without jitter", asked[0], mean)
		}
	})
}

// From the first sign of a fault on it takes about one interval to be sure.
func TestProberHurriesInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		p, d := probing(t, f)
		s := member(p, "a", inRow, &Check{Path: "/", Interval: 4 * time.Second})
		after(time.Second)
		d.next()
		begin := time.Now()
		within := func(most time.Duration, want string, told string) {
			t.Helper()
			for s.Fit() != (want == "fit closed") && time.Since(begin) < most {
				after(10 * time.Millisecond)
			}
			is(t, s, want)
			d.says(t, told)
		}
		f.becomes(always(503))
		within(6*time.Second, "unfit closed", "probe up > down: 3 probes in a row failed: GET /: status 503, not 200")
		f.becomes(always(200))
		begin = time.Now()
		within(5*time.Second, "fit closed", "probe down > up: 2 probes in a row succeeded: GET /")
	})
}

// A thousand endpoints that hang are asked by a bounded number of goroutines, each of them by one, and one that is well is not starved.
func TestProberOfThoseThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		f.answer = func(host string) (int, time.Duration) {
			if host == "well" {
				return 200, 0
			}
			return 200, time.Hour
		}
		p, _ := probing(t, f)
		var ill []*State
		for i := range 1000 {
			ill = append(ill, member(p, fmt.Sprint("ill", i), inRow, &ready))
		}
		well := member(p, "well", inRow, &ready)
		after(3 * time.Second)
		is(t, well, "fit closed")
		for _, s := range ill {
			is(t, s, "unfit closed")
		}
		after(20 * time.Second)
		if n := len(f.asked("well")); n < 8 {
			t.Errorf("the one that is well was asked %d times in 23 seconds", n)
		}
		if f.most != maxLanes {
			t.Errorf("%d probes at once", f.most)
		}
	})
}

func TestProberAddAndRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		f.answer = func(string) (int, time.Duration) { return 200, 400 * time.Millisecond }
		p, d := probing(t, f)
		s := member(p, "a", Breaker{ConsecutiveFailures: 1}, &ready)
		p.Add(s) // again: it is there already
		after(200 * time.Millisecond)
		d.next()
		p.Remove(s) // while it is asked
		p.Remove(s)
		after(time.Minute)
		is(t, s, "unproven closed")
		do(t, s, "-")
		after(0)
		d.says(t) // nobody cares any more
		p.Add(s)
		after(time.Second)
		d.says(t, "probe waiting > up: the first probe succeeded: GET /ready")
		if got := s.Condition().Probe; got != "up" || len(f.asked("a")) != 2 {
			t.Errorf("%s, asked %d times", got, len(f.asked("a")))
		}
		p.Remove(s)
		after(time.Minute)
		if n := len(f.asked("a")); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// What a reload changes is asked at once, also while the answer to the old question is still awaited.
func TestProberAsksTheNewQuestion(t *testing.T) {
	f := func(wait, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			f := newFarm()
			f.answer = func(string) (int, time.Duration) { return 200, 100 * time.Millisecond }
			p, _ := probing(t, f)
			s := member(p, "a", inRow, nil)
			after(time.Minute)
			f.began = time.Now()
			s.Configure(inRow, &Check{Path: "/one"})
			after(wait)
			s.Configure(inRow, &Check{Path: "/two"})
			after(200 * time.Millisecond)
			if asked := f.asked("a"); len(asked) != 2 || asked[1] != want {
				t.Errorf("asked at %v; want %v", asked, want)
			}
			s.Configure(inRow, nil)
			after(time.Hour)
			if asked := f.asked("a"); len(asked) > 3 {
				t.Errorf("asked at %v, though nothing is to be asked", asked)
			}
		})
	}
	f(50*time.Millisecond, 100*time.Millisecond)
	f(500*time.Millisecond, 500*time.Millisecond)
}

// The figures of docs/health.md are bounds, wherever between two probes a fault begins and ends, and not far from what happens.
func TestTimesToExpect(t *testing.T) {
	f := func(status int, takes, out, back time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			f := newFarm()
			p, _ := probing(t, f)
			s := member(p, "a", inRow, &Check{Path: "/"})
			after(time.Second)
			worst := map[bool]time.Duration{}
			turn := func(fit bool) {
				begin := time.Now()
				for s.Fit() != fit && time.Since(begin) < time.Minute {
					after(time.Millisecond)
				}
				worst[fit] = max(worst[fit], time.Since(begin))
				after(rand.N(10 * time.Second))
			}
			for range 50 {
				f.becomes(func(string) (int, time.Duration) { return status, takes })
				turn(false)
				f.becomes(always(200))
				turn(true)
			}
			if got := worst[false]; got > out || got < out*8/10 {
				t.Errorf("out after %v; want %v", got, out)
			}
			if got := worst[true]; got > back || got < back*8/10 {
				t.Errorf("back after %v; want %v", got, back)
			}
		})
	}
	f(500, 0, 3*time.Second, 2500*time.Millisecond)
	f(200, time.Hour, 3500*time.Millisecond, 2500*time.Millisecond)
}

// A breaker that opens has the probes look at once, so that a fault that they can see is known before the first trial.
func TestProberLooksWhenTheBreakerOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		p, d := probing(t, f)
		s := member(p, "a", inRow, &Check{Path: "/", Interval: time.Hour})
		after(time.Second)
		f.becomes(always(503))
		f.began, f.seen = time.Now(), map[string][]time.Duration{}
		do(t, s, "---")
		after(0)
		if asked := f.asked("a"); len(asked) != 1 || asked[0] != 0 {
			t.Errorf("asked at %v", asked)
		}
		d.next()
		after(openFor)
		is(t, s, "unfit half-open")
		d.says(t, "breaker open > half-open: 5s are over, the next request tries it")
	})
}

// Many transitions at once and a report that waits: nobody else waits, and what is lost is counted.
func TestReportThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, reported := make(chan struct{}), 0
		p := NewProber(func(Transition) { <-release; reported++ })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		synctest.Wait()
		p.Tell(Transition{})
		synctest.Wait() // this one is being reported
		for range maxNews + 7 {
			p.Tell(Transition{})
		}
		if n := p.Dropped(); n != 7 {
			t.Errorf("%d dropped", n)
		}
		stop()
		close(release)
		<-done
		if reported != maxNews+1 {
			t.Errorf("%d reported", reported)
		}
	})
}

func TestProberBeforeAndAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		p := NewProber(func(Transition) {})
		p.client.Transport = f
		s := member(p, "a", inRow, &ready)
		after(time.Minute)
		is(t, s, "unproven closed")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx) }()
		synctest.Wait()
		is(t, s, "fit closed")
		f.deaf = true
		f.becomes(func(string) (int, time.Duration) { return 503, time.Hour })
		after(2 * time.Second)
		stopped := time.Now()
		stop()
		<-done
		if time.Since(stopped) < 59*time.Minute {
			t.Error("a probe is still under way")
		}
		p.Add(NewState(Name{}, nil))
		after(time.Hour)
		is(t, s, "fit closed") // what was broken off is no evidence
		if n := len(f.asked("a")); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// The whole of it over real sockets: a model server that dies is noticed, and that it is back.
func TestProberOverTheNetwork(t *testing.T) {
	var broken sync.Map
	endpoint := modelServer(t, func(w http.ResponseWriter, _ *http.Request) {
		if _, yes := broken.Load("yes"); yes {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	news := make(chan Transition, 16)
	p := NewProber(func(t Transition) { news <- t })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	defer func() { stop(); <-done }()
	s := NewState(Name{"live", "iris", endpoint}, p.Tell)
	s.Configure(inRow, &Check{Path: "/ready", Interval: time.Millisecond, Timeout: ample})
	p.Add(s)
	becomes := func(want string) {
		t.Helper()
		if got := <-news; got.To != want || got.Endpoint != endpoint {
			t.Errorf("%+v; want %s", got, want)
		}
	}
	becomes("waiting")
	becomes("up")
	broken.Store("yes", true)
	becomes("down")
	broken.Delete("yes")
	becomes("up")
}
