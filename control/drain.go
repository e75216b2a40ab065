package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mlproxy/config"
)

// A drained pool gets no new requests: in every split it has the weight 0, whatever file and overrides say, until it is undrained.
// The drain is a layer of its own above them, so that undraining returns to what they say then. Copies to a shadow are no
// requests of clients, and go on.

// Drain takes a pool out of all new traffic. It is refused where no other pool of a split would be left, and for the active pool
// of a blue/green route. Change.Route is not looked at.
func (l *Loop) Drain(ctx context.Context, c Change, pool string) (Revision, error) {
	return l.order(ctx, c, func(s *state) (*state, error) {
		if err := s.knowsPool(pool); err != nil {
			return nil, err
		}
		return s.withDrain(pool, c.says(config.Override{})), nil
	})
}

// Undrain gives a drained pool its traffic back.
func (l *Loop) Undrain(ctx context.Context, c Change, pool string) (Revision, error) {
	return l.order(ctx, c, func(s *state) (*state, error) {
		if err := s.knowsPool(pool); err != nil {
			return nil, err
		}
		if _, drained := s.said.Drained[pool]; !drained {
			return nil, fmt.Errorf("%w: pool %q is not drained; mlproxy override list shows what is", ErrNoOverride, pool)
		}
		return s.withDrain(pool, nil), nil
	})
}

// knowsPool is nil when there is a pool of that name.
func (s *state) knowsPool(name string) error {
	pools := s.wanted.Pools
	if _, known := pools[name]; known {
		return nil
	}
	if strings.Contains(name, ":") {
		return fmt.Errorf("%w %q; single endpoints cannot be drained, drain their pool: %s", ErrUnknownPool, name, names(pools))
	}
	return fmt.Errorf("%w %q; there are %s", ErrUnknownPool, name, names(pools))
}

func names[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }

// drain is the layer that takes drained pools out, or why they cannot be taken out.
func drain(wanted *config.Config, drained map[string]config.Override) (config.Layer, error) {
	layer := config.Layer{Origin: operator, Routes: map[string]config.Override{}}
	if len(drained) == 0 {
		return layer, nil
	}
	var faults config.Faults
	for _, name := range slices.Sorted(maps.Keys(wanted.Routes)) {
		split, err := drainRoute(wanted.Routes[name], drained)
		if err != nil {
			faults = append(faults, config.Fault{
				At: config.Position{File: operator}, What: err.Error(), Remedy: "move the route's traffic first, or undrain the pool",
			})
		}
		if split != nil {
			layer.Routes[name] = config.Override{Split: split}
		}
	}
	if len(faults) > 0 {
		return layer, faults
	}
	return layer, nil
}

// drainRoute is the route's split without drained pools; nil when it is as it was.
func drainRoute(r *config.Route, drained map[string]config.Override) (config.Weights, error) {
	if b := r.BlueGreen; b != nil {
		if _, is := drained[b.ActivePool()]; is {
			return nil, fmt.Errorf("drained pool %q is the active one of route %q", b.ActivePool(), r.Name)
		}
		return nil, nil
	}
	split, out, left := maps.Clone(r.Split), []string(nil), 0.0
	for _, pool := range slices.Sorted(maps.Keys(r.Split)) {
		if _, is := drained[pool]; is && split[pool] > 0 {
			split[pool] = 0
			out = append(out, pool)
		}
		left += split[pool]
	}
	switch {
	case len(out) == 0:
		return nil, nil
	case left == 0:
		return nil, fmt.Errorf("route %q has no traffic but on drained pools: %s", r.Name, strings.Join(out, ", "))
	}
	return split, nil
}

// fitting are the drains that can be in force above wanted, and what is wrong with the others.
func fitting(wanted *config.Config, drained map[string]config.Override) (fit map[string]config.Override, faults []string) {
	fit = map[string]config.Override{}
	for _, pool := range slices.Sorted(maps.Keys(drained)) {
		if wanted.Pools[pool] == nil {
			faults = append(faults, fmt.Sprintf("pool %q is no longer there: its drain is dropped", pool))
			continue
		}
		fit[pool] = drained[pool]
		if _, err := drain(wanted, fit); err != nil {
			delete(fit, pool)
			faults = append(faults, fmt.Sprintf("the drain of pool %q is dropped: %s", pool, strings.Join(list(err), "; ")))
		}
	}
	return fit, faults
}

// known are the drains of pools that the config has. A pool that has left needs no drain.
func known(drained map[string]config.Override, c *config.Config) map[string]config.Override {
	left := maps.Clone(drained)
	maps.DeleteFunc(left, func(pool string, _ config.Override) bool { return c.Pools[pool] == nil })
	return left
}
