package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mlproxy/config"
)

// A choice is what a route does with its traffic, as a config.Override: a split, or the active one of blue and green.

// choice is what is in force on a route.
func choice(r *config.Route) config.Override {
	switch {
	case r == nil:
		return config.Override{}
	case r.BlueGreen != nil:
		return config.Override{Active: r.BlueGreen.Active}
	default:
		return config.Override{Split: r.Split}
	}
}

func equal(a, b config.Override) bool { return a.Active == b.Active && maps.Equal(a.Split, b.Split) }

// text is a choice as a person would write it.
func text(o config.Override) string {
	if o.Split == nil {
		return o.Active
	}
	parts := make([]string, 0, len(o.Split))
	for _, pool := range slices.Sorted(maps.Keys(o.Split)) {
		parts = append(parts, fmt.Sprintf("%s: %g", pool, o.Split[pool]))
	}
	return strings.Join(parts, ", ")
}

// remember is what each route would roll back to, now that after has followed before. A route that turned from a split
// into blue/green, or went away, has nothing.
func remember(previous map[string]config.Override, before, after map[string]*config.Route) map[string]config.Override {
	next := make(map[string]config.Override, len(previous))
	for name, is := range after {
		was := before[name]
		switch {
		case was == nil || (was.BlueGreen == nil) != (is.BlueGreen == nil):
		case !equal(choice(was), choice(is)):
			next[name] = choice(was)
		default:
			if p, ok := previous[name]; ok {
				next[name] = p
			}
		}
	}
	return next
}

// revive makes a previous choice fit the route as it is now: pools that joined the split since get nothing; a pool that had
// traffic and left, gone, makes it impossible.
func revive(previous config.Override, now *config.Route) (fit config.Override, gone string) {
	if previous.Split == nil {
		return previous, ""
	}
	split := make(config.Weights, len(now.Split))
	for pool := range now.Split {
		split[pool] = previous.Split[pool]
	}
	for _, pool := range slices.Sorted(maps.Keys(previous.Split)) {
		if _, there := now.Split[pool]; !there && previous.Split[pool] > 0 {
			return config.Override{}, pool
		}
	}
	return config.Override{Split: split}, ""
}
