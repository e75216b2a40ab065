package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mlproxy/config"
)

// What a config changes, in words: what routes do with their traffic first, a route a line, then everything else, a value a line.

const (
	longestValue = 200 // bytes of a value that are told
	mostChanges  = 100 // lines of a revision that are told
)

// differences are all changes from before to after; before is nil at the start, when only routes are told.
func differences(before, after *config.Config) []string {
	if before == nil {
		return routeChanges(nil, after.Routes)
	}
	changes := routeChanges(before.Routes, after.Routes)
	for _, c := range config.Diff(apart(before, after)) {
		changes = append(changes, change(c))
	}
	return append(changes, drainChanges(drainedIn(before), drainedIn(after))...)
}

// drainChanges are the endpoints that were drained, and those that are drained no more.
func drainChanges(before, after map[string]bool) (changes []string) {
	for _, url := range slices.Sorted(maps.Keys(union(before, after))) {
		switch {
		case !before[url]:
			changes = append(changes, "endpoint "+url+": drained")
		case !after[url]:
			changes = append(changes, "endpoint "+url+": drained no more")
		}
	}
	return changes
}

// drainedIn are the drained endpoints of a config.
func drainedIn(c *config.Config) map[string]bool {
	urls := map[string]bool{}
	for _, p := range c.Pools {
		for _, e := range p.Endpoints {
			if e.Drained {
				urls[e.URL] = true
			}
		}
	}
	return urls
}

// apart are the configs without what routeChanges tells of: routes that come or go, and what the others do with their traffic.
func apart(before, after *config.Config) (was, is *config.Config) {
	old, now := *before, *after
	old.Routes, now.Routes = map[string]*config.Route{}, map[string]*config.Route{}
	for name, r := range after.Routes {
		b := before.Routes[name]
		if b == nil {
			continue
		}
		alike := *b
		switch {
		case b.Split != nil && r.Split != nil:
			alike.Split = r.Split
		case b.BlueGreen != nil && r.BlueGreen != nil:
			blueGreen := *b.BlueGreen
			blueGreen.Active = r.BlueGreen.Active
			alike.BlueGreen = &blueGreen
		}
		old.Routes[name], now.Routes[name] = &alike, r
	}
	return &old, &now
}

// brief is the first of many changes.
func brief(changes []string) []string {
	if more := len(changes) - mostChanges; more > 0 {
		return append(slices.Clone(changes[:mostChanges]), fmt.Sprintf("and %d more", more))
	}
	return changes
}

// routeChanges are the routes whose choice changed, and those that came and went.
func routeChanges(before, after map[string]*config.Route) (changes []string) {
	for _, name := range slices.Sorted(maps.Keys(after)) {
		was, is := before[name], after[name]
		switch {
		case was == nil:
			changes = append(changes, fmt.Sprintf("%s: new (%s)", name, text(choice(is))))
		case !equal(choice(was), choice(is)):
			changes = append(changes, fmt.Sprintf("%s: (%s) -> (%s)", name, text(choice(was)), text(choice(is))))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if after[name] == nil {
			changes = append(changes, name+": gone")
		}
	}
	return changes
}

// change is one difference in words.
func change(c config.Change) string {
	switch {
	case c.Was == "":
		return fmt.Sprintf("%s: new %s", c.Path, short(c.Is))
	case c.Is == "":
		return c.Path + ": gone"
	}
	return fmt.Sprintf("%s: %s -> %s", c.Path, short(c.Was), short(c.Is))
}

func short(value string) string {
	if len(value) <= longestValue {
		return value
	}
	return strings.ToValidUTF8(value[:longestValue], "") + "..."
}
