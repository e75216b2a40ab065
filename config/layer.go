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
	Origin string // "operator"
	Routes map[string]Override
}

// Override is what a layer says of one route: exactly one of Split and Active. The rest tells people about it and takes no
// part in what is merged.
type Override struct {
	Split   Weights   `json:"split,omitempty"`  // names every pool of the layer below
	Active  string    `json:"active,omitempty"` // blue | green
	Author  string    `json:"author,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Time    time.Time `json:"time,omitzero"`    // when it was said
	Expires time.Time `json:"expires,omitzero"` // zero = never; [Merge] knows no time: leave expired ones out
	Forced  bool      `json:"forced,omitempty"` // whether it was said in spite of what it does to traffic
}

// Merge lays layers over base, later ones over earlier ones, and leaves base as it is. Its error is [Faults]: all of
// them, each placed at its layer's origin.
func Merge(base *Config, layers ...Layer) (*Config, error) {
	merged := *base
	merged.Routes = maps.Clone(base.Routes)
	var faults Faults
	for _, l := range layers {
		for _, name := range slices.Sorted(maps.Keys(l.Routes)) {
			if p := merged.override(name, l.Origin, l.Routes[name]); !p.none() {
				faults = append(faults, Fault{Position{File: cmp.Or(l.Origin, "layer")}, p.what, p.remedy})
			}
		}
	}
	if err := faults.orNil(); err != nil {
		return nil, err
	}
	return &merged, nil
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
func (c *Config) override(name, origin string, o Override) problem {
	below, known := c.Routes[name]
	if !known {
		return problem{fmt.Sprintf("there is no route %q", name), didYouMean(name, slices.Collect(maps.Keys(c.Routes)))}
	}
	if p := below.refuses(o); !p.none() {
		return problem{"routes." + name + " " + p.what, p.remedy}
	}
	route := *below
	route.Origin = origin
	if o.Split != nil {
		route.Split = maps.Clone(o.Split)
	} else {
		blueGreen := *below.BlueGreen
		blueGreen.Active = o.Active
		route.BlueGreen = &blueGreen
	}
	c.Routes[name] = &route
	return problem{}
}

// refuses says why an override cannot be laid over a route.
func (r *Route) refuses(o Override) problem {
	switch {
	case (o.Split != nil) == (o.Active != ""):
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
