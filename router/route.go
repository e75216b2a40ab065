package router

import (
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/protocol"
)

// Route is one route of a table.
type Route struct {
	Name   string
	Config *config.Route
	// Versions are the pools that requests may go to, by name: also those of weight 0 and the idle one of blue/green.
	Versions []*Version
	// Split chooses among the versions that have a weight.
	Split *Split
	// Failover are the pools that serve, in this order, when the chosen one cannot. One that is also among Versions is the same here.
	Failover []*Version
	// Shadows are the pools that get copies, by name.
	Shadows []*Shadow
	// Adapter reads bodies; nil when the route has no protocol.
	Adapter protocol.Adapter
	// Inspection is how bodies are looked into; nil when they are not.
	Inspection *Inspection
	// Retries says whether another try may be made.
	Retries *Budget
	// Keys are those that clients need; nil when they need none. Limit is how often they may come; nil when that is up to them.
	Keys  *Keys
	Limit *Limit
	// Refused counts those who were not let in by either; nil when there is neither.
	Refused *monitor.Meter

	salt uint64
}

// Version is a pool as one route uses it.
type Version struct {
	Route string
	Pool  *Pool
	Meter *monitor.Meter
	// Ledger counts what users do with its answers; nil where nobody asks.
	Ledger *monitor.Ledger
	Model  *monitor.ModelMeter // nil unless the route's bodies are looked into
	// Share of the route's traffic, 0 to 1.
	Share float64

	failovers []*monitor.Failover // to each of the route's Failover; nil to itself
}

func newRoute(name string, cfg *config.Route) *Route {
	return &Route{Name: name, Config: cfg, Retries: newBudget(&cfg.Retry), salt: xxhash.Sum64String(name)}
}

// bind gives the route its versions.
func (r *Route) bind(e *Estate, pools map[string]*Pool) {
	shares := sharesOf(r.Config)
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		r.Versions = append(r.Versions, r.version(e, pools[name], shares[name]))
	}
	r.Split = newSplit(r.Versions)
	r.bindFailover(e, pools)
	r.bindAdmission(e)
}

// bindAdmission says who may use the route, and how often.
func (r *Route) bindAdmission(e *Estate) {
	if r.Config.APIKeys == nil && r.Config.RateLimit == nil {
		return
	}
	b := e.known(r.Name, r.Config.APIKeys)
	r.Keys = newKeys(r.Name, r.Config.APIKeys, func(name string) *bucket { return b.keys[name] })
	r.Limit = newLimit(r.Config.RateLimit, b, e.Registry)
	r.Refused = e.Registry.Meter(r.Name, "")
}

func (r *Route) version(e *Estate, p *Pool, share float64) *Version {
	v := &Version{Route: r.Name, Pool: p, Meter: e.Registry.Meter(r.Name, p.Name), Share: share}
	if r.Config.Feedback {
		v.Ledger = e.Registry.Ledger(r.Name, p.Name)
	}
	if r.Inspection != nil {
		v.Model = e.Registry.Model(r.Name, p.Name)
	}
	return v
}

// sharesOf is the share of each pool that the route names. Blue/green is a split of which one pool has everything.
func sharesOf(cfg *config.Route) map[string]float64 {
	if b := cfg.BlueGreen; b != nil {
		shares := map[string]float64{b.Blue: 0, b.Green: 0}
		shares[b.ActivePool()] = 1
		return shares
	}
	sum := 0.0
	for _, pool := range slices.Sorted(maps.Keys(cfg.Split)) { // in order: float sums depend on it
		sum += cfg.Split[pool]
	}
	shares := make(map[string]float64, len(cfg.Split))
	for pool, weight := range cfg.Split {
		shares[pool] = weight / sum
	}
	return shares
}

// shares is the share of each pool, by name.
func (r *Route) shares() map[string]float64 {
	shares := make(map[string]float64, len(r.Versions))
	for _, v := range r.Versions {
		shares[v.Pool.Name] = v.Share
	}
	return shares
}

// Force is the version of that pool, whatever its weight; nil when the route has no such pool.
func (r *Route) Force(pool []byte) *Version {
	for _, v := range r.Versions {
		if string(pool) == v.Pool.Name {
			return v
		}
	}
	return nil
}

// Hash is the sticky key as [Pool.Pick] takes it: salted by the route, and no hint to the split's choice. It is 0 without a key,
// and never otherwise.
func (r *Route) Hash(key []byte) uint64 {
	if len(key) == 0 {
		return 0
	}
	return max(1, mix(xxhash.Sum64(key)^r.salt))
}
