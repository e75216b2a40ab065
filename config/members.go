package config

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Members are the endpoints of pools, by the pool's name, as Consul's catalogue has them.
type Members map[string][]Endpoint

// WithMembers is a copy of c in which the pools with [Pool.Consul] have these endpoints, in the order of their URLs, and perhaps
// none. Pools that are not in m keep what the file says. A URL that is there twice counts once, with the larger weight.
func WithMembers(c *Config, m Members) *Config {
	filled := *c
	filled.Pools = maps.Clone(c.Pools)
	for name, p := range c.Pools {
		members, known := m[name]
		if p.Consul == nil || !known && !p.Answered {
			continue
		}
		pool := *p
		pool.Endpoints, pool.Fallback, pool.Answered = *p.written(), nil, known
		if known {
			pool.Endpoints, pool.Fallback = foreign(distinct(members)), pool.Endpoints
		}
		filled.Pools[name] = &pool
	}
	return &filled
}

// distinct are the endpoints without repetition, in the order of their URLs.
func distinct(members []Endpoint) []Endpoint {
	sorted := slices.SortedFunc(slices.Values(members), func(a, b Endpoint) int {
		return cmp.Or(cmp.Compare(a.URL, b.URL), cmp.Compare(b.Weight, a.Weight))
	})
	return slices.CompactFunc(sorted, func(a, b Endpoint) bool { return a.URL == b.URL })
}

// Member makes an endpoint of what the catalogue says of an instance, if it is a URL and a weight that a file could have and allow_endpoints
// lets it be there. A weight beyond what an endpoint may have becomes the nearest that it may.
func (c *Config) Member(url string, weight float64) (Endpoint, error) {
	sound, p := hostPort(url)
	if !p.none() {
		return Endpoint{}, fmt.Errorf("its address %s; %s", p.what, p.remedy)
	}
	if err := c.EndpointPolicy().Check(sound); err != nil {
		return Endpoint{}, err
	}
	if math.IsNaN(weight) {
		weight = 1
	}
	return Endpoint{URL: sound, Weight: min(max(weight, leastWeight), mostWeight), Foreign: true}, nil
}

// foreign marks the endpoints as named by somebody else than the file.
func foreign(endpoints []Endpoint) []Endpoint {
	for i := range endpoints {
		endpoints[i].Foreign = true
	}
	return endpoints
}

// written are the endpoints that the file or the fleet's document names.
func (p *Pool) written() *[]Endpoint {
	if p.Answered {
		return &p.Fallback
	}
	return &p.Endpoints
}
