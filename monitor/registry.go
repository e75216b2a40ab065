package monitor

import (
	"maps"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Registry holds every metric of a running mlproxy. It outlives tables: a version that survives a swap keeps its series,
// one that does not is retired.
type Registry struct {
	prom    *prometheus.Registry
	series  series
	conns   Connections
	fitness *fitness
	papers  *papers
	consul  *consul
	joiner  *Joiner

	mu      sync.Mutex // held while meters come and go, never while they count
	meters  map[version]*Meter
	shadows map[version]*ShadowMeter
	ledgers map[version]*Ledger
	models  map[version]*ModelMeter
	split   pools
	active  pools
	pending map[string]bool // the routes shown
}

// version names the owner of series.
type version struct{ route, pool string }

func (v version) labels() prometheus.Labels {
	return prometheus.Labels{"route": v.route, "pool": v.pool}
}

// New makes a registry that has counted nothing yet; it includes the Go runtime's and the process's own metrics.
func New() *Registry {
	f := factory{prometheus.NewRegistry()}
	r := &Registry{
		prom:    f.Registry,
		series:  newSeries(f),
		fitness: newFitness(),
		papers:  newPapers(),
		consul:  newConsul(),
		meters:  map[version]*Meter{},
		shadows: map[version]*ShadowMeter{},
		ledgers: map[version]*Ledger{},
		models:  map[version]*ModelMeter{},
	}
	r.joiner = newJoiner(&r.series, r.known)
	r.split, r.active = newPools(r.series.split), newPools(r.series.active)
	r.conns.bind(r.series.rejected, r.series.evicted)
	f.MustRegister(newLoads(r), r.fitness, r.papers, r.consul)
	f.runtime()
	r.Built(buildVersion(), "")
	return r
}

// Gatherer is where a scrape reads.
func (r *Registry) Gatherer() prometheus.Gatherer { return r.prom }

// Meter is the meter of a pool as a route uses it, made when it is new. Requests that match no route have Meter("", "").
// It is called while a table is compiled, not while requests are served.
func (r *Registry) Meter(route, pool string) *Meter {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := version{route, pool}
	m := r.meters[v]
	if m == nil {
		m = newMeter(&r.series, v)
		r.meters[v] = m
	}
	return m
}

// Retire removes a version's series, and its route's when that was the last. Who still holds the meter may go on using it:
// what it then counts is lost. Asked for again, the version starts from zero.
func (r *Registry) Retire(route, pool string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := version{route, pool}
	if m := r.meters[v]; m != nil {
		m.codes.retire()
		delete(r.meters, v)
	}
	delete(r.ledgers, v)
	remove(r.series.ofVersion(), v.labels())
	for _, side := range []string{"from", "to"} {
		r.series.failovers.DeletePartialMatch(prometheus.Labels{"route": route, side: pool})
	}
	if !r.serves(route) {
		r.series.overhead.DeleteLabelValues(route)
	}
}

// serves reports whether a version of the route is left; r.mu is held.
func (r *Registry) serves(route string) bool {
	for v := range r.meters {
		if v.route == route {
			return true
		}
	}
	return false
}

// Shadow is the meter of a pool that gets copies of a route's requests, made when it is new.
func (r *Registry) Shadow(route, pool string) *ShadowMeter {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := version{route, pool}
	s := r.shadows[v]
	if s == nil {
		s = newShadowMeter(&r.series, v)
		r.shadows[v] = s
	}
	return s
}

// RetireShadow removes a shadow's series, as [Registry.Retire] does a version's.
func (r *Registry) RetireShadow(route, pool string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := version{route, pool}
	if s := r.shadows[v]; s != nil {
		s.codes.retire()
		delete(r.shadows, v)
	}
	remove(r.series.ofShadow(), v.labels())
}

// SetSplit shows the configured shares (0 to 1) of a route's pools, and no others; nil when the route has no split any more.
func (r *Registry) SetSplit(route string, share map[string]float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.split.show(route, share)
}

// SetActive shows which of a blue/green route's pools is active; without pools the route is blue/green no more.
func (r *Registry) SetActive(route string, active string, pools []string) {
	value := make(map[string]float64, len(pools))
	for _, pool := range pools {
		value[pool] = 0
		if pool == active {
			value[pool] = 1
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active.show(route, value)
}

// SetPending shows which of all blue/green routes have a switch that waits for its pool, and no other routes.
func (r *Registry) SetPending(routes map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for route, waits := range routes {
		value := 0.0
		if waits {
			value = 1
		}
		r.series.pending.WithLabelValues(route).Set(value)
	}
	for route := range r.pending {
		if _, stays := routes[route]; !stays {
			r.series.pending.DeleteLabelValues(route)
		}
	}
	r.pending = maps.Clone(routes)
}

// ConfigApplied says that a revision came into force.
func (r *Registry) ConfigApplied(revision int64, at time.Time) {
	r.series.revision.Set(float64(revision))
	r.reloaded(1, at)
}

// ConfigRefused says that a change was not applied and the revision in force stays.
func (r *Registry) ConfigRefused(at time.Time) { r.reloaded(0, at) }

func (r *Registry) reloaded(successful float64, at time.Time) {
	r.series.reloaded.Set(successful)
	r.series.reloadedAt.Set(float64(at.UnixMilli()) / 1e3)
}

// Built says what runs: its version, and the source revision it was built from.
func (r *Registry) Built(version, revision string) {
	r.series.build.Reset()
	r.series.build.WithLabelValues(version, revision, runtime.Version()).Set(1)
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

// Connections counts what clients have open to the data listeners.
func (r *Registry) Connections() *Connections { return &r.conns }
