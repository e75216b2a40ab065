package router

import (
	"cmp"
	"maps"
	"slices"
	"sync/atomic"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/trust"
	"mlproxy/upstream"
)

// Router holds the table in force.
type Router struct {
	table atomic.Pointer[Table]
}

// Table is the table in force, nil before the first Swap. An exchange asks once and keeps the answer.
func (r *Router) Table() *Table { return r.table.Load() }

// Swap puts t in force and returns the table it replaces, nil the first time. Exchanges that began with the old table
// finish with it.
func (r *Router) Swap(t *Table) (old *Table) { return r.table.Swap(t) }

// Table is a config compiled for routing. It is never changed.
type Table struct {
	config *config.Config
	index  index
	routes []*Route // by name
	pools  []*Pool  // by name; those of live traffic
	// Feedback is how often clients may send feedback; nil when no route takes any.
	Feedback *Limit

	data, admin *trust.Identity          // of the listeners; nil = clear text
	identities  map[*trust.Identity]bool // all in use
}

// Compile makes the table of a config that [config.Load] or [config.Merge] has checked. The error is [config.Faults]: what
// only routing can know to be wrong. Meters and endpoints are made once nothing can fail any more, and nothing is started.
func Compile(cfg *config.Config, e *Estate) (*Table, error) {
	t := &Table{config: cfg, identities: map[*trust.Identity]bool{}}
	for _, name := range slices.Sorted(maps.Keys(cfg.Routes)) {
		t.routes = append(t.routes, newRoute(name, cfg.Routes[name]))
	}
	faults := append(unknownPolicies(cfg), bindAdapters(cfg, t.routes)...)
	for b, a := range t.index.build(t.routes) {
		faults = append(faults, cfg.Fault("routes."+b.Name+".match", "route "+b.Name+" matches the same requests as route "+a.Name,
			"give one of them a further condition, or remove it"))
	}
	if len(faults) > 0 {
		slices.SortFunc(faults, byPlace)
		return nil, faults
	}
	t.bind(e)
	return t, nil
}

func byPlace(a, b config.Fault) int {
	return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Col, b.At.Col), cmp.Compare(a.What, b.What))
}

// bind ties the table to what outlives it.
func (t *Table) bind(e *Estate) {
	t.bindListeners(e)
	t.bindFeedback(e)
	live := map[string]*Pool{}
	for _, name := range slices.Sorted(maps.Keys(t.config.Pools)) {
		live[name] = newPool(name, t.config, e, upstream.Live, t.trusts(t.config.Pools[name], e))
		t.pools = append(t.pools, live[name])
	}
	copies := map[string]*Pool{}
	copied := func(name string) *Pool {
		if copies[name] == nil {
			copies[name] = newPool(name, t.config, e, upstream.Copies, t.trusts(t.config.Pools[name], e))
		}
		return copies[name]
	}
	before := e.inForce.Load()
	for _, r := range t.routes {
		r.keepAdapter(before)
		r.Inspection = newInspection(r)
		r.bind(e, live)
		for _, name := range slices.Sorted(maps.Keys(r.Config.Shadow)) {
			r.Shadows = append(r.Shadows, newShadow(r, copied, name, e))
		}
	}
}

// Routes are all routes, by name. The slice must not be changed.
func (t *Table) Routes() []*Route { return t.routes }

// Pools are all pools as live traffic uses them, by name. The slice must not be changed.
func (t *Table) Pools() []*Pool { return t.pools }

// Config is what the table was made of.
func (t *Table) Config() *config.Config { return t.config }

// Publish shows the table's splits and active pools in the metrics. It is for the one who has put the table in force.
func (t *Table) Publish(reg *monitor.Registry) {
	for _, r := range t.routes {
		b := r.Config.BlueGreen
		if b != nil {
			reg.SetSplit(r.Name, nil)
			reg.SetActive(r.Name, b.ActivePool(), []string{b.Blue, b.Green})
			continue
		}
		reg.SetActive(r.Name, "", nil)
		reg.SetSplit(r.Name, r.shares())
	}
}
