package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
)

// Digest is the same for configs that treat traffic alike, whatever their files look like, whoever set their values, what is each
// machine's own (all but pools and routes, and where files lie), and which members the catalogue has for the moment: 16 hexadecimal
// digits, for people and replicas to compare.
func (c *Config) Digest() string {
	plain := c.withoutSources()
	for _, p := range plain.Pools {
		p.Endpoints, p.Fallback, p.Answered = p.asWritten(), nil, false
		for _, file := range []*string{&p.TLS.CAFile, &p.TLS.CertFile, &p.TLS.KeyFile} {
			*file = nameOf(*file)
		}
	}
	for _, r := range plain.Routes {
		if r.APIKeys != nil {
			keys := *r.APIKeys
			keys.File = nameOf(keys.File)
			r.APIKeys = &keys
		}
	}
	return (&Config{Pools: plain.Pools, Routes: plain.Routes}).sum()
}

// nameOf is a file's name without its folder.
func nameOf(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}

// Same says whether two configs make the same table, endpoints included, and every value is from the same source.
func Same(a, b *Config) bool {
	return a.withoutSources().sum() == b.withoutSources().sum() && sameSources(a, b)
}

func sameSources(a, b *Config) bool {
	return maps.EqualFunc(a.Pools, b.Pools, func(a, b *Pool) bool { return a.Source == b.Source }) &&
		maps.EqualFunc(a.Routes, b.Routes, func(a, b *Route) bool {
			return a.Source == b.Source && a.ShadowFrom == b.ShadowFrom && a.Base == b.Base
		})
}

// withoutSources is a copy that does not say who set its values.
func (c *Config) withoutSources() *Config {
	plain := *c
	plain.Pools, plain.Routes = maps.Clone(c.Pools), maps.Clone(c.Routes)
	for name, p := range c.Pools {
		pool := *p
		pool.Source = Source{}
		plain.Pools[name] = &pool
	}
	for name, r := range c.Routes {
		route := *r
		route.from(Source{})
		plain.Routes[name] = &route
	}
	return &plain
}

// asWritten are the endpoints that were said, by whomsoever, and behind them those that operators drained, members or not.
func (p *Pool) asWritten() []Endpoint {
	var drained []Endpoint
	for _, e := range p.Endpoints {
		if e.Drained {
			drained = append(drained, Endpoint{URL: e.URL, Drained: true})
		}
	}
	endpoints := []Endpoint{}
	for _, e := range *p.written() {
		e.Drained, e.Foreign = false, false
		endpoints = append(endpoints, e)
	}
	return append(endpoints, distinct(drained)...)
}

func (c *Config) sum() string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("config: a checked config has only values JSON can hold: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
