package control

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"mlproxy/config"
	"mlproxy/router"
)

// operator is the origin of what people say through the admin API.
const operator = "operator"

// state is all that the loop knows. It is replaced as a whole and never changed once stored, so readers need no lock.
type state struct {
	file     *config.Config
	operator map[string]setting
	previous map[string]config.Override // per route, what was in force before what is in force now
	table    *router.Table              // of revision
	revision Revision
	reload   Reload
}

// setting is one override and whose it is.
type setting struct {
	config.Override
	Author, Reason string
	Since          time.Time
}

// withFile is the state with another file below, if that file may be reloaded and leaves every override valid.
func (s *state) withFile(c *config.Config) (*state, error) {
	if s.file != nil {
		if faults := s.file.RestartNeeded(c); len(faults) > 0 {
			return nil, faults
		}
	}
	if faults := conflicts(c, s.operator); len(faults) > 0 {
		return nil, faults
	}
	next := *s
	next.file = c
	return &next, nil
}

// withOverride is the state with the operator's word on a route replaced; nil takes it back.
func (s *state) withOverride(route string, o *setting) *state {
	next := *s
	next.operator = maps.Clone(s.operator)
	if next.operator == nil {
		next.operator = map[string]setting{}
	}
	delete(next.operator, route)
	if o != nil {
		next.operator[route] = *o
	}
	return &next
}

// merge lays all layers over each other.
func (s *state) merge() (*config.Config, error) { return config.Merge(s.file, layer(s.operator)) }

// became records the table that is now in force, and returns what it changed, route by route.
func (s *state) became(t *router.Table, r Revision) (changes []string) {
	var before map[string]*config.Route
	if s.table != nil {
		before = s.table.Config().Routes
	}
	after := t.Config().Routes
	changes = differences(before, after)
	s.previous = remember(s.previous, before, after)
	s.table, s.revision = t, r
	return changes
}

// layer is the operator's settings as config merges them.
func layer(settings map[string]setting) config.Layer {
	routes := make(map[string]config.Override, len(settings))
	for route, o := range settings {
		routes[route] = o.Override
	}
	return config.Layer{Origin: operator, Routes: routes}
}

// conflicts are the overrides that would no longer be valid above the file.
func conflicts(file *config.Config, settings map[string]setting) (conflicts config.Faults) {
	for _, route := range slices.Sorted(maps.Keys(settings)) {
		for _, f := range refusals(file, route, settings[route].Override) {
			conflicts = append(conflicts, file.Fault("routes."+route,
				fmt.Sprintf("the operator's override of route %q would no longer be valid: %s", route, f.What),
				"remove the override first ("+removal(route)+"), then reload"))
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

// removal says how the override of a route is removed.
func removal(route string) string {
	return fmt.Sprintf("mlproxy reset %s, or DELETE /api/v1/routes/%s/override", route, route)
}

// mask is a change of the file that has no effect because the operator has overridden the route.
type mask struct{ Route, Below, Above string }

// masked are the routes whose value the new file changes below an override.
func masked(old, file *config.Config, settings map[string]setting) (masks []mask) {
	for _, route := range slices.Sorted(maps.Keys(settings)) {
		was, is := choice(old.Routes[route]), choice(file.Routes[route])
		if !equal(was, is) {
			masks = append(masks, mask{route, text(is), text(settings[route].Override)})
		}
	}
	return masks
}
