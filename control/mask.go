package control

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"mlproxy/config"
)

// mask is a change of a route that has no effect, because a layer above has the say.
type mask struct {
	route string
	from  config.Source   // of the change
	says  config.Override // what would be in force
	by    config.Source   // of what is in force instead
	above config.Override // what that says
	local bool            // by was said to this proxy alone, though there is a fleet
	since time.Time
}

func (m *mask) String() string {
	by := m.by.Words()
	if m.by.Origin == operator {
		by = "the operator's"
	}
	return fmt.Sprintf("%s: (%s) is masked by %s (%s)", m.route, text(m.says), by, text(m.above))
}

// remedy says how the change comes into force.
func (m *mask) remedy() string {
	if m.by.Origin == operator {
		return removal(m.route, m.local)
	}
	return "change or delete the key " + m.by.Key
}

// masked are the changes from one state to the next that have no effect: of the file, where Consul or an operator has overridden the
// route, and of Consul's keys, where an operator has.
func masked(now, next *state) (masks []mask) {
	for _, route := range slices.Sorted(maps.Keys(next.base.Routes)) {
		was, is := now.base.Routes[route], next.base.Routes[route]
		wasFile, isFile := choice(now.file.Routes[route]), choice(next.file.Routes[route])
		set, overridden := next.overriding(route)
		switch {
		case overridden && !equal(choice(was), choice(is)):
			set.from, set.says = is.Source, choice(is)
			masks = append(masks, set)
		case is.Origin == consul && !equal(wasFile, isFile):
			masks = append(masks, mask{
				route: route, from: config.Source{Origin: config.FromFile}, says: isFile, by: is.Source, above: choice(is), since: time.Now(),
			})
		}
	}
	return masks
}

// overriding is the mask that an operator lays over whatever is said of the route; false = none.
func (s *state) overriding(route string) (m mask, is bool) {
	set, is := s.overrides().Routes[route]
	_, alone := s.said.Routes[route]
	by := config.Source{Origin: operator, Key: set.Key, Index: set.Index}
	return mask{route: route, by: by, above: set, local: alone && s.remote != nil, since: time.Now()}, is
}

// hidden is the last change of a route that has no effect, if that is still so.
func (s *state) hidden(route string) (m mask, is bool) {
	m, is = s.edited[route]
	if !is {
		return m, false
	}
	base := s.base.Routes[route]
	if _, overridden := s.overrides().Routes[route]; overridden && m.from == base.Source {
		return m, equal(m.says, choice(base))
	}
	return m, m.from.Origin == config.FromFile && base.Origin == consul && equal(m.says, choice(s.file.Routes[route]))
}
