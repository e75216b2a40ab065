package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"mlproxy/admin"
	"mlproxy/config"
	"mlproxy/control"
)

// remote is the running mlproxy that a command speaks to.
type remote struct {
	Admin     string `env:"MLPROXY_ADMIN" default:"http://127.0.0.1:9090" placeholder:"URL" help:"The admin listener (${default})."`
	TokenFile string `placeholder:"FILE" help:"The bearer token for changes."`
	CAFile    string `name:"ca-file" env:"MLPROXY_CA_FILE" placeholder:"FILE" help:"Authorities of an https:// listener's certificate; else the system's."`
	CertFile  string `placeholder:"FILE" help:"A certificate in PEM for an admin listener that asks for one."`
	KeyFile   string `placeholder:"FILE" help:"Its private key in PEM."`
	output
}

// client is the client of the remote. What it cannot be made of was typed wrong.
func (r *remote) client() (*admin.Client, error) {
	c, err := admin.NewClient(r.Admin, r.TokenFile)
	if err == nil {
		err = c.Trust(r.CAFile, r.CertFile, r.KeyFile)
	}
	if err != nil {
		return nil, usage(err)
	}
	return c, nil
}

// reason is why something is changed.
type reason struct {
	Reason string `placeholder:"TEXT" help:"Why, for the log, the status and the history."`
}

// lasting is how long a change lasts.
type lasting struct {
	TTL time.Duration `name:"ttl" placeholder:"15m" help:"Take the change back by itself after this time."`
}

// shared is how far a change goes where a fleet shares them.
type shared struct {
	Local bool          `help:"Change this proxy alone, not the fleet that shares its overrides by Consul."`
	Wait  time.Duration `placeholder:"10s" help:"Return once every proxy of the fleet acts by the change; name those that do not after this time, and fail."`
}

// forced is whether a switch is made in spite of what its pool says.
type forced struct {
	Force bool `help:"Switch even if the pool cannot be reached."`
}

// steering is what all commands that change a route have in common.
type steering struct {
	Route string `arg:"" help:"The route's name."`
	reason
	shared
	remote
}

// steer makes a change and says what is in force then.
func (s *steering) steer(t *terminal, c control.Change, do changing) error {
	c.Route, c.Reason = s.Route, s.Reason
	return s.change(t, c, s.shared, do, func(now *admin.Status) {
		fmt.Fprintf(t.Out, "%s: %s (revision %d)\n", s.Route, inForce(now, s.Route), now.Number)
	})
}

// changing is one change by the API.
type changing func(context.Context, *admin.Client, control.Change) (control.Revision, error)

// change makes a change and lets say tell of it. A value that mlproxy finds wrong was typed wrong.
func (r *remote) change(t *terminal, c control.Change, far shared, do changing, say func(now *admin.Status)) error {
	c.Local = far.Local
	if c.TTL < 0 {
		return usage(fmt.Errorf("--ttl %v has passed already; a time such as 15m", c.TTL))
	}
	client, err := r.client()
	if err != nil {
		return err
	}
	revision, err := do(context.Background(), client, c)
	if p, ok := errors.AsType[*admin.Problem](err); ok && p.Status == http.StatusUnprocessableEntity {
		return usage(err)
	}
	if err != nil {
		return err
	}
	now, err := client.Status(context.Background())
	if err != nil {
		return err
	}
	if far.Wait <= 0 {
		return r.print(t, revision, func() { say(now) })
	}
	a, err := client.Await(context.Background(), far.Wait)
	if err != nil {
		return err
	}
	whole := struct {
		control.Revision
		Fleet *control.Agreement `json:"fleet"`
	}{revision, a}
	if err := r.print(t, whole, func() { say(now); sayAgreement(t, a) }); err != nil {
		return err
	}
	return behind(a, far.Wait)
}

func sayAgreement(t *terminal, a *control.Agreement) {
	who := fmt.Sprintf("all %d proxies act", len(a.Agreed))
	if len(a.Agreed) == 1 {
		who = "its one proxy acts"
	}
	if len(a.Behind) == 0 {
		fmt.Fprintf(t.Out, "fleet: %s by it, after %v\n", who, a.Took.Round(time.Millisecond))
	}
}

// behind is an error that names the proxies which do not act by the change.
func behind(a *control.Agreement, within time.Duration) error {
	if len(a.Behind) == 0 {
		return nil
	}
	names := make([]string, len(a.Behind))
	for i, b := range a.Behind {
		names[i] = fmt.Sprintf("%s (admin %s, config %s)", b.ID, b.Admin, b.Digest)
	}
	return fmt.Errorf("after %v %d of %d proxies do not act by it yet: %s; the change stands, look at their status",
		within, len(a.Behind), len(a.Behind)+len(a.Agreed), strings.Join(names, ", "))
}

