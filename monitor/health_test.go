package monitor

import "testing"

func TestFailoversAreCountedByPair(t *testing.T) {
	r := New()
	r.Failover("iris", "canary", "stable").Count()
	r.Failover("iris", "canary", "stable").Count() // bound anew by another table
	r.Failover("iris", "canary", "spare")
	r.Failover("iris", "stable", "spare").Count()
	series := func(from, to string) string {
		return `mlproxy_failovers_total{from="` + from + `",route="iris",to="` + to + `"}`
	}
	has(t, r, map[string]float64{series("canary", "stable"): 2, series("canary", "spare"): 0, series("stable", "spare"): 1})
	r.RetireFailover("iris", "canary", "stable")
	has(t, r, map[string]float64{series("canary", "stable"): gone, series("canary", "spare"): 0, series("stable", "spare"): 1})
	r.Retire("iris", "stable")
	has(t, r, map[string]float64{series("canary", "spare"): 0, series("stable", "spare"): gone})
	r.Retire("iris", "spare")
	has(t, r, map[string]float64{series("canary", "spare"): gone})
}

func TestHealthIsAskedForAtEveryScrape(t *testing.T) {
	r := New()
	const healthy, breaker, panics = `mlproxy_endpoint_healthy{endpoint="http://x:1",pool="a"}`,
		`mlproxy_breaker_state{endpoint="http://x:1",pool="a"}`, `mlproxy_pool_panic{pool="a"}`
	f := func(now []PoolHealth, wantHealthy, wantBreaker, wantPanics float64) {
		t.Helper()
		r.WatchHealth(func() []PoolHealth { return now })
		has(t, r, map[string]float64{healthy: wantHealthy, breaker: wantBreaker, panics: wantPanics})
	}
	has(t, r, map[string]float64{healthy: gone, breaker: gone, panics: gone})
	f([]PoolHealth{{Pool: "a", Endpoints: []EndpointHealth{{URL: "http://x:1", Healthy: true}}}}, 1, 0, 0)
	f([]PoolHealth{{Pool: "a", Panic: true, Endpoints: []EndpointHealth{{URL: "http://x:1", Breaker: 2}}}}, 0, 2, 1)
	f([]PoolHealth{{Pool: "a", Panic: true}}, gone, gone, 1)
	f(nil, gone, gone, gone)
}

func TestTransitionsLeaveWithTheirEndpoint(t *testing.T) {
	r := New()
	series := func(endpoint, to string) string {
		return `mlproxy_health_transitions_total{endpoint="` + endpoint + `",kind="breaker",pool="a",to="` + to + `"}`
	}
	r.Transition("a", "http://x:1", "breaker", "open")
	r.Transition("a", "http://x:1", "breaker", "open")
	r.Transition("a", "http://x:1", "breaker", "closed")
	r.Transition("a", "http://x:2", "breaker", "open")
	has(t, r, map[string]float64{series("http://x:1", "open"): 2, series("http://x:1", "closed"): 1, series("http://x:2", "open"): 1})
	r.RetireEndpoint("a", "http://x:1")
	has(t, r, map[string]float64{series("http://x:1", "open"): gone, series("http://x:1", "closed"): gone, series("http://x:2", "open"): 1})
}
