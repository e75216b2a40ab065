package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mlproxy/config"
	"mlproxy/router"
)

// A drained pool gets no new requests: in every split it has the weight 0, whatever file and overrides say, until it is undrained.
// The drain is a layer of its own above them, so that undraining returns to what they say then. Copies to a shadow are no
// requests of clients, and go on.
//
// A drained endpoint gets no new requests either, and no copies: its model server is about to be stopped. It is drained in all pools
// that have it, for it is one model server.

// Drain takes a pool out of all new traffic. It is refused where no other pool of a split would be left, and for the active pool
// of a blue/green route. Of the change neither Route nor Force is looked at.
func (l *Loop) Drain(ctx context.Context, c Change, pool string) (Revision, error) {
	c.Force = false
	return l.takeOut(ctx, c, func(s *state) (string, error) { return pool, s.knowsPool(pool) })
}

// Undrain gives a drained pool its traffic back.
func (l *Loop) Undrain(ctx context.Context, c Change, pool string) (Revision, error) {
	return l.bringBack(ctx, c, func(s *state) (string, error) { return pool, s.knowsPool(pool) })
}

// DrainEndpoint takes an endpoint, a URL or host:port, out of the new traffic of every pool. It is refused, unless forced, where a pool
// with traffic would be left with drained endpoints only, or without a fit one. Change.Route is not looked at.
func (l *Loop) DrainEndpoint(ctx context.Context, c Change, endpoint string) (Revision, error) {
	return l.takeOut(ctx, c, func(s *state) (string, error) {
		url, err := s.endpoint(endpoint)
		if err == nil && !c.Force {
			err = s.leavesFit(url)
		}
		return url, err
	})
}

// leavesFit is nil when every pool with traffic that is fit now stays so without the endpoint. Where drained endpoints only would be
// left, that is for the drain itself to say.
func (s *state) leavesFit(url string) error {
	for _, r := range s.table.Routes() {
		for _, v := range r.Versions {
			if v.Share == 0 || !v.Pool.Fit() {
				continue
			}
			others, fit := s.others(v.Pool, url)
			if others > 0 && fit == 0 {
				return fmt.Errorf("%w: pool %q has traffic, and of its other endpoints none is fit; mend one of them first, or force the drain",
					ErrLastFit, v.Pool.Name)
			}
		}
	}
	return nil
}

// others counts the endpoints of a pool that has url, beside it and beside what is drained, and those of them that are fit.
func (s *state) others(p *router.Pool, url string) (others, fit int) {
	has := false
	for _, e := range p.Endpoints {
		if e.URL() == url {
			has = true
		} else if s.drained(e.URL()) == nil {
			others++
			if e.Health().Fit() {
				fit++
			}
		}
	}
	if !has {
		return 0, 0
	}
	return others, fit
}

// UndrainEndpoint gives a drained endpoint its traffic back.
func (l *Loop) UndrainEndpoint(ctx context.Context, c Change, endpoint string) (Revision, error) {
	return l.bringBack(ctx, c, func(s *state) (string, error) { return s.endpoint(endpoint) })
}

// takeOut drains what find finds.
func (l *Loop) takeOut(ctx context.Context, c Change, find func(*state) (string, error)) (Revision, error) {
	return l.order(ctx, c, func(s *state) (*state, error) {
		name, err := find(s)
		if err != nil {
			return nil, err
		}
		said := c.says(config.Override{})
		said.Forced = c.Force
		return s.withDrain(name, said), nil
	})
}

// bringBack undrains what find finds.
func (l *Loop) bringBack(ctx context.Context, c Change, find func(*state) (string, error)) (Revision, error) {
	return l.order(ctx, c, func(s *state) (*state, error) {
		name, err := find(s)
		if err != nil {
			return nil, err
		}
		if s.drained(name) == nil {
			return nil, fmt.Errorf("%w: %s %q is not drained; mlproxy override list shows what is", ErrNoOverride, kind(name), name)
		}
		return s.withDrain(name, nil), nil
	})
}

// knowsPool is nil when there is a pool of that name.
func (s *state) knowsPool(name string) error {
	pools := s.wanted.Pools
	if pools[name] != nil {
		return nil
	}
	if isEndpoint(name) {
		return fmt.Errorf("%w %q; drain an endpoint as an endpoint: mlproxy drain %[2]s, or PUT /api/v1/endpoints/{address}/drain", ErrUnknownPool, name)
	}
	return fmt.Errorf("%w %q; there are %s", ErrUnknownPool, name, names(pools))
}

