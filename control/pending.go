package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mlproxy/config"
	"mlproxy/router"
)

// A switch that nobody waits for, because the file or a key changed or an override ended, must not send a route's traffic to a pool that
// is down. It is held: the route stays where it is until the pool is ready, which is tried every second. An operator's
// switch is refused instead, for she is there to hear it.

const (
	// glance is how long a pool may take to show that it can be reached before a switch to it is held.
	glance = 300 * time.Millisecond
	// again is how often the pools of held switches are tried.
	again = time.Second
)

// hold keeps a blue/green route on a colour.
type hold struct {
	active string    // the colour that stays
	wanted string    // the colour that is to become active
	to     string    // its pool
	since  time.Time // when the switch was asked for
	why    string    // what is wrong with that pool
	by     config.Source
}

// switches are the routes that wanted moves to another pool, as holds that keep them where they are. A route whose pool in force is no
// longer one of its two cannot be held; one whose switch the file forces is not.
func switches(before, wanted *config.Config, held map[string]hold) map[string]hold {
	holds := map[string]hold{}
	for name, r := range wanted.Routes {
		was := before.Routes[name]
		if was == nil || was.BlueGreen == nil || r.BlueGreen == nil {
			continue
		}
		stay, to := colourOf(r.BlueGreen, was.BlueGreen.ActivePool()), r.BlueGreen.ActivePool()
		if stay == "" || stay == r.BlueGreen.Active || r.BlueGreen.Force {
			continue
		}
		h := hold{active: stay, wanted: r.BlueGreen.Active, to: to, since: time.Now(), by: r.Source}
		if old, same := held[name]; same && old.to == to {
			h.since, h.why = old.since, old.why
		}
		holds[name] = h
	}
	return holds
}

// colourOf is blue or green, or empty when the pool is neither.
func colourOf(b *config.BlueGreen, pool string) string {
	switch pool {
	case b.Blue:
		return "blue"
	case b.Green:
		return "green"
	}
	return ""
}

// holding is what the holds say over those whose switches they hold, who have the last word all the same.
func holding(held map[string]hold) (layers []config.Layer) {
	for name, h := range held {
		stays := config.Override{Active: h.active, Key: h.by.Key, Index: h.by.Index}
		layers = append(layers, config.Layer{Origin: h.by.Origin, Routes: map[string]config.Override{name: stays}})
	}
	return layers
}

// settle decides which of the switches from now to next, asked for by nobody who waits, are held. The pools are tried on a table
// of next's own, for they may be new.
func (l *Loop) settle(now, next *state) error {
	if now.wanted == nil {
		return nil
	}
	next.held = nil
	wanted, _, err := next.merge()
	if err != nil {
		return err
	}
	next.held = switches(now.wanted, wanted, now.held)
	if len(next.held) == 0 {
		return nil
	}
	_, merged, err := next.merge()
	if err != nil {
		return err
	}
	table, err := router.Compile(merged, l.estate)
	if err != nil {
		return err
	}
	next.held = try(context.Background(), glance, table, next.held)
	l.tellHeld(now.held, next.held)
	return nil
}

// tellHeld tells of the switches that are held since now.
func (l *Loop) tellHeld(before, held map[string]hold) {
	for _, route := range slices.Sorted(maps.Keys(held)) {
		if h := held[route]; before[route].to != h.to {
			l.log.Warn("a switch is pending: it is made once its pool can serve", "route", route, "pool", h.to, "why", h.why)
		}
	}
}

// try tries the pools of holds, all at once, and returns those that have to stay, with what is wrong.
func try(ctx context.Context, patience time.Duration, t *router.Table, held map[string]hold) map[string]hold {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var tries sync.WaitGroup
	var mu sync.Mutex
	unfit := map[string]hold{}
	for name, h := range held {
		tries.Go(func() {
			if err := ready(ctx, pool(t, h.to)); err != nil {
				h.why = err.Error()
				mu.Lock()
				defer mu.Unlock()
				unfit[name] = h
			}
		})
	}
	tries.Wait()
	return unfit
}

// look tries the pools of held switches beside the loop, for a pool that hangs must not hold it up, and has the loop make the
// switches whose pools are fit.
func (l *Loop) look(ctx context.Context) {
	if !l.looking.CompareAndSwap(false, true) {
		return
	}
	l.beside.Go(func() {
		defer l.looking.Store(false)
		s := l.state.Load()
		fit, unfit := maps.Clone(s.held), try(ctx, reachable, s.table, s.held)
		maps.DeleteFunc(fit, func(name string, _ hold) bool { return unfit[name].to != "" })
		if len(fit) > 0 {
			by := Revision{Origin: askedBy(fit), Reason: pools(fit) + " can serve: the pending switch is made"}
			_ = l.send(ctx, order{by: by, plan: func(s *state) (*state, error) { return s.release(fit), nil }})
		}
	})
}

// askedBy is the origin of switches; empty when they have several.
func askedBy(held map[string]hold) (origin string) {
	for _, h := range held {
		if origin != "" && origin != h.by.Origin {
			return ""
		}
		origin = h.by.Origin
	}
	return origin
}

// ready is nil when a pool can take a route's traffic: by its breakers and probes some endpoint is fit, and one can be connected to,
// which is all there is to go by where nothing probes. The error says what is missing.
func ready(ctx context.Context, p *router.Pool) error {
	if p.Fit() || len(p.Endpoints) == 0 {
		return p.Reach(ctx)
	}
	whys := make([]string, len(p.Endpoints))
	for i, e := range p.Endpoints {
		if p.Drained(e) {
			whys[i] = e.URL() + ": drained"
			continue
		}
		c := e.Health().Condition()
		whys[i] = fmt.Sprintf("%s: breaker %s, probes %s: %s", e.URL(), c.Breaker, c.Probe, c.Why)
	}
	return fmt.Errorf("pool %s: no endpoint is fit to serve; mend one of them (%s)", p.Name, strings.Join(whys, "; "))
}

// release lets the switches of these routes happen, if they are still wanted as they were.
func (s *state) release(fit map[string]hold) *state {
	next := *s
	next.held = maps.Clone(s.held)
	for name, h := range fit {
		if s.held[name].to == h.to {
			delete(next.held, name)
		}
	}
	return &next
}

// pools are the pools that holds wait for, in words.
func pools(held map[string]hold) (words string) {
	for _, name := range slices.Sorted(maps.Keys(held)) {
		if words != "" {
			words += ", "
		}
		words += fmt.Sprintf("pool %s of route %s", held[name].to, name)
	}
	return words
}
