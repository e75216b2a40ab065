package config

import (
	"cmp"
	"maps"
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
		if p.Consul == nil || !known && p.Fallback == nil {
			continue
		}
		pool := *p
		pool.Endpoints, pool.Fallback = *p.written(), nil
		if known {
			pool.Fallback = append([]Endpoint{}, pool.Endpoints...)
			pool.Endpoints = distinct(members)
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

// written are the endpoints that the file or the fleet's document names.
func (p *Pool) written() *[]Endpoint {
	if p.Fallback != nil {
		return &p.Fallback
	}
	return &p.Endpoints
}