// endpoint is the URL of an endpoint that some pool has, by URL or host:port.
func (s *state) endpoint(name string) (string, error) {
	url := name
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	if !there(s.wanted, url) {
		return "", fmt.Errorf("%w %q; write one as mlproxy status shows it, such as http://127.0.0.1:9001", ErrUnknownEndpoint, name)
	}
	return url, nil
}

// isEndpoint tells endpoints from pools, whose names have no colon.
func isEndpoint(name string) bool { return strings.Contains(name, ":") }

// kind is what is drained by that name.
func kind(name string) string {
	if isEndpoint(name) {
		return "endpoint"
	}
	return "pool"
}

// there reports whether a config has what is drained by that name.
func there(c *config.Config, name string) bool {
	if !isEndpoint(name) {
		return c.Pools[name] != nil
	}
	for _, p := range c.Pools {
		if slices.ContainsFunc(p.Endpoints, func(e config.Endpoint) bool { return e.URL == name }) {
			return true
		}
	}
	return false
}

// outOf are the endpoints among what is drained.
func outOf(drained map[string]config.Override) map[string]bool {
	urls := map[string]bool{}
	for name := range drained {
		if isEndpoint(name) {
			urls[name] = true
		}
	}
	return urls
}

func names[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }

// drain is the layer that takes drained pools out, or why they, or drained endpoints, cannot be taken out.
func drain(wanted *config.Config, drained map[string]config.Override) (config.Layer, error) {
	layer := config.Layer{Origin: operator, Routes: map[string]config.Override{}}
	if len(drained) == 0 {
		return layer, nil
	}
	var faults config.Faults
	for _, name := range slices.Sorted(maps.Keys(wanted.Routes)) {
		route := wanted.Routes[name]
		split, err := drainRoute(route, drained)
		if err != nil {
			faults = append(faults, refusal(err, "move the route's traffic first, or undrain the pool"))
		} else if err := emptied(wanted, drained, serving(route, split)); err != nil {
			faults = append(faults, refusal(fmt.Errorf("route %q: %w", name, err),
				"move the route's traffic first, undrain one of them, or force the drain"))
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

func refusal(err error, remedy string) config.Fault {
	return config.Fault{At: config.Position{File: operator}, What: err.Error(), Remedy: remedy}
}

// serving are the pools with traffic of a route whose split is without drained pools, or nil when it has none.
func serving(r *config.Route, split config.Weights) (pools []string) {
	if r.BlueGreen != nil {
		return []string{r.BlueGreen.ActivePool()}
	}
	if split == nil {
		split = r.Split
	}
	for _, pool := range slices.Sorted(maps.Keys(split)) {
		if split[pool] > 0 {
			pools = append(pools, pool)
		}
	}
	return pools
}

// emptied says which of the pools has drained endpoints only, unless one of the drains is forced: then it is meant so.
func emptied(c *config.Config, drained map[string]config.Override, pools []string) error {
	for _, pool := range pools {
		left := slices.ContainsFunc(c.Pools[pool].Endpoints, func(e config.Endpoint) bool {
			o, is := drained[e.URL]
			return !is || o.Forced
		})
		if !left {
			return fmt.Errorf("pool %q has traffic, and no endpoint that is not drained", pool)
		}
	}
	return nil
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
	for _, name := range slices.Sorted(maps.Keys(drained)) {
		if !there(wanted, name) {
			faults = append(faults, fmt.Sprintf("%s %q is no longer there: its drain is dropped", kind(name), name))
			continue
		}
		fit[name] = drained[name]
		if _, err := drain(wanted, fit); err != nil {
			delete(fit, name)
			faults = append(faults, fmt.Sprintf("the drain of %s %q is dropped: %s", kind(name), name, strings.Join(list(err), "; ")))
		}
	}
	return fit, faults
}

// known are the drains of what the config has. A pool or an endpoint that has left needs no drain.
func known(drained map[string]config.Override, c *config.Config) map[string]config.Override {
	left := maps.Clone(drained)
	maps.DeleteFunc(left, func(name string, _ config.Override) bool { return !there(c, name) })
	return left
}
