package router

import (
	"slices"
	"strings"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
)

// reserved is a config whose route "r" has the pools of its split and others to fail over to.
func reserved(split config.Weights, failover ...string) *config.Config {
	cfg := desired(map[string]*config.Route{"r": {Match: config.Match{Path: "/"}, Split: split, Failover: failover}})
	for _, name := range []string{"a", "b", "c"} {
		cfg.Pools[name] = pool(name, "http://192.0.2.1:1", "http://192.0.2.2:2")
	}
	return cfg
}

func TestServing(t *testing.T) {
	f := func(failover, unfit, waiting, chosen, want string) {
		t.Helper()
		cfg := reserved(config.Weights{"a": 9, "b": 1}, strings.Fields(failover)...)
		for name := range strings.SplitSeq(waiting, "") {
			cfg.Pools[name].HealthCheck = &config.HealthCheck{Path: "/ready", Interval: time.Hour, Timeout: time.Minute}
		}
		table := compile(t, cfg)
		r := table.Routes()[0]
		for _, p := range table.Pools() {
			for _, e := range p.Endpoints {
				if strings.Contains(unfit, p.Name) {
					fail(e)
				}
			}
			if strings.Contains(waiting, p.Name) == p.Fit() && !strings.Contains(unfit, p.Name) {
				t.Fatalf("%s is fit: %v", p.Name, p.Fit())
			}
		}
		if got := r.Serving(r.Force([]byte(chosen))); got.Pool.Name != want {
			t.Errorf("failover to %s, unfit %q, waiting %q: %s serves for %s, want %s", failover, unfit, waiting, got.Pool.Name, chosen, want)
		}
	}
	f("", "", "", "a", "a")
	f("", "a", "", "a", "a") // panic
	f("c", "", "", "a", "a")
	f("c", "a", "", "a", "c")
	f("c", "a", "c", "a", "c")
	f("c", "", "a", "a", "a")
	f("c", "", "ac", "a", "a")
	f("c", "ac", "", "a", "a")
	f("c", "c", "", "a", "a")
	f("c b", "a", "", "a", "c")
	f("c b", "ac", "", "a", "b")
	f("a c", "b", "", "b", "a")
	f("a c", "ab", "", "b", "c")
	f("a c", "a", "", "a", "c") // not to itself
	f("a c", "abc", "", "b", "b")
}

// A pool in which too few are fit panics only when no other pool can help.
func TestFailoverComesBeforePanic(t *testing.T) {
	cfg := reserved(config.Weights{"a": 1}, "c")
	cfg.Pools["a"].PanicThreshold = .5
	r := compile(t, cfg).Routes()[0]
	fail(r.Versions[0].Pool.Endpoints[0])
	if got := r.Serving(r.Versions[0]); got.Pool.Name != "c" {
		t.Errorf("%s serves, want c", got.Pool.Name)
	}
}

func TestFailoverVersions(t *testing.T) {
	r := compile(t, reserved(config.Weights{"a": 1, "b": 0}, "b", "c")).Routes()[0]
	if len(r.Failover) != 2 || r.Failover[0] != r.Versions[1] || r.Failover[1].Pool.Name != "c" || r.Failover[1].Meter == nil || r.Failover[1].Share != 0 {
		t.Errorf("%+v", r.Failover)
	}
	if v := r.Force([]byte("c")); v != nil {
		t.Error("a pool that only steps in can be forced")
	}
}

func TestFailoversAreCountedAndCharged(t *testing.T) {
	reg := monitor.New()
	e := NewEstate(reg)
	var router Router
	f := func(cfg *config.Config, want string) *Route {
		t.Helper()
		table := compileIn(t, cfg, e)
		old := router.Swap(table)
		table.Publish(reg)
		e.Retire(old, table)
		if got := counted(t, reg, "mlproxy_failovers_total", "from", "to"); got != want {
			t.Errorf("failovers %q, want %q", got, want)
		}
		return table.Routes()[0]
	}
	r := f(reserved(config.Weights{"a": 1, "b": 1}, "b", "c"), "a>b=0 a>c=0 b>c=0")
	r.FailedOver(r.Versions[0], r.Failover[0])
	r.FailedOver(r.Versions[0], r.Failover[1])
	r.FailedOver(r.Versions[0], r.Failover[1])
	r.FailedOver(r.Versions[1], r.Failover[0]) // to itself: none
	r = f(reserved(config.Weights{"a": 1, "b": 1}, "b", "c"), "a>b=1 a>c=2 b>c=0")
	if got := counted(t, reg, "mlproxy_errors_total", "pool", "reason"); !strings.Contains(got, "a>no_healthy_endpoint=3") || !strings.Contains(got, "b>no_healthy_endpoint=0") {
		t.Errorf("errors %s", got)
	}
	if n := testing.AllocsPerRun(100, func() { r.FailedOver(r.Versions[1], r.Serving(r.Versions[1])) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	f(reserved(config.Weights{"a": 1, "b": 1}, "c"), "a>c=2 b>c=0")
	if got := series(t, reg, "mlproxy_in_flight"); !slices.Equal(got, []string{"r/a", "r/b", "r/c"}) {
		t.Errorf("meters of %v", got)
	}
	if got := series(t, reg, "mlproxy_split_weight"); len(got) != 2 {
		t.Errorf("shares of %v: a pool that only steps in has none", got)
	}
	f(reserved(config.Weights{"a": 1, "b": 1}), "")
	if got := series(t, reg, "mlproxy_in_flight"); !slices.Equal(got, []string{"r/a", "r/b"}) {
		t.Errorf("meters of %v", got)
	}
}
