package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mlproxy/config"
	"mlproxy/health"
	"mlproxy/monitor"
	"mlproxy/upstream"
)

// counted are a metric's values, as "label>label=value".
func counted(t *testing.T, reg *monitor.Registry, name string, labels ...string) string {
	t.Helper()
	families, err := reg.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var words []string
			for _, l := range m.GetLabel() {
				if slices.Contains(labels, l.GetName()) {
					words = append(words, l.GetValue())
				}
			}
			if f.GetName() == name {
				all = append(all, fmt.Sprintf("%s=%v", strings.Join(words, ">"), m.GetCounter().GetValue()+m.GetGauge().GetValue()))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestHealthIsShownForThePoolsInForce(t *testing.T) {
	reg := monitor.New()
	e := NewEstate(reg)
	f := func(metric, want string) {
		t.Helper()
		if got := counted(t, reg, "mlproxy_"+metric, "pool", "endpoint"); got != want {
			t.Errorf("%s: %q, want %q", metric, got, want)
		}
	}
	f("endpoint_healthy", "")
	cfg := desired(map[string]*config.Route{"r": shadowed(1)})
	cfg.Pools = map[string]*config.Pool{"a": pool("a", "http://x:1", "http://x:2"), "b": pool("b", "http://x:3"), "s": pool("s", "http://x:4")}
	as := config.Breaker{ConsecutiveFailures: 1, OpenFor: strict.OpenFor} // as fail leaves it
	cfg.Pools["a"].Breaker = as
	table := compileIn(t, cfg, e)
	f("endpoint_healthy", "")
	e.Retire(nil, table)
	f("endpoint_healthy", "http://x:1>a=1 http://x:2>a=1 http://x:3>b=1 http://x:4>s=1")
	f("pool_panic", "a=0 b=0 s=0")
	fail(table.Pools()[0].Endpoints[1])
	fail(table.Pools()[1].Endpoints[0])
	fail(table.Routes()[0].Shadows[0].Pool.Endpoints[0]) // of copies: not shown
	f("endpoint_healthy", "http://x:1>a=1 http://x:2>a=0 http://x:3>b=0 http://x:4>s=1")
	f("breaker_state", "http://x:1>a=0 http://x:2>a=2 http://x:3>b=2 http://x:4>s=0")
	f("pool_panic", "a=0 b=1 s=0")

	cfg = desired(map[string]*config.Route{"r": {Split: config.Weights{"a": 1}}})
	cfg.Pools["a"] = pool("a", "http://x:2")
	cfg.Pools["a"].Breaker = as
	e.Retire(table, compileIn(t, cfg, e))
	f("breaker_state", "http://x:2>a=2")
	f("pool_panic", "a=1")
}

func TestTransitionsAreCountedWhileTheirEndpointIsThere(t *testing.T) {
	reg := monitor.New()
	e := NewEstate(reg)
	heard := 0
	e.OnHealth = func(upstream.Transition) { heard++ }
	tell := func(role upstream.Role, pool, url, to string) {
		e.healthChanged(upstream.Transition{Name: health.Name{Role: role.String(), Pool: pool, Endpoint: url}, Kind: "breaker", To: to})
	}
	f := func(want string) {
		t.Helper()
		if got := counted(t, reg, "mlproxy_health_transitions_total", "pool", "endpoint", "to"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	cfg := func(urls ...string) *config.Config {
		c := desired(map[string]*config.Route{"r": {Split: config.Weights{"a": 1}}})
		c.Pools["a"] = pool("a", urls...)
		return c
	}
	one := compileIn(t, cfg("http://x:1", "http://x:2"), e)
	e.Retire(nil, one)
	tell(upstream.Live, "a", "http://x:1", "open")
	tell(upstream.Live, "a", "http://x:2", "open")
	tell(upstream.Live, "a", "http://x:2", "open")
	tell(upstream.Copies, "a", "http://x:2", "open")
	tell(upstream.Live, "gone", "http://x:2", "open")
	f("http://x:1>a>open=1 http://x:2>a>open=2")
	e.Retire(one, compileIn(t, cfg("http://x:2"), e))
	tell(upstream.Live, "a", "http://x:1", "closed") // late news
	f("http://x:2>a>open=2")
	if heard != 6 {
		t.Errorf("heard of %d transitions, want all 6", heard)
	}
}
