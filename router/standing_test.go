package router

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mlproxy/config"
	"mlproxy/health"
	"mlproxy/monitor"
	"mlproxy/upstream"
)

// strict takes an endpoint out after one failure, for longer than any test.
var strict = upstream.Breaker{ConsecutiveFailures: 1, OpenFor: 1000 * time.Hour}

// fail takes an endpoint out.
func fail(e *upstream.Endpoint) {
	e.Health().Configure(strict, nil)
	_ = e.Health().Do(func(*health.Trial) error { return errors.New("refused") })
}

// mend brings it back.
func mend(e *upstream.Endpoint) { _ = e.Health().Insist(func(*health.Trial) error { return nil }) }

// wait has an endpoint wait for its first probe, which nobody makes.
func wait(e *upstream.Endpoint) {
	e.Health().Configure(strict, &upstream.Check{Path: "/ready", Interval: time.Hour, Timeout: time.Minute})
}

// stood is a pool whose endpoints are as the letters say: fit, waiting for a probe, or unfit.
func stood(letters string, panicAt float64) *Pool {
	p := balanced("least_request", nil)
	p.panicAt = panicAt
	for i, letter := range letters {
		e := p.known.Get(upstream.Live, "p", fmt.Sprintf("http://192.0.2.1:%d", i+1))
		p.add(e, 1)
		switch letter {
		case 'u':
			fail(e)
		case 'w':
			wait(e)
		}
	}
	return p
}

// seenBy are the endpoints that a pool picks, by number, with a "!" when it insists.
func seenBy(p *Pool) string {
	picks := map[string]bool{}
	for range 50 * (len(p.Endpoints) + 1) {
		if e, insist := p.Pick(0, nil); e != nil {
			picks[fmt.Sprint(slices.Index(p.Endpoints, e))+strings.Repeat("!", map[bool]int{true: 1}[insist])] = true
		}
	}
	var all []string
	for pick := range picks {
		all = append(all, pick)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestOrderOfChoice(t *testing.T) {
	f := func(letters string, panicAt float64, fit, serves bool, want string) {
		t.Helper()
		p := stood(letters, panicAt)
		if got := seenBy(p); got != want || p.Fit() != fit || p.Serves() != serves {
			t.Errorf("%s, panic at %v: picks %q, fit %v, serves %v; want %q, %v, %v", letters, panicAt, got, p.Fit(), p.Serves(), want, fit, serves)
		}
	}
	f("", 0, false, false, "")
	f("fff", 0, true, true, "0 1 2")
	f("fuf", 0, true, true, "0 2")
	f("wfu", 0, true, true, "1")
	f("wuw", 0, false, true, "0 2")
	f("uuu", 0, false, false, "0! 1! 2!")
	f("fuuu", .25, true, false, "0! 1! 2! 3!")
	f("fwuu", .25, true, true, "0") // who waits is not known to be unfit
	f("ffuu", .25, true, true, "0 1")
	f("ffuu", .5, true, false, "0! 1! 2! 3!")
	f("ff", 1, true, false, "0! 1!") // as configured: health is told and not heeded
}

func TestPickFollowsHealth(t *testing.T) {
	p := stood("fff", 0)
	f := func(want string) {
		t.Helper()
		if got := seenBy(p); got != want {
			t.Errorf("picks %q, want %q", got, want)
		}
	}
	f("0 1 2")
	fail(p.Endpoints[1])
	f("0 2")
	fail(p.Endpoints[0])
	f("2")
	fail(p.Endpoints[2])
	f("0! 1! 2!")
	mend(p.Endpoints[1])
	f("1")
	mend(p.Endpoints[0])
	mend(p.Endpoints[2])
	f("0 1 2")
}

// A second try goes to another that is fit, not to another whatever.
func TestPickGoesElsewhereAmongTheFit(t *testing.T) {
	p := stood("fuf", 0)
	for range 100 {
		if e, _ := p.Pick(0, p.Endpoints[0]); e != p.Endpoints[2] {
			t.Fatal("not the other fit endpoint")
		}
	}
	fail(p.Endpoints[2])
	if e, insist := p.Pick(0, p.Endpoints[0]); e != p.Endpoints[0] || insist {
		t.Errorf("%v, %v; want the only fit one again", e.URL(), insist)
	}
}

// What happens to other pools costs a pool a look, but not what its policy knows of its members.
func TestStandingIsKeptWhileItsEndpointsStay(t *testing.T) {
	p := stood("fff", 0)
	other := p.known.Get(upstream.Live, "other", "http://192.0.2.9:1")
	before := p.look()
	if p.look() != before {
		t.Error("looked again although nothing happened")
	}
	fail(other)
	after := p.look()
	if after == before || after.from != before.from {
		t.Error("another pool's endpoint changed the members")
	}
	fail(p.Endpoints[0])
	if p.look().from == before.from {
		t.Error("an endpoint's failure did not change the members")
	}
}

func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := stood("ff", 0)
		p.slowStart = 20 * time.Second
		time.Sleep(time.Hour) // of synctest's clock
		f := func(after time.Duration, want float64) {
			t.Helper()
			time.Sleep(after)
			m := p.look().from
			if got := m.all[1].weight; math.Abs(got-want) > 1e-9 || m.all[0].weight != 1 || (m.halves == nil) != (want == 1) {
				t.Errorf("weights %v and %v; want 1 and %v", m.all[0].weight, got, want)
			}
		}
		f(0, 1)
		fail(p.Endpoints[1])
		time.Sleep(time.Minute)
		mend(p.Endpoints[1])
		f(0, .1)
		if got, want := picked(p.policy, p.look().from)[1], .1/1.1; math.Abs(got-want) > .02 {
			t.Errorf("%.3f of the requests at first, want %.3f", got, want)
		}
		f(999*time.Millisecond, .1)
		f(time.Millisecond, .145)
		f(9*time.Second, .55)
		f(9*time.Second, .955)
		f(time.Second, 1)
		if !p.look().until.IsZero() {
			t.Error("the slow start has no end")
		}
		if p.all[1].weight != 1 {
			t.Error("the configured weight was changed")
		}
	})
}

