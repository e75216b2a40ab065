package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"mlproxy/config"
	"mlproxy/router"
)

// reachable is how long a pool may take to show that it is ready before a switch to it is refused.
const reachable = time.Second

// Change says which route an operator wants changed, who asks, and under which conditions.
type Change struct {
	Route          string
	Author, Reason string
	// Force switches even to a pool that cannot serve.
	Force bool
	// TTL is how long the change lasts; 0 = until it is taken back.
	TTL time.Duration
	// Local changes this proxy alone, not its fleet.
	Local bool
	// If is the revision the caller has looked at; any other is ErrStale. 0 accepts any.
	If int64
}

// order is a command on its way to the loop. plan is pure: it says what the state becomes.
type order struct {
	by      Revision // origin, author and reason of the revision to come
	onlyIf  int64    // revision that must be in force; 0 for any
	shared  bool     // what it says of routes is for the fleet
	plan    func(*state) (*state, error)
	outcome chan outcome
}

// outcome is what became of an order: the revision in force after it, or why nothing changed.
type outcome struct {
	revision Revision
	writes   []write // what has to be written to Consul for the order to be carried out
	err      error
}

// SetSplit divides the route's traffic anew. The split must name every pool of the layer below.
func (l *Loop) SetSplit(ctx context.Context, c Change, split config.Weights) (Revision, error) {
	return l.override(ctx, c, config.Override{Split: split})
}

// SetActive makes the blue or the green pool the active one, if it can be reached or the change is forced.
func (l *Loop) SetActive(ctx context.Context, c Change, active string) (Revision, error) {
	o := config.Override{Active: active}
	if err := l.fit(ctx, c, o); err != nil {
		return Revision{}, err
	}
	return l.override(ctx, c, o)
}

// override lays the operator's word over the route's.
func (l *Loop) override(ctx context.Context, c Change, o config.Override) (Revision, error) {
	return l.order(ctx, c, func(s *state) (*state, error) {
		if _, err := s.route(c.Route); err != nil {
			return nil, err
		}
		return s.withOverride(c.Route, c.says(o)), nil
	})
}

// Rollback returns the route to its previous split or active pool, so that a second rollback takes back the first. If the
// layer below says the same, the override is removed rather than replaced.
func (l *Loop) Rollback(ctx context.Context, c Change) (Revision, error) {
	target, err := l.state.Load().target(c.Route)
	if err != nil {
		return Revision{}, err
	}
	if err := l.fit(ctx, c, target); err != nil {
		return Revision{}, err
	}
	return l.order(ctx, c, func(s *state) (*state, error) {
		now, err := s.target(c.Route)
		if err != nil {
			return nil, err
		}
		if !equal(now, target) {
			return nil, fmt.Errorf("%w; look at the status, then roll back again", ErrStale)
		}
		return s.choosing(c.Route, now, &c), nil
	})
}

// RemoveOverride takes the operator's word on a route back: the layer below decides again. Where that switches the route to another
// pool, it must be reachable or the change forced.
func (l *Loop) RemoveOverride(ctx context.Context, c Change) (Revision, error) {
	s := l.state.Load()
	if l.shares(&c) {
		s = s.shared()
	}
	if err := s.overridden(c.Route); err != nil {
		return Revision{}, elsewhere(err, l.state.Load(), &c)
	}
	if err := l.fit(ctx, c, choice(s.base.Routes[c.Route])); err != nil {
		return Revision{}, err
	}
	return l.order(ctx, c, func(s *state) (*state, error) {
		if err := s.overridden(c.Route); err != nil {
			return nil, err
		}
		return s.withOverride(c.Route, nil), nil
	})
}

func (s *state) overridden(route string) error {
	if _, err := s.route(route); err != nil {
		return err
	}
	if _, is := s.said.Routes[route]; !is {
		return fmt.Errorf("%w: route %q is as %s says", ErrNoOverride, route, layerOf(s.wanted.Routes[route].Source))
	}
	return nil
}

// layerOf is who says something, as one speaks of them.
func layerOf(s config.Source) string {
	if s.Origin == config.FromFile {
		return "the config file"
	}
	return s.Words()
}

