package control

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"mlproxy/config"
	"mlproxy/router"
	"mlproxy/source"
)

// state is all that the loop knows. It is replaced as a whole and never changed once stored, so readers need no lock.
type state struct {
	file     *config.Config
	remote   *remote                              // what Consul says; nil when it is not asked
	found    map[source.Service][]source.Instance // in Consul's catalogue
	late     map[source.Service]late              // what it has since, and cannot be in force
	refused  map[string]string                    // endpoints of these that may not be used, and why
	base     *config.Config                       // all of these: what lies beneath the operators' words
	held     map[string]hold                      // by route; switches that wait for their pools
	said     Overrides                            // by operators
	edited   map[string]mask                      // by route; the last change beneath what has the say
	previous map[string]config.Override           // per route, what was wanted before what is wanted now
	wanted   *config.Config                       // file, holds and overrides, merged
	table    *router.Table                        // of revision: what is wanted, without what is drained
	revision Revision
	past     []past // the newest last, revision included
	reload   Reload
	memory   Memory
}

// withFile is the state with another file below, if that file may be reloaded and leaves every override valid. The drain of a
// pool or an endpoint that has left the file has served its purpose.
func (s *state) withFile(c *config.Config) (*state, error) {
	if s.file != nil {
		if faults := s.file.RestartNeeded(c); len(faults) > 0 {
			return nil, faults
		}
	}
	next := *s
	next.file = c
	if faults := next.rebase(); len(faults) > 0 {
		return nil, faults
	}
	next.said.Drained = known(s.said.Drained, next.base)
	return &next, nil
}

// rebase lays everything beneath the operators' words anew. The faults are what was in force above the file and could be no more.
func (s *state) rebase() (faults config.Faults) {
	base := s.file
	if s.remote != nil {
		before := s.remote
		base, s.remote = before.over(s.file, &s.said, time.Now())
		for _, lost := range s.remote.lost(before) {
			faults = append(faults, config.Fault{
				At: config.Position{File: "consul"}, What: "a key would no longer be valid: " + lost, Remedy: "change or delete the key first, then reload",
			})
		}
	}
	var members config.Members
	members, s.refused = s.memberships(base)
	s.base = config.WithMembers(base, members)
	return append(faults, s.said.conflicts(s.base, s.remote != nil)...)
}

// withOverride is the state with the operator's word on a route replaced; nil takes it back. Either way she has decided, and
// nothing of the route is held any more.
func (s *state) withOverride(route string, o *config.Override) *state {
	next := *s
	next.said.Routes = with(s.said.Routes, route, o)
	next.held, next.edited = maps.Clone(s.held), maps.Clone(s.edited)
	delete(next.held, route)
	delete(next.edited, route)
	return &next
}

// withDrain is the state with a pool or an endpoint drained; nil undrains it.
func (s *state) withDrain(name string, o *config.Override) *state {
	next := *s
	next.said.Drained = with(s.said.Drained, name, o)
	return &next
}

// without is the state without the overrides that have ended by now, and which those are, in words.
func (s *state) without(now time.Time) (next *state, ended string) {
	left := *s
	var routes, drains []string
	left.said.Routes, routes = alive(s.said.Routes, now)
	left.said.Drained, drains = alive(s.said.Drained, now)
	left.edited = maps.Clone(s.edited)
	for _, route := range routes {
		delete(left.edited, route)
	}
	for _, name := range drains {
		routes = append(routes, "drain of "+name)
	}
	return &left, strings.Join(routes, ", ")
}

// merge lays all layers over each other: wanted is what file and operators say of the routes, merged is that without drained
// pools and endpoints.
func (s *state) merge() (wanted, merged *config.Config, err error) {
	layers := append([]config.Layer{s.remote.layer()}, holding(s.held)...)
	if wanted, err = config.Merge(s.base, append(layers, s.said.layer())...); err != nil {
		return nil, nil, err
	}
	drained, err := drain(wanted, s.said.Drained)
	if err != nil {
		return nil, nil, err
	}
	if merged, err = config.Merge(wanted, drained); err != nil {
		return nil, nil, err
	}
	return wanted, config.Drain(merged, outOf(s.said.Drained)), nil
}

// became records the table that is now in force.
func (s *state) became(t *router.Table, wanted *config.Config, r Revision) {
	var before map[string]*config.Route
	if s.table != nil {
		before = s.wanted.Routes
	}
	s.previous = remember(s.previous, before, wanted.Routes)
	s.past = record(s.past, past{r, choices(wanted)})
	s.wanted, s.table, s.revision = wanted, t, r
}

// route is the route of that name; config knows the one that was probably meant.
func (s *state) route(name string) (*config.Route, error) {
	if r := s.wanted.Routes[name]; r != nil {
		return r, nil
	}
	fault := refusals(s.wanted, name, config.Override{})[0]
	return nil, fmt.Errorf("%w %q; %s", ErrUnknownRoute, name, fault.Remedy)
}
