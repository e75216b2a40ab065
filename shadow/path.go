package shadow

import (
	"strconv"
	"strings"
)

// path is a pattern of places in a JSON document, as the config writes it: names and numbers with dots between them, a dot
// within a name as "\.". "#" stands for any place in a list, "*" for any place in a list or any member.
type path []string

func newPath(s string) path {
	var p path
	name := ""
	for rest := s; ; {
		i := strings.IndexAny(rest, `.\`)
		switch {
		case i < 0:
			return append(p, name+rest)
		case rest[i] == '\\' && i+1 < len(rest):
			name += rest[:i] + rest[i+1:i+2]
			rest = rest[i+2:]
		case rest[i] == '\\':
			return append(p, name+rest)
		default:
			p, name, rest = append(p, name+rest[:i]), "", rest[i+1:]
		}
	}
}

func newPaths(texts []string) []path {
	paths := make([]path, len(texts))
	for i, s := range texts {
		paths[i] = newPath(s)
	}
	return paths
}

// place is one step into a document: to a member, to the element at an index of a list, or to one of a list whose elements
// have names, which may be called by either.
type place struct {
	name  []byte
	index int // -1 = a member
}

func (p *place) is(step string) bool {
	switch {
	case step == "*":
		return true
	case p.index < 0:
		return step == string(p.name)
	case step == "#" || p.name != nil && step == string(p.name):
		return true
	}
	n, err := strconv.Atoi(step)
	return err == nil && n == p.index
}

// leadsTo says whether the path is the one of these places.
func (p path) leadsTo(places []place) bool {
	if len(p) != len(places) {
		return false
	}
	for i := range places {
		if !places[i].is(p[i]) {
			return false
		}
	}
	return true
}

// appendField appends the places as people read them: elements without a name are all called "#".
func appendField(dst []byte, places []place) []byte {
	for i, p := range places {
		if i > 0 {
			dst = append(dst, '.')
		}
		if p.name == nil {
			dst = append(dst, '#')
		} else {
			dst = append(dst, p.name...)
		}
	}
	return dst
}
