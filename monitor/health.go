package monitor

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Failover counts the exchanges of one version that another pool took over. Its method may be called by many at once, and
// allocates nothing.
type Failover struct{ taken prometheus.Counter }

// Count counts one.
func (f *Failover) Count() { f.taken.Inc() }

// Failover is the counter of a route's exchanges that went to one pool although another was chosen for them, made when it is new.
func (r *Registry) Failover(route, from, to string) *Failover {
	return &Failover{r.series.failovers.WithLabelValues(route, from, to)}
}

// RetireFailover removes a series of [Registry.Failover].
func (r *Registry) RetireFailover(route, from, to string) {
	r.series.failovers.DeleteLabelValues(route, from, to)
}

// Transition counts a change of an endpoint's health: kind is whose, and to what it became, both constants of package health.
func (r *Registry) Transition(pool, endpoint, kind, to string) {
	r.series.transitions.WithLabelValues(pool, endpoint, kind, to).Inc()
}

// RetireEndpoint removes what Transition made for an endpoint.
func (r *Registry) RetireEndpoint(pool, endpoint string) {
	r.series.transitions.DeletePartialMatch(prometheus.Labels{"pool": pool, "endpoint": endpoint})
}

// PoolHealth is how a pool of live traffic is doing.
type PoolHealth struct {
	Pool string
	// Panic: so few endpoints are fit that all are used.
	Panic     bool
	Endpoints []EndpointHealth
}

// EndpointHealth is how one endpoint of a pool is doing.
type EndpointHealth struct {
	URL     string
	Healthy bool
	Breaker int // 0 closed, 1 half-open, 2 open
}

// WatchHealth has every scrape ask how the pools are doing. Asking is better than being told: nothing is shown of a pool that is
// gone, and nothing of a moment ago.
func (r *Registry) WatchHealth(ask func() []PoolHealth) { r.fitness.ask.Store(&ask) }

// fitness collects what the pools' health is at a scrape.
type fitness struct {
	ask                     atomic.Pointer[func() []PoolHealth]
	healthy, breaker, panic *prometheus.Desc
}

func newFitness() *fitness {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
	}
	return &fitness{
		healthy: desc("endpoint_healthy",
			"1 when the endpoint is fit to serve without reservation, else 0.", "pool", "endpoint"),
		breaker: desc("breaker_state",
			"The endpoint's breaker: 0 closed, 1 half-open, 2 open.", "pool", "endpoint"),
		panic: desc("pool_panic",
			"1 while so few endpoints are fit that all are used, else 0.", "pool"),
	}
}

// Describe is for Prometheus.
func (f *fitness) Describe(to chan<- *prometheus.Desc) {
	to <- f.healthy
	to <- f.breaker
	to <- f.panic
}

// Collect is for Prometheus.
func (f *fitness) Collect(to chan<- prometheus.Metric) {
	ask := f.ask.Load()
	if ask == nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, p := range (*ask)() {
		gauge(f.panic, number(p.Panic), p.Pool)
		for _, e := range p.Endpoints {
			gauge(f.healthy, number(e.Healthy), p.Pool, e.URL)
			gauge(f.breaker, float64(e.Breaker), p.Pool, e.URL)
		}
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
