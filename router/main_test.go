package router

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mlproxy/config"
	"mlproxy/monitor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fields is a request's head, by lower-case name.
type fields map[string][]byte

func (f fields) Get(name string) []byte { return f[name] }

func pool(name string, urls ...string) *config.Pool {
	p := &config.Pool{Name: name, Balance: "least_request", ConnectTimeout: time.Second, MaxConnections: 512, OnClientGone: "cancel"}
	for _, url := range urls {
		p.Endpoints = append(p.Endpoints, config.Endpoint{URL: url, Weight: 1})
	}
	return p
}

// desired is a config of these routes, whose pools have one endpoint each.
func desired(routes map[string]*config.Route) *config.Config {
	cfg := &config.Config{Version: 1, Pools: map[string]*config.Pool{}, Routes: routes}
	need := func(name string) {
		if cfg.Pools[name] == nil {
			cfg.Pools[name] = pool(name, fmt.Sprintf("http://127.0.0.1:%d", 9001+len(cfg.Pools)))
		}
	}
	for _, r := range routes {
		for name := range r.Split {
			need(name)
		}
		for name := range r.Shadow {
			need(name)
		}
		if r.BlueGreen != nil {
			need(r.BlueGreen.Blue)
			need(r.BlueGreen.Green)
		}
	}
	return cfg
}

func compile(t testing.TB, cfg *config.Config) *Table {
	t.Helper()
	return compileIn(t, cfg, NewEstate(monitor.New()))
}

func compileIn(t testing.TB, cfg *config.Config, e *Estate) *Table {
	t.Helper()
	table, err := Compile(cfg, e)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// split is the split of a route "r" with these weights.
func split(t testing.TB, w config.Weights) *Split {
	t.Helper()
	return compile(t, desired(map[string]*config.Route{"r": {Split: w}})).Routes()[0].Split
}

// named is the pool of the version that Choose returns for a key.
func (s *Split) named(key string) string {
	v, _ := s.Choose([]byte(key))
	return v.Pool.Name
}
