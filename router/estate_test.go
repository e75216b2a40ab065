package router

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"mlproxy/config"
	"mlproxy/monitor"
)

// series are the metrics' children whose name begins so, as "route/pool=value".
func series(t *testing.T, reg *monitor.Registry, name string) []string {
	t.Helper()
	families, err := reg.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			value := ""
			if g := m.GetGauge(); g != nil && name != "mlproxy_in_flight" {
				value = map[float64]string{0: "=0", .25: "=.25", .75: "=.75", 1: "=1"}[g.GetValue()]
			}
			found[labels["route"]+"/"+labels["pool"]+value] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func TestPublishAndRetire(t *testing.T) {
	reg := monitor.New()
	e := NewEstate(reg)
	var router Router
	f := func(routes map[string]*config.Route, want map[string]string) {
		t.Helper()
		for name, r := range routes {
			r.Match.Path = "/" + name
		}
		table := compileIn(t, desired(routes), e)
		old := router.Swap(table)
		table.Publish(reg)
		e.Retire(old, table)
		for name, list := range want {
			if got := series(t, reg, "mlproxy_"+name); !slices.Equal(got, strings.Fields(list)) {
				t.Errorf("%s: %v; want %s", name, got, list)
			}
		}
	}
	shadow := map[string]*config.Shadow{"s": {Sample: 1}}
	f(map[string]*config.Route{
		"x": {Split: config.Weights{"a": 3, "b": 1}, Shadow: shadow},
		"y": {BlueGreen: &config.BlueGreen{Blue: "a", Green: "b", Active: "green"}},
	}, map[string]string{
		"in_flight": "x/a x/b y/a y/b", "split_weight": "x/a=.75 x/b=.25", "active_pool": "y/a=0 y/b=1", "shadow_dropped_total": "x/s",
	})
	f(map[string]*config.Route{
		"x": {Split: config.Weights{"a": 1, "c": 0}},
		"y": {Split: config.Weights{"a": 1, "b": 3}, Shadow: shadow},
	}, map[string]string{
		"in_flight": "x/a x/c y/a y/b", "split_weight": "x/a=1 x/c=0 y/a=.25 y/b=.75", "active_pool": "", "shadow_dropped_total": "y/s",
	})
	f(map[string]*config.Route{
		"x": {BlueGreen: &config.BlueGreen{Blue: "a", Green: "c", Active: "blue"}},
	}, map[string]string{
		"in_flight": "x/a x/c", "split_weight": "", "active_pool": "x/a=1 x/c=0", "shadow_dropped_total": "",
	})
	if len(e.loads) != 0 {
		t.Errorf("%d loads of shadows that are gone", len(e.loads))
	}
}

func TestEndpointsSurviveSwaps(t *testing.T) {
	e := NewEstate(monitor.New())
	cfg := func(urls ...string) *config.Config {
		c := desired(map[string]*config.Route{"r": shadowed(1)})
		c.Pools["a"], c.Pools["s"] = pool("a", urls...), pool("s", urls...)
		return c
	}
	one := compileIn(t, cfg("http://127.0.0.1:9001", "http://127.0.0.1:9002"), e)
	e.Retire(nil, one)
	two := compileIn(t, cfg("http://127.0.0.1:9002", "http://127.0.0.1:9003"), e)
	e.Retire(one, two)
	three := compileIn(t, cfg("http://127.0.0.1:9001", "http://127.0.0.1:9002"), e)
	e.Retire(two, three)

	f := func(what string, of func(*Table) *Pool) {
		t.Helper()
		a, b, c := of(one).Endpoints, of(two).Endpoints, of(three).Endpoints
		if a[1] != b[0] || b[0] != c[1] {
			t.Errorf("%s: the endpoint that stayed was replaced", what)
		}
		if a[0] == c[0] {
			t.Errorf("%s: the endpoint that went away came back", what)
		}
	}
	f("live", func(t *Table) *Pool { return t.Routes()[0].Versions[0].Pool })
	f("copies", func(t *Table) *Pool { return t.Routes()[0].Shadows[0].Pool })
	for _, p := range three.Pools() {
		if p.Name == "s" && p.Endpoints[0] == three.Routes()[0].Shadows[0].Pool.Endpoints[0] {
			t.Error("copies use the connections of live traffic")
		}
	}
}

// A config that is refused leaves no trace.
func TestFaultsTakeNothingFromTheEstate(t *testing.T) {
	reg := monitor.New()
	cfg := desired(map[string]*config.Route{"r": shadowed(1)})
	cfg.Pools["b"].Balance = "fastest"
	if _, err := Compile(cfg, NewEstate(reg)); err == nil {
		t.Fatal("no fault")
	}
	if got := series(t, reg, "mlproxy_in_flight"); len(got) > 0 {
		t.Errorf("series %v", got)
	}
}