func TestPickAllocatesNothingUntilSomethingChanges(t *testing.T) {
	for balance := range policies {
		p := balanced(balance, endpoints(30, "192.0.2.1:1"))
		p.slowStart = time.Nanosecond
		key := uint64(0)
		if n := testing.AllocsPerRun(1000, func() { key++; p.Pick(mix(key), nil); p.Fit() }); n != 0 {
			t.Errorf("%s: %v allocations", balance, n)
		}
	}
}

// Picks under way while everything changes are of the pool, and once it is quiet, right.
func TestPickWhileHealthFlaps(t *testing.T) {
	for balance := range policies {
		p := stood("ffffffffffff", 0)
		p.policy, p.slowStart = policies[balance](), time.Millisecond
		for _, e := range p.Endpoints {
			e.Health().Configure(strict, nil)
		}
		var flapping, picking sync.WaitGroup
		done := make(chan struct{})
		for i := range 2 {
			flapping.Go(func() { flap(p.Endpoints[6*i : 6*i+6]) })
		}
		for range 4 {
			picking.Go(func() { pickUntil(t, p, done) })
		}
		flapping.Wait()
		close(done)
		picking.Wait()
		for _, e := range p.Endpoints[1:] {
			fail(e)
		}
		if got := seenBy(p); got != "0" {
			t.Errorf("%s: picks %q when only number 0 is fit", balance, got)
		}
	}
}

// flap takes endpoints out and brings them back, and leaves them fit.
func flap(all []*upstream.Endpoint) {
	for range 300 {
		for _, e := range all {
			fail(e)
		}
		for _, e := range all {
			mend(e)
		}
	}
}

func pickUntil(t *testing.T, p *Pool, done <-chan struct{}) {
	for key := uint64(1); ; key++ {
		select {
		case <-done:
			return
		default:
		}
		if e, _ := p.Pick(mix(key), nil); !slices.Contains(p.Endpoints, e) {
			t.Error("picked what is not of the pool")
			return
		}
		p.Fit()
	}
}

