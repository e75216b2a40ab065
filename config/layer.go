package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Layer is what one origin says over the layers below it.
type Layer struct {
	Origin string // such as "operator"
	Routes map[string]Override
}

// Override is what a layer says of one route: exactly one of Split, Active and Shadow. The rest tells people about it and takes
// no part in what is merged, but for Forced beside Active.
type Override struct {
	Split   Weights            `json:"split,omitempty"`  // names every pool of the layer below
	Active  string             `json:"active,omitempty"` // blue | green
	Shadow  map[string]*Shadow `json:"shadow,omitzero"`  // replaces all of the layer below; nil = nothing is said of shadows, empty = none
	Author  string             `json:"author,omitempty"`
	Reason  string             `json:"reason,omitempty"`
	Time    time.Time          `json:"time,omitzero"`    // when it was said
	Expires time.Time          `json:"expires,omitzero"` // zero = never; [Merge] knows no time: leave expired ones out
	Forced  bool               `json:"forced,omitempty"` // whether it was said in spite of what it does to traffic
	Key     string             `json:"-"`                // the key of Consul that holds it; "" = none does
	Index   uint64             `json:"-"`                // Consul's modify index of Key
}

// Misfit is a value that cannot be laid over the layers below it.
type Misfit struct {
	Layer int    // which of the layers, counted from 0
	Route string // of which it was said
	Fault Fault  // placed at the key, or at the layer's origin
}

// Merge lays layers over base, later ones over earlier ones, and leaves base as it is. Its error is [Faults]: all of
// them, each placed at its key or its layer's origin.
func Merge(base *Config, layers ...Layer) (*Config, error) {
	merged, misfits := MergeFitting(base, layers...)
	var faults Faults
	for _, m := range misfits {
		faults = append(faults, m.Fault)
	}
	if err := faults.orNil(); err != nil {
		return nil, err
	}
	return merged, nil
}

// MergeFitting is [Merge] without the values that do not fit: each of them is left out alone, as if its layer did not say it.
func MergeFitting(base *Config, layers ...Layer) (merged *Config, misfits []Misfit) {
	laid := *base
	laid.Routes = maps.Clone(base.Routes)
	for i, l := range layers {
		for _, name := range slices.Sorted(maps.Keys(l.Routes)) {
			o := l.Routes[name]
			if p := laid.override(name, Source{l.Origin, o.Key, o.Index}, o); !p.none() {
				at := Position{File: cmp.Or(o.Key, l.Origin, "layer")}
				misfits = append(misfits, Misfit{i, name, Fault{at, p.what, p.remedy}})
			}
		}
	}
	return &laid, misfits
}

// Drain is a copy of base in which the endpoints with these URLs are drained, whichever pools have them.
func Drain(base *Config, urls map[string]bool) *Config {
	drained := *base
	drained.Pools = maps.Clone(base.Pools)
	for name, p := range base.Pools {
		if !slices.ContainsFunc(p.Endpoints, func(e Endpoint) bool { return urls[e.URL] }) {
			continue
		}
		pool := *p
		pool.Endpoints = slices.Clone(p.Endpoints)
		for i := range pool.Endpoints {
			pool.Endpoints[i].Drained = urls[pool.Endpoints[i].URL]
		}
		drained.Pools[name] = &pool
	}
	return &drained
}

// override puts a changed copy in the place of a route.
func (c *Config) override(name string, from Source, o Override) problem {
	below, known := c.Routes[name]
	if !known {
		return problem{fmt.Sprintf("there is no route %q", name), didYouMean(name, slices.Collect(maps.Keys(c.Routes)))}
	}
	if p := c.refuses(below, o); !p.none() {
		return problem{"routes." + name + " " + p.what, p.remedy}
	}
	route := *below
	route.lay(from, o)
	c.Routes[name] = &route
	return problem{}
}

// lay changes a route to what an override that fits says.
func (r *Route) lay(from Source, o Override) {
	switch {
	case o.Shadow != nil:
		r.Shadow, r.ShadowFrom = maps.Clone(o.Shadow), from
	case o.Split != nil:
		r.Split, r.Source = maps.Clone(o.Split), from
	default:
		blueGreen := *r.BlueGreen
		blueGreen.Active = o.Active
		if o.Key != "" {
			blueGreen.Force = o.Forced
		}
		r.BlueGreen, r.Source = &blueGreen, from
	}
}

// refuses says why an override cannot be laid over a route.
func (c *Config) refuses(r *Route, o Override) problem {
	switch {
	case o.Shadow != nil && o.Split == nil && o.Active == "":
		return c.refusesShadow(r, o.Shadow)
	case (o.Split != nil) == (o.Active != "") || o.Shadow != nil:
		return problem{"is to get a split and an active pool, or neither", "give exactly one of both"}
	case o.Split != nil && r.Split == nil:
		return problem{"is a blue/green route and has no split", "switch it to blue or green instead"}
	case o.Active != "" && r.BlueGreen == nil:
		return problem{"is a split route and has no active pool", "give it a split instead"}
	case o.Split != nil:
		return r.refusesSplit(o.Split)
	case o.Active != "blue" && o.Active != "green":
		return problem{fmt.Sprintf("cannot be switched to %q", o.Active), "write blue or green"}
	}
	return problem{}
}

// refusesShadow sees to it that shadows are pools that do not serve the route.
func (c *Config) refusesShadow(r *Route, shadows map[string]*Shadow) problem {
	serving := r.Serving()
	for _, pool := range slices.Sorted(maps.Keys(shadows)) {
		if _, known := c.Pools[pool]; !known {
			return problem{fmt.Sprintf("is to get the shadow %q, and there is no such pool", pool), didYouMean(pool, slices.Collect(maps.Keys(c.Pools)))}
		}
		if serving[pool] {
			return problem{fmt.Sprintf("is to get the shadow %q, which also serves it", pool), "name a pool that clients get no answers from, or leave it out"}
		}
		if s := shadows[pool]; s.predictions() && !r.reads() {
			return problem{
				fmt.Sprintf("is to compare the shadow %q by %s, and does not say how predictions are found in its answers", pool, s.Compare.Mode),
				"give the route a protocol first, or compare by json",
			}
		}
	}
	return problem{}
}

// refusesSplit sees to it that a split names the pools of the one below, no more and no fewer: a slip must not take a
// pool out.
func (r *Route) refusesSplit(w Weights) problem {
	pools := slices.Sorted(maps.Keys(r.Split))
	for _, pool := range slices.Sorted(maps.Keys(w)) {
		if _, known := r.Split[pool]; !known {
			return problem{fmt.Sprintf("has no pool %q in its split", pool), didYouMean(pool, pools)}
		}
	}
	missing := slices.DeleteFunc(pools, func(pool string) bool { _, named := w[pool]; return named })
	if len(missing) > 0 {
		return problem{"is to get a split without " + strings.Join(missing, ", "), "name every pool; 0 takes one out"}
	}
	p := weighable(w)
	if !p.none() {
		p.what = "is to get a split that " + p.what
	}
	return p
}
