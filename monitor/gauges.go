package monitor

import (
	"maps"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// pools shows one number per pool of each route.
type pools struct {
	vec   *prometheus.GaugeVec
	shown map[string]map[string]float64 // by route, then pool
}

func newPools(vec *prometheus.GaugeVec) pools {
	return pools{vec: vec, shown: map[string]map[string]float64{}}
}

// show sets the route's numbers before it removes those of pools that are gone, so that no scrape finds the route empty.
func (p *pools) show(route string, value map[string]float64) {
	for pool, v := range value {
		p.vec.WithLabelValues(route, pool).Set(v)
	}
	for pool := range p.shown[route] {
		if _, stays := value[pool]; !stays {
			p.vec.DeleteLabelValues(route, pool)
		}
	}
	p.shown[route] = maps.Clone(value)
	if len(value) == 0 {
		delete(p.shown, route)
	}
}

// Connections counts the connections of clients. All its methods may be called at once, and allocate nothing.
type Connections struct {
	open     atomic.Int64
	rejected [rejectReasons]prometheus.Counter
	evicted  prometheus.Counter
}

func (c *Connections) bind(rejected *prometheus.CounterVec, evicted prometheus.Counter) {
	c.evicted = evicted
	for reason := range rejectReasons {
		c.rejected[reason] = rejected.WithLabelValues(reason.String())
	}
}

// Opened counts a connection that is served.
func (c *Connections) Opened() { c.open.Add(1) }

// Closed ends what Opened began.
func (c *Connections) Closed() { c.open.Add(-1) }

// Rejected counts a connection that is not served.
func (c *Connections) Rejected(reason RejectReason) { c.rejected[reason].Inc() }

// Evicted counts connections that were closed while they only waited, to make room for others.
func (c *Connections) Evicted(n int) { c.evicted.Add(float64(n)) }

// loads collects the numbers that are counted without Prometheus because the hot path reads or changes them twice an exchange.
type loads struct {
	registry                       *Registry
	inFlight, tunnels, connections *prometheus.Desc
}

func newLoads(r *Registry) *loads {
	return &loads{
		registry: r,
		inFlight: prometheus.NewDesc(namespace+"_in_flight",
			"Exchanges that have begun and not ended.", []string{"route", "pool"}, nil),
		tunnels: prometheus.NewDesc(namespace+"_tunnels",
			"Tunnels that are open.", []string{"route", "pool"}, nil),
		connections: prometheus.NewDesc(namespace+"_connections",
			"Open connections of clients.", nil, nil),
	}
}

// Describe is for Prometheus.
func (l *loads) Describe(to chan<- *prometheus.Desc) {
	to <- l.inFlight
	to <- l.tunnels
	to <- l.connections
}

// Collect is for Prometheus.
func (l *loads) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	gauge(l.connections, l.registry.conns.open.Load())
	l.registry.mu.Lock()
	defer l.registry.mu.Unlock()
	for v, m := range l.registry.meters {
		gauge(l.inFlight, m.InFlight(), v.route, v.pool)
		gauge(l.tunnels, m.tunnels.Load(), v.route, v.pool)
	}
}