func BenchmarkIsAPickAsCheapFromAThousandAsFromOne(b *testing.B) {
	for balance := range policies {
		for _, n := range []int{1, 10, 1000} {
			for _, how := range []string{"equal", "weighted"} {
				p := balanced(balance, nil)
				for i, m := range farm(n) {
					p.add(m.Endpoint, map[string]float64{"equal": 1, "weighted": float64(1 + i%3)}[how])
				}
				b.Run(fmt.Sprintf("%s/%s/%d", balance, how, n), func(b *testing.B) {
					key := uint64(0)
					for i := range uint64(slots) { // what a policy remembers, it remembers by then
						p.Pick(i*(1<<64/slots)+1, nil)
					}
					b.ReportAllocs()
					for b.Loop() {
						key++
						p.Pick(mix(key), nil)
					}
				})
			}
		}
	}
}

func BenchmarkWhatDoesAChangeOfHealthCost(b *testing.B) {
	for _, n := range []int{10, 1000} {
		p := balanced("least_request", nil)
		for _, m := range farm(n) {
			p.add(m.Endpoint, 1)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				p.settle(p.look())
			}
		})
	}
}

// Everything a pool's config says reaches those who have to know.
func TestPoolsHoldTheirEndpointsToTheConfig(t *testing.T) {
	cfg := desired(map[string]*config.Route{"r": shadowed(1)})
	p := cfg.Pools["s"]
	p.MaxInFlight, p.Queue = 7, config.Queue{Size: 3, Timeout: time.Second}
	p.Breaker = config.Breaker{
		ConsecutiveFailures: 1, FailureRatio: .4, MinRequests: 9, Window: time.Minute, OpenFor: time.Hour, HalfOpenRequests: 2, FailureStatus: []int{503},
	}
	p.HealthCheck = &config.HealthCheck{
		Path: "/p", Method: "POST", Interval: time.Minute, Timeout: time.Second, Rise: 4, Fall: 5, Status: []int{204},
		Body: "{}", ContentType: "application/json", Expect: map[string]string{"a": "b"},
	}
	p.Host, p.PanicThreshold, p.SlowStart = "models.example.org", .3, time.Minute
	p.Endpoints[0].Weight = 4
	table := compileIn(t, cfg, NewEstate(monitor.New()))
	live, copies := table.Pools()[2], table.Routes()[0].Shadows[0].Pool

	got := *live.Options
	want := upstream.Options{
		ConnectTimeout: time.Second, MaxConnections: 512, MaxInFlight: 7, Queue: upstream.Queue{Size: 3, Timeout: time.Second},
		Breaker: upstream.Breaker{
			ConsecutiveFailures: 1, FailureRatio: .4, MinRequests: 9, Window: time.Minute, OpenFor: time.Hour, HalfOpenRequests: 2, FailureStatus: []int{503},
		},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(*copies.Options) != fmt.Sprint(want) {
		t.Errorf("%+v and %+v; want %+v", got, *copies.Options, want)
	}
	check := upstream.Check{
		Path: "/p", Method: "POST", Host: "models.example.org", Interval: time.Minute, Timeout: time.Second, Rise: 4, Fall: 5, Status: []int{204},
		Body: []byte("{}"), ContentType: "application/json", Expect: map[string]string{"a": "b"},
	}
	if got := checkOf(p, upstream.Live, nil); fmt.Sprint(*got) != fmt.Sprint(check) {
		t.Errorf("%+v; want %+v", *got, check)
	}
	if live.panicAt != .3 || live.slowStart != time.Minute || live.all[0].weight != 4 {
		t.Errorf("panic at %v, slow start %v, weight %v", live.panicAt, live.slowStart, live.all[0].weight)
	}
	f := func(p *Pool, probe string) {
		t.Helper()
		h := p.Endpoints[0].Health()
		if now := h.Condition(); now.Breaker != "closed" {
			t.Errorf("breaker %s before any failure of its own", now.Breaker)
		}
		_ = h.Do(func(*health.Trial) error { return errors.New("refused") })
		if now := h.Condition(); now.Breaker != "open" || now.Probe != probe {
			t.Errorf("after one failure: breaker %s, probe %s; want open and %s", now.Breaker, now.Probe, probe)
		}
	}
	f(live, "waiting")
	f(copies, "off")
}
