package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fleet is the document of the key mlproxy/config: pools and routes that all proxies of a fleet have in common. It says nothing else, and
// knows neither variables nor files outside of the folder of the config file it is laid over.
type Fleet struct {
	Key   string // the name of the key
	Index uint64 // Consul's modify index of Key, for people; whoever has it sets it
	root  *node
}

// parts are what a fleet's document says.
type parts struct {
	version int
	pools   map[string]*Pool
	routes  map[string]*Route
}

var fleetDocument = section("fleet's document", nil, append([]field[parts]{
	required(key("version", formatVersion, func(p *parts) *int { return &p.version }, "", "")),
	key("pools", pools, func(p *parts) *map[string]*Pool { return &p.pools }, "{}", ""),
	key("routes", routes, func(p *parts) *map[string]*Route { return &p.routes }, "{}", ""),
}, eachMachinesOwn()...)...)

// eachMachinesOwn are the keys of config.yaml that a fleet's document cannot have.
func eachMachinesOwn() (fields []field[parts]) {
	for _, a := range document.keys {
		if slices.Contains([]string{"version", "pools", "routes"}, a.key) {
			continue
		}
		f := field[parts]{about: about{key: a.key, shape: a.shape}}
		f.read = func(r *reader, _ *node, path string, _ *parts) {
			r.fault(r.where[path], path+" is each machine's own", "remove it, and write it in each config.yaml; only pools and routes are a fleet's")
		}
		fields = append(fields, f)
	}
	return fields
}

// ParseFleet reads the value of a key of that name, YAML or JSON. Its error is always [Faults], placed at the name of the key: all of
// them, but for those that depend on what the document is laid over.
func ParseFleet(key string, src []byte) (*Fleet, error) {
	t := treeOfKey(key, "{version: 1, pools: {}, routes: {}}")
	root := t.parse(src)
	if root == nil {
		return nil, t.faults.orNil()
	}
	r := &reader{faults: t.faults, where: map[string]Position{"": root.at}, foreign: true}
	_, _ = fleetDocument.read(r, root, "")
	if err := r.faults.orNil(); err != nil {
		return nil, err
	}
	return &Fleet{Key: key, root: root}, nil
}

// WithFleet is c with the pools and routes of a fleet's document; each replaces the whole of the one of that name. The result is
// checked as a file is: the error is [Faults], each placed in the key or in the file. Without a fleet it is c itself.
func (c *Config) WithFleet(f *Fleet) (*Config, error) {
	if f == nil {
		return c, nil
	}
	r := &reader{where: map[string]Position{"": f.root.at}, foreign: true}
	said, _ := fleetDocument.read(r, f.root, "") // as sound as it was when it was parsed
	part := Config{Pools: said.pools, Routes: said.routes, where: r.where}
	part.settleParts(c.folder, Source{FromConsul, f.Key, f.Index})

	whole := *c
	whole.Pools, whole.Routes = maps.Clone(c.Pools), maps.Clone(c.Routes)
	whole.where = part.placesOver(c)
	copyInto(&whole.Pools, part.Pools)
	copyInto(&whole.Routes, part.Routes)
	faults := append(whole.check(), whole.loadParts(&part)...)
	if err := faults.orNil(); err != nil {
		return nil, err
	}
	return &whole, nil
}

func copyInto[V any](into *map[string]V, from map[string]V) {
	if *into == nil {
		*into = map[string]V{}
	}
	maps.Copy(*into, from)
}

// placesOver are the places of both, where c's pools and routes stand instead of those of the same name below.
func (c *Config) placesOver(below *Config) map[string]Position {
	places := map[string]Position{}
	for path, at := range below.where {
		pool, route := entryOf(path, "pools.", below.Pools), entryOf(path, "routes.", below.Routes)
		if c.Pools[pool] == nil && c.Routes[route] == nil {
			places[path] = at
		}
	}
	for path, at := range c.where {
		if strings.HasPrefix(path, "pools.") || strings.HasPrefix(path, "routes.") {
			places[path] = at
		}
	}
	return places
}

// entryOf is the entry that a path leads into: the one with the longest name, since names may have dots; "" = it is of none.
func entryOf[V any](path, in string, entries map[string]V) string {
	name, inside := strings.CutPrefix(path, in)
	for inside {
		if _, is := entries[name]; is {
			return name
		}
		end := strings.LastIndexAny(name, ".[")
		if end < 0 {
			break
		}
		name = name[:end]
	}
	return ""
}

// checkForeign sees to it that the endpoints somebody else than the file names are where it allows them to be.
func (c *Config) checkForeign(path string, p *Pool) (faults Faults) {
	policy := c.EndpointPolicy()
	for i, e := range *p.written() {
		if !e.Foreign || e.URL == "" {
			continue
		}
		if err := policy.Check(e.URL); err != nil {
			at := fmt.Sprintf("%s[%d]", path, i)
			what, remedy, _ := strings.Cut(err.Error(), "; ")
			faults = append(faults, c.Fault(at, at+": "+what, remedy))
		}
	}
	return faults
}
