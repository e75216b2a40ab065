package router

import (
	"bytes"
	"slices"
	"strings"
)

// index finds the rules that may hold for a request, the most specific first. Hosts form chains: from "a.b.com" by way of
// "*.b.com" and "*.com" to the routes that name no host. Within a host, paths do: from "/v1/x" by way of the prefixes "/v1/" and
// "/" to the routes that name no path. What follows what is known beforehand, so that a request looks up where its chain
// begins, in a map, and then walks. The cost does not depend on the number of routes.
type index struct {
	hosts map[string]*site // "a.b.com"
	wild  map[string]*site // ".b.com" for "*.b.com"
	rest  *site            // of routes that name no host
}

// site is all the routes of one host or host pattern.
type site struct {
	paths   map[string]*node // exact paths, and prefixes, which end in "/"
	lengths []int            // of the prefixes, the longest first
	rest    *node            // of routes that name no path
	wider   *site            // the next less specific; nil at the end
}

// node is all the routes of one path at one site.
type node struct {
	rules []*rule // the most specific first
	wider *node   // the next less specific of the same site; nil at the end
}

// longestHost is what the DNS allows.
const longestHost = 253

// find is the most specific site that a host belongs to.
func (x *index) find(host []byte) *site {
	host = bytes.TrimSuffix(withoutPort(host), []byte{'.'})
	if len(host) > longestHost {
		return x.rest
	}
	for _, c := range host {
		if 'A' <= c && c <= 'Z' {
			return x.findMixed(host)
		}
	}
	return x.findLower(host)
}

func withoutPort(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

func (x *index) findMixed(host []byte) *site {
	var room [longestHost]byte
	lower := room[:copy(room[:], host)]
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c | 0x20
		}
	}
	return x.findLower(lower)
}

func (x *index) findLower(host []byte) *site {
	if s := x.hosts[string(host)]; s != nil {
		return s
	}
	return x.covering(host)
}

// covering is the site of the longest pattern that covers host; of a pattern without its star, the next shorter pattern.
func (x *index) covering(host []byte) *site {
	if len(x.wild) == 0 {
		return x.rest
	}
	for i := 1; i < len(host); i++ {
		if host[i] != '.' {
			continue
		}
		if s := x.wild[string(host[i:])]; s != nil {
			return s
		}
	}
	return x.rest
}

// find is the most specific node that a path belongs to.
func (s *site) find(path []byte) *node {
	if n := s.paths[string(path)]; n != nil {
		return n
	}
	return s.under(path)
}

// under is the node of the longest prefix that is shorter than path.
func (s *site) under(path []byte) *node {
	for _, l := range s.lengths {
		if l >= len(path) || path[l-1] != '/' {
			continue
		}
		if n := s.paths[string(path[:l])]; n != nil {
			return n
		}
	}
	return s.rest
}

// build makes the index of routes, which are sorted by name. It returns the routes that match nothing but what another,
// the value, matches as specifically.
func (x *index) build(routes []*Route) map[*Route]*Route {
	*x = index{hosts: map[string]*site{}, wild: map[string]*site{}, rest: newSite()}
	rivals := map[*Route]*Route{}
	for _, r := range routes {
		for _, s := range x.sites(r.Config.Match.Hosts) {
			if rival := s.node(r.Config.Match.Path).add(r); rival != nil && rival != r {
				rivals[r] = rival
			}
		}
	}
	x.link()
	return rivals
}

// sites are the sites of host patterns, made when they are new.
func (x *index) sites(patterns []string) (all []*site) {
	if len(patterns) == 0 {
		return []*site{x.rest}
	}
	for _, pattern := range patterns {
		sites, key := x.hosts, pattern
		if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
			sites, key = x.wild, suffix
		}
		if sites[key] == nil {
			sites[key] = newSite()
		}
		all = append(all, sites[key])
	}
	return all
}

func newSite() *site { return &site{paths: map[string]*node{}, rest: &node{}} }

// node is the node of a path, made when it is new.
func (s *site) node(path string) *node {
	if path == "" {
		return s.rest
	}
	n := s.paths[path]
	if n == nil {
		n = &node{}
		s.paths[path] = n
		if strings.HasSuffix(path, "/") && !slices.Contains(s.lengths, len(path)) {
			s.lengths = append(s.lengths, len(path))
		}
	}
	return n
}

// link ties sites and nodes into chains.
func (x *index) link() {
	x.rest.link()
	for _, sites := range []map[string]*site{x.hosts, x.wild} {
		for host, s := range sites {
			s.wider = x.covering([]byte(host))
			s.link()
		}
	}
}

func (s *site) link() {
	slices.SortFunc(s.lengths, func(a, b int) int { return b - a })
	s.rest.sort()
	for path, n := range s.paths {
		n.wider = s.under([]byte(path))
		n.sort()
	}
}