// elsewhere adds to ErrNoOverride that there is one, but of this proxy alone and not of the fleet, or the other way round.
func elsewhere(err error, s *state, c *Change) error {
	_, alone := s.said.Routes[c.Route]
	_, fleet := s.remote.layer().Routes[c.Route]
	switch {
	case !errors.Is(err, ErrNoOverride):
		return err
	case alone && !c.Local:
		return fmt.Errorf("%w of the fleet: that of route %q is this proxy's alone; %s", ErrNoOverride, c.Route, removal(c.Route, true))
	case fleet && c.Local:
		return fmt.Errorf("%w of this proxy alone: that of route %q is the fleet's; %s", ErrNoOverride, c.Route, removal(c.Route, false))
	}
	return err
}

// order has the loop carry out an operator's change, and returns the revision in force afterwards.
func (l *Loop) order(ctx context.Context, c Change, plan func(*state) (*state, error)) (Revision, error) {
	by := Revision{Origin: operator, Author: c.Author, Reason: c.Reason}
	became := l.ask(ctx, order{by: by, onlyIf: c.If, shared: l.shares(&c), plan: plan})
	if became.err != nil || len(became.writes) == 0 {
		return became.revision, became.err
	}
	return l.share(ctx, c, became.writes)
}

// send is ask for orders about this proxy alone.
func (l *Loop) send(ctx context.Context, o order) error { return l.ask(ctx, o).err }

func (l *Loop) ask(ctx context.Context, o order) outcome {
	o.outcome = make(chan outcome, 1)
	select {
	case l.orders <- o:
	case <-l.stopped:
		return outcome{err: ErrStopped}
	case <-ctx.Done():
		return outcome{err: ctx.Err()}
	}
	return <-o.outcome
}

// obey carries out one order.
func (l *Loop) obey(o *order) (became outcome) {
	now := l.state.Load()
	if o.onlyIf != 0 && o.onlyIf != now.revision.Number {
		became.err = fmt.Errorf("%w: revision %d is in force, not %d; look at the status, then decide again", ErrStale, now.revision.Number, o.onlyIf)
		return became
	}
	if o.shared {
		became.writes, became.err = l.draft(now, o)
	} else {
		became.err = l.carryOut(now, o)
	}
	became.revision = l.state.Load().revision
	return became
}

func (l *Loop) carryOut(now *state, o *order) error {
	next, err := o.plan(now)
	if err != nil {
		return err
	}
	return l.apply(next, o.by, l.keep)
}

// says is the override a change wants.
func (c *Change) says(o config.Override) *config.Override {
	set := &config.Override{Split: o.Split, Active: o.Active, Author: c.Author, Reason: c.Reason, Time: moment()}
	if c.TTL > 0 {
		set.Expires = set.Time.Add(c.TTL)
	}
	return set
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
	target, gone := revive(previous, now)
	if gone != "" {
		return target, fmt.Errorf("%w: the previous split (%s) names pool %q, which route %q no longer has; set the split you want",
			ErrNoPrevious, text(previous), gone, route)
	}
	return target, nil
}

// fit tries the pool that a blue/green choice would make active. It runs in the caller's goroutine: a pool that hangs must
// not hold up the loop. A choice that is wrong in itself is left for the merge to explain.
func (l *Loop) fit(ctx context.Context, c Change, o config.Override) error {
	s := l.state.Load()
	r, err := s.route(c.Route)
	if err != nil {
		return err
	}
	if c.Force || r.BlueGreen == nil || o.Active == r.BlueGreen.Active || o.Active != "blue" && o.Active != "green" {
		return nil
	}
	to := config.BlueGreen{Blue: r.BlueGreen.Blue, Green: r.BlueGreen.Green, Active: o.Active}
	ctx, cancel := context.WithTimeout(ctx, reachable)
	defer cancel()
	if err := ready(ctx, pool(s.table, to.ActivePool())); err != nil {
		return fmt.Errorf("%w: %w; or force the switch", ErrUnfit, err)
	}
	return nil
}

// fitAll tries the pools of all blue/green choices.
func (l *Loop) fitAll(ctx context.Context, c Change, targets map[string]config.Override) error {
	for _, route := range slices.Sorted(maps.Keys(targets)) {
		c.Route = route
		if err := l.fit(ctx, c, targets[route]); err != nil {
			return fmt.Errorf("route %q: %w", route, err)
		}
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
