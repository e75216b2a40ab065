package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"mlproxy/config"
)

// most is how many revisions are kept.
const most = 50

// past is a revision and what each route did in it, drains apart.
type past struct {
	Revision
	choices map[string]config.Override
}

// record adds a revision; the oldest is forgotten when there are too many.
func record(all []past, p past) []past {
	return append(slices.Clone(all[max(0, len(all)+1-most):]), p)
}

// choices are what all routes of a config do.
func choices(c *config.Config) map[string]config.Override {
	all := make(map[string]config.Override, len(c.Routes))
	for name, r := range c.Routes {
		all[name] = choice(r)
	}
	return all
}

// Revisions are the last 50, the newest first.
func (l *Loop) Revisions() []Revision {
	s := l.state.Load()
	all := make([]Revision, len(s.past))
	for i, p := range s.past {
		all[len(all)-1-i] = p.Revision
	}
	return all
}

// Restore gives every route the split or active pool it had in an earlier revision, by overriding the file where that says
// otherwise and by removing overrides where it does not. Routes that have come since stay as they are; so do drains, and all
// else that the file says. If a route cannot be as it was, nothing is changed, and the error is [config.Faults] with every
// reason. Change.Route is not looked at.
func (l *Loop) Restore(ctx context.Context, c Change, number int64) (Revision, error) {
	seen := l.state.Load()
	targets, err := seen.restored(number)
	if err != nil {
		return Revision{}, err
	}
	if err := l.fitAll(ctx, c, targets); err != nil {
		return Revision{}, err
	}
	return l.order(ctx, c, func(s *state) (*state, error) {
		now, err := s.restored(number)
		if err != nil {
			return nil, err
		}
		if !maps.EqualFunc(now, targets, equal) {
			return nil, fmt.Errorf("%w; look at the status, then restore again", ErrStale)
		}
		for _, route := range slices.Sorted(maps.Keys(now)) {
			s = s.choosing(route, now[route], &c)
		}
		return s, nil
	})
}

// choosing is the state in which a route does as chosen: by no override, if the file says the same; by the one there is, if that does.
func (s *state) choosing(route string, chosen config.Override, c *Change) *state {
	set, overridden := s.said.Routes[route]
	switch {
	case equal(chosen, choice(s.base.Routes[route])):
		return s.withOverride(route, nil)
	case overridden && equal(set, chosen):
		return s
	}
	return s.withOverride(route, c.says(chosen))
}

// restored is what the routes did in a revision, made to fit today's file.
func (s *state) restored(number int64) (map[string]config.Override, error) {
	i := slices.IndexFunc(s.past, func(p past) bool { return p.Number == number })
	if i < 0 {
		return nil, fmt.Errorf("%w %d; kept are %d to %d", ErrUnknownRevision, number, s.past[0].Number, s.revision.Number)
	}
	var faults config.Faults
	targets := map[string]config.Override{}
	for _, name := range slices.Sorted(maps.Keys(s.past[i].choices)) {
		target, err := s.revived(name, s.past[i].choices[name])
		if err != nil {
			at := config.Position{File: fmt.Sprintf("revision %d", number)}
			faults = append(faults, config.Fault{At: at, What: err.Error(), Remedy: "bring it back in the file, or set the other routes one by one"})
			continue
		}
		targets[name] = target
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return targets, nil
}

// revived is an earlier choice as the route can make it today.
func (s *state) revived(name string, was config.Override) (config.Override, error) {
	now := s.wanted.Routes[name]
	switch {
	case now == nil:
		return was, fmt.Errorf("route %q is gone", name)
	case was.Split == nil && now.BlueGreen == nil:
		return was, fmt.Errorf("route %q was blue/green and has a split now", name)
	case was.Split != nil && now.BlueGreen != nil:
		return was, fmt.Errorf("route %q had a split and is blue/green now", name)
	}
	left, gone := revive(was, now)
	if gone != "" {
		return was, fmt.Errorf("route %q sent traffic to pool %q, which it no longer has (%s)", name, gone, text(was))
	}
	return left, nil
}

// moment is the time as it is kept: a wall clock's.
func moment() time.Time { return time.Now().Round(0) }
