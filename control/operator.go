package control

import (
	"context"
	"fmt"
	"time"

	"mlproxy/config"
	"mlproxy/router"
)

// reachable is how long a pool may take to show that it can be connected to before a switch to it is refused.
const reachable = time.Second

// Change says which route an operator wants changed, who asks, and under which conditions.
type Change struct {
	Route          string
	Author, Reason string
	// Force switches even to a pool that cannot be reached.
	Force bool
	// If is the revision the caller has looked at; any other is ErrStale. 0 accepts any.
	If int64
}

// order is a command on its way to the loop. plan is pure: it says what the override becomes (nil removes it).
type order struct {
	Change
	plan    func(*state) (*setting, error)
	outcome chan<- outcome
}

// outcome is what became of an order: the revision in force after it, or why nothing changed.
type outcome struct {
	revision Revision
	err      error
}

// SetSplit divides the route's traffic anew. The split must name every pool of the layer below.
func (l *Loop) SetSplit(ctx context.Context, c Change, split config.Weights) (Revision, error) {
	return l.order(ctx, c, func(*state) (*setting, error) { return c.sets(config.Override{Split: split}), nil })
}

// SetActive makes the blue or the green pool the active one, if it can be reached or the change is forced.
func (l *Loop) SetActive(ctx context.Context, c Change, active string) (Revision, error) {
	if err := l.fit(ctx, c, config.Override{Active: active}); err != nil {
		return Revision{}, err
	}
	return l.order(ctx, c, func(*state) (*setting, error) { return c.sets(config.Override{Active: active}), nil })
}

// Rollback returns the route to its previous split or active pool, so that a second rollback takes back the first. If the
// layer below says the same, the override is removed rather than replaced.
func (l *Loop) Rollback(ctx context.Context, c Change) (Revision, error) {
	seen := l.state.Load()
	target, err := seen.target(c.Route)
	if err != nil {
		return Revision{}, err
	}
	if err := l.fit(ctx, c, target); err != nil {
		return Revision{}, err
	}
	return l.order(ctx, c, func(s *state) (*setting, error) {
		now, err := s.target(c.Route)
		switch {
		case err != nil:
			return nil, err
		case !equal(now, target):
			return nil, fmt.Errorf("%w; look at the status, then roll back again", ErrStale)
		case equal(now, choice(s.file.Routes[c.Route])):
			return nil, nil
		}
		return c.sets(now), nil
	})
}

// RemoveOverride takes the operator's word on a route back: the config file decides again.
func (l *Loop) RemoveOverride(ctx context.Context, c Change) (Revision, error) {
	return l.order(ctx, c, func(s *state) (*setting, error) {
		if _, ok := s.operator[c.Route]; !ok {
			return nil, fmt.Errorf("%w: route %q is as the config file says", ErrNoOverride, c.Route)
		}
		return nil, nil
	})
}

// order has the loop carry out a change, and returns the revision in force afterwards.
func (l *Loop) order(ctx context.Context, c Change, plan func(*state) (*setting, error)) (Revision, error) {
	reply := make(chan outcome, 1)
	select {
	case l.orders <- order{c, plan, reply}:
	case <-l.stopped:
		return Revision{}, ErrStopped
	case <-ctx.Done():
		return Revision{}, ctx.Err()
	}
	became := <-reply
	return became.revision, became.err
}

// obey carries out one order.
func (l *Loop) obey(o *order) (Revision, error) {
	now := l.state.Load()
	if _, err := now.route(o.Route); err != nil {
		return Revision{}, err
	}
	if o.If != 0 && o.If != now.revision.Number {
		return Revision{}, fmt.Errorf("%w: revision %d is in force, not %d; look at the status, then decide again", ErrStale, now.revision.Number, o.If)
	}
	override, err := o.plan(now)
	if err != nil {
		return Revision{}, err
	}
	err = l.apply(now.withOverride(o.Route, override), Revision{Origin: operator, Author: o.Author, Reason: o.Reason})
	return l.state.Load().revision, err
}

// sets is the override a change wants.
func (c *Change) sets(o config.Override) *setting {
	return &setting{Override: o, Author: c.Author, Reason: c.Reason, Since: time.Now()}
}

// route is the route in force of that name; config knows the one that was probably meant.
func (s *state) route(name string) (*config.Route, error) {
	if r := s.table.Config().Routes[name]; r != nil {
		return r, nil
	}
	fault := refusals(s.table.Config(), name, config.Override{})[0]
	return nil, fmt.Errorf("%w %q; %s", ErrUnknownRoute, name, fault.Remedy)
}

// target is what the route would roll back to.
func (s *state) target(route string) (config.Override, error) {
	now, err := s.route(route)
	if err != nil {
		return config.Override{}, err
	}
	previous, ok := s.previous[route]
	if !ok {
		return config.Override{}, fmt.Errorf("%w: route %q has not changed since mlproxy started; set what you want", ErrNoPrevious, route)
	}
	return revive(previous, now)
}

// fit tries the pool that a blue/green choice would make active. It runs in the caller's goroutine: a pool that hangs must
// not hold up the loop. A choice that is wrong in itself is left for the merge to explain.
func (l *Loop) fit(ctx context.Context, c Change, o config.Override) error {
	s := l.state.Load()
	r, err := s.route(c.Route)
	if err != nil {
		return err
	}
	if c.Force || r.BlueGreen == nil || o.Active != "blue" && o.Active != "green" {
		return nil
	}
	to := config.BlueGreen{Blue: r.BlueGreen.Blue, Green: r.BlueGreen.Green, Active: o.Active}
	ctx, cancel := context.WithTimeout(ctx, reachable)
	defer cancel()
	if err := pool(s.table, to.ActivePool()).Reach(ctx); err != nil {
		return fmt.Errorf("%w: %w; or force the switch", ErrUnfit, err)
	}
	return nil
}

// pool is the table's pool of that name, which its config has checked to exist.
func pool(t *router.Table, name string) *router.Pool {
	for _, p := range t.Pools() {
		if p.Name == name {
			return p
		}
	}
	panic("control: the table lacks pool " + name)
}
