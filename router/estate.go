package router

import (
	"maps"
	"reflect"
	"sync"
	"sync/atomic"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/protocol"
	"mlproxy/trust"
	"mlproxy/upstream"
)

// Estate is what outlives tables: connections, meters, and what shadows hold at the moment. It lives here and not in the
// table because a reload that leaves a pool in place must neither cut its connections nor forget what is counted.
type Estate struct {
	Endpoints *upstream.Endpoints
	Registry  *monitor.Registry
	// Trust has the certificates of listeners and pools. It has to be run, too.
	Trust *trust.Keeper
	// OnHealth is told of every change of an endpoint's health, after the metrics are; set it before the endpoints run.
	OnHealth func(upstream.Transition)

	inForce atomic.Pointer[Table]

	mu      sync.Mutex
	loads   map[identity]*load  // of shadows
	live    map[place]bool      // the endpoints of live traffic
	buckets map[string]*buckets // of routes whose clients have keys or limits
}

// identity names a version or a shadow.
type identity struct{ route, pool string }

// place names an endpoint.
type place struct{ pool, endpoint string }

// load is what a shadow's copies take at the moment, and what is kept of comparing their answers.
type load struct {
	inFlight, bytes atomic.Int64

	mu      sync.Mutex
	kept    *atomic.Value
	compare config.Compare   // that kept is of
	adapter protocol.Adapter // likewise
}

// keptFor is what is kept of answers compared in that way; nothing yet when they were compared, or read, in another.
func (l *load) keptFor(c *config.Compare, a protocol.Adapter) *atomic.Value {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept == nil || l.adapter != a || !reflect.DeepEqual(l.compare, *c) {
		l.kept, l.compare, l.adapter = new(atomic.Value), *c, a
	}
	return l.kept
}

// NewEstate makes an estate without endpoints. Its Endpoints have to be run.
func NewEstate(reg *monitor.Registry) *Estate {
	e := &Estate{
		Registry: reg, Trust: trust.NewKeeper(), OnHealth: func(upstream.Transition) {},
		loads: map[identity]*load{}, live: map[place]bool{}, buckets: map[string]*buckets{},
	}
	e.Endpoints = upstream.NewEndpoints(e.healthChanged)
	reg.WatchHealth(e.health)
	reg.WatchCertificates(e.certificates)
	return e
}

// endpoint is the endpoint of that role, pool and URL, made when it is new.
func (e *Estate) endpoint(role upstream.Role, pool, url string) *upstream.Endpoint {
	if role == upstream.Live {
		e.mu.Lock()
		e.live[place{pool, url}] = true
		e.mu.Unlock()
	}
	return e.Endpoints.Get(role, pool, url)
}

// load is the load of a shadow, made when it is new.
func (e *Estate) load(id identity) *load {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.loads[id]
	if l == nil {
		l = new(load)
		e.loads[id] = l
	}
	return l
}

// Retire closes the endpoints and removes the series that old has and now has not. It comes after the swap. Exchanges that
// old still serves finish undisturbed; what they count of a removed version is lost.
func (e *Estate) Retire(old, now *Table) {
	keep := now.endpoints()
	e.Endpoints.Retain(func(p *upstream.Endpoint) bool { return keep[p] })
	e.Trust.Retain(func(i *trust.Identity) bool { return now.identities[i] })
	e.inForce.Store(now)
	e.forgetHealth(now.places())
	e.joins(&now.config.Feedback)
	if old == nil {
		return
	}
	for id := range without(old.served(), now.served()) {
		e.Registry.Retire(id.route, id.pool)
	}
	for f := range without(old.failovers(), now.failovers()) {
		e.Registry.RetireFailover(f.route, f.from, f.to)
	}
	for id := range without(old.shadowed(), now.shadowed()) {
		e.Registry.RetireShadow(id.route, id.pool)
		e.forget(id)
	}
	for id := range without(old.audited(), now.audited()) {
		e.Registry.CloseLedger(id.route, id.pool)
	}
	for id := range without(old.inspected(), now.inspected()) {
		e.Registry.RetireModel(id.route, id.pool)
	}
	for id := range without(old.guarded(), now.guarded()) {
		e.Registry.Retire(id.route, id.pool)
		e.forgetBuckets(id.route)
	}
	for name := range without(old.config.Routes, now.config.Routes) {
		e.Registry.SetSplit(name, nil)
		e.Registry.SetActive(name, "", nil)
	}
}

func (e *Estate) forget(id identity) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.loads, id)
}

func (e *Estate) forgetBuckets(route string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.buckets, route)
}

// without is what is left of a.
func without[K comparable, V any](a, b map[K]V) map[K]bool {
	left := map[K]bool{}
	for k := range a {
		if _, both := b[k]; !both {
			left[k] = true
		}
	}
	return left
}

// endpoints are all endpoints the table may send to.
func (t *Table) endpoints() map[*upstream.Endpoint]bool {
	set := map[*upstream.Endpoint]bool{}
	add := func(p *Pool) {
		for _, e := range p.Endpoints {
			set[e] = true
		}
	}
	for _, p := range t.pools {
		add(p)
	}
	for _, r := range t.routes {
		for _, s := range r.Shadows {
			add(s.Pool)
			for _, p := range s.again {
				add(p)
			}
		}
	}
	return set
}

func (t *Table) served() map[identity]bool {
	set := map[identity]bool{}
	for _, r := range t.routes {
		maps.Copy(set, identities(r))
	}
	return set
}

// guarded are the meters of routes that do not let everybody in.
func (t *Table) guarded() map[identity]bool {
	set := map[identity]bool{}
	for _, r := range t.routes {
		if r.Refused != nil {
			set[identity{r.Name, ""}] = true
		}
	}
	return set
}

func (t *Table) shadowed() map[identity]bool {
	set := map[identity]bool{}
	for _, r := range t.routes {
		for _, s := range r.Shadows {
			set[identity{r.Name, s.Pool.Name}] = true
		}
	}
	return set
}
