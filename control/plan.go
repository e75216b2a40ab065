package control

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"mlproxy/config"
	"mlproxy/router"
)

// Plan is what a config would change.
type Plan struct {
	// Changes in words, one thing each; empty when nothing would change.
	Changes []string `json:"changes"`
	// Routes whose shares would change, by name. A route that comes has no shares before, one that goes none after.
	Routes map[string]RoutePlan `json:"routes,omitempty"`
	// Pools that come and go.
	Pools Difference `json:"pools"`
	// Endpoints that come and go, as "pool url".
	Endpoints Difference `json:"endpoints"`
	// Masked are the changes without effect, because an operator has overridden the route.
	Masked []string `json:"masked,omitempty"`
	// Pending are the switches that would wait, because their pools cannot serve as of now.
	Pending []string `json:"pending,omitempty"`
}

// RoutePlan is how a route's traffic is divided before and after.
type RoutePlan struct {
	Before map[string]float64 `json:"before,omitempty"` // share of each pool, 0..1
	After  map[string]float64 `json:"after,omitempty"`
	// Moves are the sticky keys that change their pool, as shares of all keys, the largest first; empty when the route has no keys.
	Moves []Move `json:"moves,omitempty"`
}

// Moved is the share of keys that change their pool.
func (r *RoutePlan) Moved() (share float64) {
	for _, m := range r.Moves {
		share += m.Share
	}
	return share
}

// Move is the keys that go from one pool to another.
type Move struct {
	From  string  `json:"from"`
	To    string  `json:"to"`
	Share float64 `json:"share"`
}

// Difference is what comes and what goes.
type Difference struct {
	Come []string `json:"come,omitempty"`
	Go   []string `json:"go,omitempty"`
}

// Plan says what would change if file were the config file, and changes nothing. The error is [config.Faults] when such a reload
// would be refused. It is compiled on scratch, an estate that nothing else uses.
func (l *Loop) Plan(file *config.Config, scratch *router.Estate) (*Plan, error) {
	now := l.state.Load()
	next, err := now.withFile(file)
	if err != nil {
		return nil, err
	}
	next.held = nil
	_, merged, err := next.merge()
	if err != nil {
		return nil, err
	}
	table, err := router.Compile(merged, scratch)
	if err != nil {
		return nil, err
	}
	p := compare(now.table, table)
	for _, m := range masked(now, next) {
		p.Masked = append(p.Masked, m.String())
	}
	p.Pending = pendings(now.table, table, switches(now.wanted, merged, nil))
	return p, nil
}

// pendings are the switches whose pools cannot serve as of now. A pool that would come is not probed yet: it need only be reached.
func pendings(now, then *router.Table, wanted map[string]hold) (words []string) {
	ctx, cancel := context.WithTimeout(context.Background(), glance)
	defer cancel()
	for _, route := range slices.Sorted(maps.Keys(wanted)) {
		to := wanted[route].to
		can := func() error { return pool(then, to).Reach(ctx) }
		if _, there := now.Config().Pools[to]; there {
			can = func() error { return ready(ctx, pool(now, to)) }
		}
		if err := can(); err != nil {
			words = append(words, fmt.Sprintf("%s: the switch to %s would be pending: %v", route, to, err))
		}
	}
	return words
}

// Compare says what changes from one config to another. The error is [config.Faults] when one of them cannot be compiled. Both are,
// on scratch, an estate that nothing else uses.
func Compare(before, after *config.Config, scratch *router.Estate) (*Plan, error) {
	was, err := router.Compile(before, scratch)
	if err != nil {
		return nil, err
	}
	is, err := router.Compile(after, scratch)
	if err != nil {
		return nil, err
	}
	return compare(was, is), nil
}

func compare(old, now *router.Table) *Plan {
	before, after := old.Config(), now.Config()
	p := &Plan{
		Changes: differences(before, after), Routes: map[string]RoutePlan{},
		Pools: difference(before.Pools, after.Pools), Endpoints: difference(endpoints(before), endpoints(after)),
	}
	was, is := byName(old), byName(now)
	for name := range union(was, is) {
		r := RoutePlan{Before: shares(was[name]), After: shares(is[name])}
		if !maps.Equal(r.Before, r.After) {
			r.Moves = moves(was[name], is[name])
			p.Routes[name] = r
		}
	}
	return p
}

func byName(t *router.Table) map[string]*router.Route {
	routes := map[string]*router.Route{}
	for _, r := range t.Routes() {
		routes[r.Name] = r
	}
	return routes
}

func union[K comparable, V any](a, b map[K]V) map[K]V {
	all := make(map[K]V, len(a)+len(b))
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

// shares are the configured shares of a route's pools; nil when there is no route.
func shares(r *router.Route) map[string]float64 {
	if r == nil {
		return nil
	}
	all := map[string]float64{}
	for _, v := range r.Versions {
		all[v.Pool.Name] = v.Share
	}
	return all
}

// endpoints are the endpoints of all pools, as "pool url".
func endpoints(c *config.Config) map[string]bool {
	all := map[string]bool{}
	for name, p := range c.Pools {
		for _, e := range p.Endpoints {
			all[name+" "+e.URL] = true
		}
	}
	return all
}

func difference[V any](before, after map[string]V) (d Difference) {
	for _, name := range slices.Sorted(maps.Keys(union(before, after))) {
		_, was := before[name]
		_, is := after[name]
		switch {
		case !was:
			d.Come = append(d.Come, name)
		case !is:
			d.Go = append(d.Go, name)
		}
	}
	return d
}

// samples is how many keys are tried to find how many move. What moves is then known to about 0.15% of all keys.
const samples = 100_000

// moves tries sample keys on both tables' own splits.
func moves(was, is *router.Route) (all []Move) {
	if was == nil || is == nil || len(is.Config.Sticky) == 0 {
		return nil
	}
	type way struct{ from, to string }
	counts, key := map[way]int{}, []byte("key-")
	for i := range samples {
		key = strconv.AppendInt(key[:len("key-")], int64(i), 10)
		from, _ := was.Split.Choose(key)
		to, _ := is.Split.Choose(key)
		if from.Pool.Name != to.Pool.Name {
			counts[way{from.Pool.Name, to.Pool.Name}]++
		}
	}
	for w, n := range counts {
		all = append(all, Move{w.from, w.to, math.Round(float64(n)/samples*1e4) / 1e4})
	}
	slices.SortFunc(all, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return all
}
