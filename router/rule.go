package router

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// rule is what a request must say besides host and path. Routes that differ in the model alone share one, so that a
// thousand models on one path cost one look at a map.
type rule struct {
	headers []condition // by name
	methods []string    // sorted; none: any
	models  map[string]*Route
	route   *Route // when models is nil: whatever the model
}

// condition is what a field must say: exactly value, or anything when that is "*".
type condition struct{ name, value string }

// holds reports whether a request fulfils all but the model.
func (r *rule) holds(method []byte, f Fields) bool {
	return r.allows(method) && r.describes(f)
}

func (r *rule) allows(method []byte) bool {
	return len(r.methods) == 0 || slices.ContainsFunc(r.methods, func(m string) bool { return string(method) == m })
}

func (r *rule) describes(f Fields) bool {
	for i := range r.headers {
		c := &r.headers[i]
		if value := f.Get(c.name); value == nil || c.value != "*" && string(value) != c.value {
			return false
		}
	}
	return true
}

// add puts a route into the rule of its conditions. It returns the route that has the same conditions already.
func (n *node) add(route *Route) (rival *Route) {
	match := &route.Config.Match
	rule := n.rule(conditions(match.Headers), slices.Compact(slices.Sorted(slices.Values(match.Methods))), match.Model != "")
	if rule.models == nil {
		rival = rule.route
		rule.route = cmp.Or(rival, route)
		return rival
	}
	rival = rule.models[match.Model]
	rule.models[match.Model] = cmp.Or(rival, route)
	return rival
}

func conditions(headers map[string]string) (all []condition) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		all = append(all, condition{name, headers[name]})
	}
	return all
}

// rule is the rule of these conditions, made when it is new.
func (n *node) rule(headers []condition, methods []string, byModel bool) *rule {
	for _, r := range n.rules {
		if (r.models != nil) == byModel && slices.Equal(r.headers, headers) && slices.Equal(r.methods, methods) {
			return r
		}
	}
	r := &rule{headers: headers, methods: methods}
	if byModel {
		r.models = map[string]*Route{}
	}
	n.rules = append(n.rules, r)
	return r
}

// sort puts the most specific rule first. Rules that are equally specific keep the order of their first routes' names.
func (n *node) sort() { slices.SortStableFunc(n.rules, specificity) }

// specificity orders rules: more header conditions, more of them with a value, fewer methods, a model.
func specificity(a, b *rule) int {
	return cmp.Or(
		cmp.Compare(len(b.headers), len(a.headers)),
		cmp.Compare(b.values(), a.values()),
		cmp.Compare(a.breadth(), b.breadth()),
		cmp.Compare(a.unmodelled(), b.unmodelled()),
	)
}

// values is how many headers must have one value.
func (r *rule) values() (n int) {
	for _, c := range r.headers {
		if c.value != "*" {
			n++
		}
	}
	return n
}

// breadth is how many methods the rule allows.
func (r *rule) breadth() int {
	if len(r.methods) == 0 {
		return math.MaxInt
	}
	return len(r.methods)
}

func (r *rule) unmodelled() int {
	if r.models != nil {
		return 0
	}
	return 1
}