// inForce is what a route does with its traffic, in one line.
func inForce(s *admin.Status, route string) string {
	r := s.Routes[route]
	if b := r.BlueGreen; b != nil {
		return fmt.Sprintf("%s is active, pool %s", r.Active, map[string]string{"blue": b.Blue, "green": b.Green}[r.Active])
	}
	parts := make([]string, 0, len(r.Share))
	for _, pool := range byShare(r.Share) {
		part := fmt.Sprintf("%s %s", pool, percent(r.Share[pool]))
		if s.Pools[pool].Drained != nil {
			part += " (drained)"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

type splitCmd struct {
	steering
	lasting
	Weights []string `arg:"" name:"pool=weight" help:"A weight for every pool of the route; 0 for no new traffic."`
}

// Run sets the split.
func (c *splitCmd) Run(t *terminal) error {
	split, err := weights(c.Weights)
	if err != nil {
		return usage(err)
	}
	return c.steer(t, control.Change{TTL: c.TTL}, func(ctx context.Context, to *admin.Client, change control.Change) (control.Revision, error) {
		return to.SetSplit(ctx, change, split)
	})
}

// weights reads arguments such as iris-stable=90.
func weights(args []string) (config.Weights, error) {
	split := config.Weights{}
	for _, arg := range args {
		pool, weight, found := strings.Cut(arg, "=")
		w, err := strconv.ParseFloat(weight, 64)
		if !found || pool == "" || err != nil || math.IsNaN(w) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("%q is no pool with a weight; write pool=weight, such as iris-canary=10", arg)
		}
		if _, twice := split[pool]; twice {
			return nil, fmt.Errorf("pool %q is named twice; once each", pool)
		}
		split[pool] = w
	}
	return split, nil
}

type switchCmd struct {
	steering
	Active string `arg:"" enum:"blue,green" help:"blue or green."`
	lasting
	forced
}

// Run switches.
func (c *switchCmd) Run(t *terminal) error {
	return c.steer(t, control.Change{TTL: c.TTL, Force: c.Force},
		func(ctx context.Context, to *admin.Client, change control.Change) (control.Revision, error) {
			return to.SetActive(ctx, change, c.Active)
		})
}

type rollbackCmd struct {
	steering
	lasting
	forced
}

// Run rolls back.
func (c *rollbackCmd) Run(t *terminal) error {
	return c.steer(t, control.Change{TTL: c.TTL, Force: c.Force},
		func(ctx context.Context, to *admin.Client, change control.Change) (control.Revision, error) {
			return to.Rollback(ctx, change)
		})
}

// drainable is the pool or the endpoint that a command drains or undrains.
type drainable struct {
	What string `arg:"" name:"pool|endpoint" help:"The pool's name, or an endpoint as status shows it: URL or host:port."`
}

// isEndpoint tells endpoints from pools, whose names have no colon.
func (d *drainable) isEndpoint() bool { return strings.Contains(d.What, ":") }

// is reports whether the endpoint is the one at that URL.
func (d *drainable) is(url string) bool {
	return url == d.What || strings.TrimPrefix(url, "http://") == d.What
}

type drainCmd struct {
	drainable
	lasting
	Force bool `help:"Drain an endpoint even if its pool has traffic and no other endpoint."`
	reason
	remote
}

// Run drains.
func (c *drainCmd) Run(t *terminal) error {
	do := (*admin.Client).Drain
	if c.isEndpoint() {
		do = (*admin.Client).DrainEndpoint
	} else if c.Force {
		return usage(errors.New("--force is for endpoints; to drain a pool with all the traffic, move the traffic first: mlproxy split, mlproxy switch"))
	}
	return c.change(t, control.Change{TTL: c.TTL, Reason: c.Reason, Force: c.Force}, shared{}, c.by(do), func(now *admin.Status) {
		fmt.Fprintf(t.Out, "%s is drained (revision %d)\n", c.What, now.Number)
		c.sayLeft(t, now)
	})
}

type undrainCmd struct {
	drainable
	reason
	remote
}

// Run undrains.
func (c *undrainCmd) Run(t *terminal) error {
	do := (*admin.Client).Undrain
	if c.isEndpoint() {
		do = (*admin.Client).UndrainEndpoint
	}
	return c.change(t, control.Change{Reason: c.Reason}, shared{}, c.by(do), func(now *admin.Status) {
		fmt.Fprintf(t.Out, "%s is drained no more (revision %d)\n", c.What, now.Number)
		c.sayLeft(t, now)
	})
}

// by is the change that do makes to what was named.
func (d *drainable) by(do func(*admin.Client, context.Context, control.Change, string) (control.Revision, error)) changing {
	return func(ctx context.Context, to *admin.Client, change control.Change) (control.Revision, error) {
		return do(to, ctx, change, d.What)
	}
}

// sayLeft says what routes do that have the pool, or how many endpoints take requests in the pools that have the endpoint.
func (d *drainable) sayLeft(t *terminal, now *admin.Status) {
	if !d.isEndpoint() {
		sayRoutes(t, now, d.What)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(now.Pools)) {
		has, left, all := false, 0, now.Pools[name].Endpoints
		for _, e := range all {
			has = has || d.is(e.URL)
			if e.Drained == nil {
				left++
			}
		}
		if has {
			fmt.Fprintf(t.Out, "pool %s: %d of %d endpoints take requests\n", name, left, len(all))
		}
	}
}

// sayRoutes says what routes do, one a line: those that have the pool, or all when it is empty.
func sayRoutes(t *terminal, now *admin.Status, pool string) {
	for _, route := range slices.Sorted(maps.Keys(now.Routes)) {
		if _, has := now.Routes[route].Share[pool]; has || pool == "" {
			fmt.Fprintf(t.Out, "%s: %s\n", route, inForce(now, route))
		}
	}
}
