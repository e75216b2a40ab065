package control

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mlproxy/config"
	"mlproxy/source"
)

// What Consul says lies over the file, a key at a time: a fleet's document first, then the keys of single routes, then what
// operators said through any proxy of the fleet. A key that is wrong keeps what it said last that was right, and no other key from being heard.

// remote is what Consul says. It is replaced as a whole and never changed once it is part of a state.
type remote struct {
	prefix string
	index  uint64         // of the last answer
	keys   map[string]key // those that stand in Consul, and those that are gone and cannot be done without; by name, without the prefix
	said   map[string]config.Override
}

// key is one key's value, and what is in force of it.
type key struct {
	index uint64 // consul's modify index
	value []byte // as it stands there; nil = it is gone
	next  *word  // what value says; nil when it cannot be read
	good  *word  // what is in force; nil = nothing
	fault string // what is wrong with value; empty = it is in force
	since time.Time
}

// word is what a value says: exactly one of the two.
type word struct {
	fleet *config.Fleet
	over  *config.Override
	from  []byte // the value it was read from
	index uint64
}

// Kinds of keys, by the last part of their names or, for overrides, the first.
const (
	documentKey   = "config"
	routesFolder  = "routes/"
	sayingsFolder = "overrides/"
)

// routeKeys read the value of routes/<route>/<name>.
var routeKeys = map[string]func(key string, src []byte) (config.Override, error){
	"split": config.ParseSplit, "active": config.ParseActive, "shadow": config.ParseShadow,
}

// hear is the remote with other values. What did not change is as it was.
func (r *remote) hear(heard source.Keys, now time.Time) *remote {
	next := &remote{prefix: r.prefix, index: heard.Index, keys: map[string]key{}, said: r.said}
	if k := r.keys[documentKey]; k.good != nil {
		next.keys[documentKey] = key{good: k.good, since: now} // if it is gone, it must be possible to do without
	}
	for name, pair := range heard.Pairs {
		k, known := r.keys[name]
		if known && k.value != nil && bytes.Equal(k.value, pair.Value) {
			k.index = pair.Index
			next.keys[name] = k
			continue
		}
		next.keys[name] = r.read(name, pair, k.good, now)
	}
	return next
}

// read is a key whose value is new.
func (r *remote) read(name string, pair source.Pair, good *word, now time.Time) key {
	k := key{index: pair.Index, value: pair.Value, good: good, since: now}
	said, err := parse(r.prefix+"/"+name, name, pair.Value)
	if err != nil {
		k.fault = strings.Join(list(err), "; ")
		return k
	}
	said.from, said.index = pair.Value, pair.Index
	if said.over != nil {
		said.over.Index = pair.Index
	} else {
		said.fleet.Index = pair.Index
	}
	k.next = said
	return k
}

// parse reads a value; full is the key as Consul knows it.
func parse(full, name string, value []byte) (*word, error) {
	if len(value) > source.MaxValue {
		return nil, fmt.Errorf("%s has %d bytes; write at most %d", full, len(value), source.MaxValue)
	}
	if name == documentKey {
		fleet, err := config.ParseFleet(full, value)
		return &word{fleet: fleet}, err
	}
	read := reader(name)
	if read == nil {
		return nil, fmt.Errorf("%s is no key that mlproxy knows; known are config, routes/<route>/split, .../active, .../shadow, "+
			"and overrides/<route>", full)
	}
	over, err := read(full, value)
	return &word{over: &over}, err
}

// reader reads the values of a key about a route; nil = there is no such key.
func reader(name string) func(key string, src []byte) (config.Override, error) {
	switch {
	case strings.HasPrefix(name, sayingsFolder):
		return config.ParseOverride
	case strings.HasPrefix(name, routesFolder) && strings.Count(name, "/") > 1:
		return routeKeys[lastPart(name)]
	}
	return nil
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// routeOf is the route that a key speaks of; empty for the document.
func routeOf(name string) string {
	if route, is := strings.CutPrefix(name, sayingsFolder); is {
		return route
	}
	route, _ := strings.CutPrefix(name, routesFolder)
	return strings.TrimSuffix(route, "/"+lastPart(name))
}

// order is in which keys are laid over each other.
func (r *remote) order() []string {
	names := slices.Collect(maps.Keys(r.keys))
	rank := func(name string) int {
		switch {
		case name == documentKey:
			return 0
		case strings.HasPrefix(name, sayingsFolder):
			return 2
		}
		return 1
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

// over lays the keys over the file. A value that is wrong there is not taken: what its key said before stays. Nor is a document,
// or the deletion of one, that would leave other keys wrong which are in force, or what is said above them all.
func (r *remote) over(file *config.Config, above *Overrides, now time.Time) (base *config.Config, next *remote) {
	tried := *r
	document, there := r.keys[documentKey]
	if there && document.value == nil {
		tried.keys = maps.Clone(r.keys)
		delete(tried.keys, documentKey)
	}
	base, next = tried.lay(file, now)
	lost := append(next.lost(r), list(above.conflicts(base, true))...)
	if len(lost) == 0 || document.good == nil || next.keys[documentKey].good == document.good {
		return base, next
	}
	document.next = nil
	document.fault = "other keys need what it said before; change or delete them first: " + strings.Join(lost, "; ")
	kept := *r
	kept.keys = maps.Clone(r.keys)
	kept.keys[documentKey] = document
	return kept.lay(file, now)
}

// lay tries each key's value, and where that is wrong the one that was in force.
func (r *remote) lay(file *config.Config, now time.Time) (base *config.Config, next *remote) {
	base, next = file, &remote{prefix: r.prefix, index: r.index, keys: map[string]key{}, said: map[string]config.Override{}}
	for _, name := range r.order() {
		k := r.keys[name]
		before := k.good
		k.good = nil
		if k.next != nil {
			if laid, err := next.try(base, name, k.next, now); err == nil {
				base, k.good, k.fault = laid, k.next, ""
			} else {
				k.fault = strings.Join(list(err), "; ")
			}
		}
		if k.good == nil && before != nil && before != k.next {
			if laid, err := next.try(base, name, before, now); err == nil {
				base, k.good = laid, before
			}
		}
		next.keys[name] = k
	}
	return base, next
}

// try lays one value over what is below. What operators say is only looked at: it lies above what is pending.
func (r *remote) try(below *config.Config, name string, w *word, now time.Time) (*config.Config, error) {
	if w.fleet != nil {
		return below.WithFleet(w.fleet)
	}
	layer := config.Layer{Origin: "consul", Routes: map[string]config.Override{routeOf(name): *w.over}}
	if !strings.HasPrefix(name, sayingsFolder) {
		return config.Merge(below, layer)
	}
	layer.Origin = operator
	if due(w.over, now) {
		return below, nil
	}
	if _, err := config.Merge(below, layer); err != nil {
		return nil, err
	}
	r.said[routeOf(name)] = *w.over
	return below, nil
}

// lost are the keys that stand in Consul and of which nothing is in force any more, with what is wrong.
func (r *remote) lost(before *remote) (words []string) {
	for _, name := range r.order() {
		is := r.keys[name]
		if before.keys[name].good != nil && is.good == nil && is.value != nil {
			words = append(words, r.prefix+"/"+name+": "+is.fault)
		}
	}
	return words
}

// layer is what operators said through any proxy of the fleet.
func (r *remote) layer() config.Layer {
	if r == nil {
		return config.Layer{Origin: operator}
	}
	return config.Layer{Origin: operator, Routes: r.said}
}
