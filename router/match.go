package router

import "bytes"

// Match is the answer to which route a request is for.
type Match struct {
	// Route is nil when no route matches, and when the body must be read first.
	Route *Route
	// NeedsModel says that the most specific routes left want to know the body's "model": ask Model.
	NeedsModel bool

	at           cursor
	method, path []byte
	fields       Fields
}

// cursor is a place in the walk from the most specific rule to the least.
type cursor struct {
	site *site
	node *node
	rule int
}

// Match finds the most specific route whose conditions all hold. More specific is, in this order: an exact host, a longer
// pattern of hosts; an exact path, a longer prefix; more header conditions, more of them with a value; fewer methods; a
// model. docs/routing.md has examples.
//
// host is compared in lower case without port and final dot, path byte by byte up to the "?". The match holds on to method,
// path and fields until it is dropped.
func (t *Table) Match(host, method, path []byte, f Fields) Match {
	if query := bytes.IndexByte(path, '?'); query >= 0 {
		path = path[:query]
	}
	m := Match{method: method, path: path, fields: f}
	m.at.site = t.index.find(host)
	m.at.node = m.at.site.find(path)
	m.walk(nil, false)
	return m
}

// Model is the route for a request whose body names that model; nil or empty when it names none. The route is nil when none matches.
func (m *Match) Model(model []byte) *Route {
	if m.NeedsModel {
		m.NeedsModel = false
		m.walk(model, true)
	}
	return m.Route
}

// walk goes on to the first rule that holds, or that hangs on a model which is not known yet.
func (m *Match) walk(model []byte, known bool) {
	for r := m.at.settle(m.path); r != nil; r = m.at.next(m.path) {
		if !r.holds(m.method, m.fields) {
			continue
		}
		if r.models == nil {
			m.Route = r.route
			return
		}
		if m.NeedsModel = !known; m.NeedsModel {
			return
		}
		if m.Route = r.models[string(model)]; m.Route != nil {
			return
		}
	}
}

// next steps to the rule after this one and returns it; nil after the last.
func (c *cursor) next(path []byte) *rule {
	c.rule++
	return c.settle(path)
}

// settle returns the rule at the cursor, or the first one after it when the node has no more.
func (c *cursor) settle(path []byte) *rule {
	for c.rule >= len(c.node.rules) {
		c.rule = 0
		if c.node = c.node.wider; c.node != nil {
			continue
		}
		if c.site = c.site.wider; c.site == nil {
			return nil
		}
		c.node = c.site.find(path)
	}
	return c.node.rules[c.rule]
}
