package control

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"mlproxy/config"
)

// operator is the origin of what people say through the admin API.
const operator = "operator"

// due says whether an override has ended by itself.
func due(o *config.Override, now time.Time) bool { return !o.Expires.IsZero() && !o.Expires.After(now) }

// Overrides are all that operators have said and not taken back. A value is never changed once it is part of a state.
type Overrides struct {
	// Routes whose split or active pool an operator has set.
	Routes map[string]config.Override `json:"routes,omitempty"`
	// Drained are the pools that get no new requests from any split, by name, and the endpoints that get none at all, by URL. Of an
	// override they have only who, why, when, and whether by force.
	Drained map[string]config.Override `json:"drained,omitempty"`
}

// layer is the routes' overrides as config merges them.
func (o *Overrides) layer() config.Layer { return config.Layer{Origin: operator, Routes: o.Routes} }

// with is a copy of a map in which name has the value, or, when it is nil, is not.
func with(m map[string]config.Override, name string, value *config.Override) map[string]config.Override {
	next := maps.Clone(m)
	if next == nil {
		next = map[string]config.Override{}
	}
	delete(next, name)
	if value != nil {
		next[name] = *value
	}
	return next
}

// alive are those that have not ended, and the names of those that have.
func alive(m map[string]config.Override, now time.Time) (left map[string]config.Override, ended []string) {
	left = maps.Clone(m)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if o := m[name]; due(&o, now) {
			delete(left, name)
			ended = append(ended, name)
		}
	}
	return left, ended
}

// nextEnd is when the first of them ends; zero when none does.
func (o *Overrides) nextEnd() (first time.Time) {
	for _, m := range []map[string]config.Override{o.Routes, o.Drained} {
		for _, set := range m {
			if end := set.Expires; !end.IsZero() && (first.IsZero() || end.Before(first)) {
				first = end
			}
		}
	}
	return first
}

// conflicts are the overrides that would no longer be valid above the file. local says that they are of one proxy of a fleet.
func (o *Overrides) conflicts(file *config.Config, local bool) (conflicts config.Faults) {
	for _, route := range slices.Sorted(maps.Keys(o.Routes)) {
		set := o.Routes[route]
		for _, f := range refusals(file, route, set) {
			conflicts = append(conflicts, file.Fault("routes."+route,
				fmt.Sprintf("the operator's override of route %q would no longer be valid: %s", route, f.What),
				"remove the override first ("+removal(route, local)+"), then reload"))
		}
	}
	return conflicts
}

// refusals are why an override cannot lie over a config.
func refusals(below *config.Config, route string, o config.Override) config.Faults {
	_, err := config.Merge(below, config.Layer{Origin: operator, Routes: map[string]config.Override{route: o}})
	faults, _ := errors.AsType[config.Faults](err)
	return faults
}

// removal says how the override of a route is removed: that of the fleet, if there is one, or of this proxy alone.
func removal(route string, local bool) string {
	if local {
		return fmt.Sprintf("mlproxy override remove %s --local, or DELETE /api/v1/routes/%s/override?local=true", route, route)
	}
	return fmt.Sprintf("mlproxy override remove %s, or DELETE /api/v1/routes/%s/override", route, route)
}

// overrides are what operators have said, to the fleet and to this proxy alone, which lies above.
func (s *state) overrides() Overrides {
	all := s.said
	if s.remote != nil {
		all.Routes = union(s.remote.said, s.said.Routes)
	}
	return all
}
