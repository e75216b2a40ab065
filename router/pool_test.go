package router

import (
	"context"
	"strings"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/upstream"
)

// balanced is a pool of endpoints that are all fit.
func balanced(balance string, from []*upstream.Endpoint) *Pool {
	p := &Pool{
		Name: "p", policy: policies[balance](), Options: &upstream.Options{ConnectTimeout: 10 * time.Second},
		known: upstream.NewEndpoints(func(upstream.Transition) {}),
	}
	for _, e := range from {
		p.add(e, 1)
	}
	return p
}

func TestPickGoesElsewhere(t *testing.T) {
	f := func(n int) {
		t.Helper()
		for balance := range policies {
			p := balanced(balance, endpoints(n, "192.0.2.1:1"))
			for i := range 200 {
				not := p.Endpoints[i%n]
				if e, insist := p.Pick(mix(uint64(i)), not); e == nil || insist || (e == not) != (n == 1) {
					t.Fatalf("%s of %d: again the same", balance, n)
				}
			}
		}
	}
	f(1)
	f(2)
	f(3)
	f(8)
}

func TestPickFromNothing(t *testing.T) {
	f := func(not *upstream.Endpoint) {
		t.Helper()
		if e, insist := balanced("least_request", nil).Pick(0, not); e != nil || insist {
			t.Errorf("%v", e)
		}
	}
	f(nil)
	f(endpoints(1, "192.0.2.1:1")[0])
}

func TestSecondTriesGoToTheLeastLoaded(t *testing.T) {
	from := endpoints(4, listen(t))
	busy(t, from[1], 2)
	busy(t, from[2], 1)
	busy(t, from[3], 2)
	for range 50 {
		if e := equals(from).another(from[0]); e != from[2] {
			t.Fatal("not the least loaded of the others")
		}
	}
}

func TestReach(t *testing.T) {
	live, dead := endpoints(1, listen(t))[0], endpoints(1, "127.0.0.1:1")[0]
	f := func(want string, from ...*upstream.Endpoint) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		got := ""
		if err := balanced("round_robin", from).Reach(ctx); err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%q; want %q", got, want)
		}
	}
	f("", live)
	f("", dead, live)
	f("", live, dead, dead)
	f("pool p: no endpoint can be reached; start one of them (http://127.0.0.1:1: ", dead)
	f("pool p has no endpoints; add one")
}

// A drained endpoint gets nothing, whatever becomes of the others, and is looked after all the same.
func TestDrainedEndpointsAreNotPicked(t *testing.T) {
	f := func(drained ...bool) {
		t.Helper()
		for balance := range policies {
			cfg := desired(map[string]*config.Route{"r": {Split: config.Weights{"p": 1}, Shadow: map[string]*config.Shadow{"s": {Sample: 1}}}})
			cfg.Pools["p"] = pool("p", "http://127.0.0.1:9001", "http://127.0.0.1:9002", "http://127.0.0.1:9003")
			cfg.Pools["p"].Balance = balance
			left := 0
			for i, is := range drained {
				if cfg.Pools["p"].Endpoints[i].Drained = is; !is {
					left++
				}
			}
			p := compile(t, cfg).Pools()[0]
			for i, is := range drained {
				if p.Drained(p.Endpoints[i]) != is {
					t.Errorf("%v: endpoint %d", drained, i)
				}
			}
			if len(p.Endpoints) != 3 || len(p.health().Endpoints) != 3 || p.Fit() != (left > 0) || p.Serves() != (left > 0) || p.panics() {
				t.Errorf("%v: fit %v, serves %v, panics %v", drained, p.Fit(), p.Serves(), p.panics())
			}
			for i := range 100 {
				e, insist := p.Pick(mix(uint64(i)), p.Endpoints[i%3])
				if insist || (e == nil) != (left == 0) || e != nil && p.Drained(e) {
					t.Fatalf("%s, drained %v: picked %v, insist %v", balance, drained, e, insist)
				}
			}
		}
	}
	f(false, false, false)
	f(true, false, false)
	f(false, true, true)
	f(true, true, true)
}

func TestAPoolOfDrainedEndpointsCannotBeReached(t *testing.T) {
	cfg := desired(map[string]*config.Route{"r": {Split: config.Weights{"p": 1}}})
	cfg.Pools["p"] = pool("p", "http://"+listen(t))
	cfg.Pools["p"].Endpoints[0].Drained = true
	if err := compile(t, cfg).Pools()[0].Reach(t.Context()); err == nil || err.Error() != "all endpoints of pool p are drained; undrain one" {
		t.Errorf("%v", err)
	}
}

func TestPoolIsAsConfigured(t *testing.T) {
	cfg := desired(map[string]*config.Route{"r": {Split: config.Weights{"p": 1}}})
	cfg.Pools["p"] = pool("p", "http://127.0.0.1:9001", "http://127.0.0.1:9002")
	cfg.Pools["p"].Host, cfg.Pools["p"].OnClientGone = "models.example.org", "drain"
	p := compile(t, cfg).Pools()[0]
	if p.Name != "p" || p.Host != "models.example.org" || !p.DrainOnGone || p.Options.ConnectTimeout != time.Second || p.Options.MaxConnections != 512 {
		t.Errorf("%+v", p)
	}
	if len(p.Endpoints) != 2 || p.Endpoints[0].URL() != "http://127.0.0.1:9001" || p.Endpoints[1].Addr() != "127.0.0.1:9002" {
		t.Errorf("endpoints %v", p.Endpoints)
	}
}
