package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"mlproxy/admin"
	"mlproxy/config"
	"mlproxy/control"
)

// remote is the running mlproxy that a command speaks to.
type remote struct {
	Admin     string `env:"MLPROXY_ADMIN" default:"http://127.0.0.1:9090" placeholder:"URL" help:"The admin listener (${default})."`
	TokenFile string `placeholder:"FILE" help:"The bearer token for changes."`
	output
}

// client is the client of the remote. What it cannot be made of was typed wrong.
func (r *remote) client() (*admin.Client, error) {
	c, err := admin.NewClient(r.Admin, r.TokenFile)
	if err != nil {
		return nil, usage(err)
	}
	return c, nil
}

// steering is what all commands that change a route have in common.
type steering struct {
	Route  string `arg:"" help:"The route's name."`
	Reason string `placeholder:"TEXT" help:"Why, for the log and the status."`
	remote
}

// steer makes a change and says what is in force then. A value that mlproxy finds wrong was typed wrong.
func (s *steering) steer(t *terminal, force bool,
	change func(context.Context, *admin.Client, control.Change) (control.Revision, error),
) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	revision, err := change(context.Background(), client, control.Change{Route: s.Route, Reason: s.Reason, Force: force})
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
	return s.print(t, revision, func() {
		fmt.Fprintf(t.Out, "%s: %s (revision %d)\n", s.Route, inForce(now.Routes[s.Route]), revision.Number)
	})
}

// inForce is what a route does with its traffic, in one line.
func inForce(r control.RouteStatus) string {
	if b := r.BlueGreen; b != nil {
		return fmt.Sprintf("%s is active, pool %s", r.Active, map[string]string{"blue": b.Blue, "green": b.Green}[r.Active])
	}
	parts := make([]string, 0, len(r.Share))
	for _, pool := range byShare(r.Share) {
		parts = append(parts, fmt.Sprintf("%s %s", pool, percent(r.Share[pool])))
	}
	return strings.Join(parts, ", ")
}

type splitCmd struct {
	steering
	Weights []string `arg:"" name:"pool=weight" help:"A weight for every pool of the route; 0 for no new traffic."`
}

// Run sets the split.
func (c *splitCmd) Run(t *terminal) error {
	split, err := weights(c.Weights)
	if err != nil {
		return usage(err)
	}
	return c.steer(t, false, func(ctx context.Context, to *admin.Client, change control.Change) (control.Revision, error) {
		return to.SetSplit(ctx, change, split)
	})
}

// weights reads arguments such as iris-stable=90.
func weights(args []string) (config.Weights, error) {
	split := config.Weights{}
	for _, arg := range args {
		pool, weight, found := strings.Cut(arg, "=")
		w, err := strconv.ParseFloat(weight, 64)
		if !found || pool == "" || err != nil {
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
	Force  bool   `help:"Switch even if the pool cannot be reached."`
}

// Run switches.
func (c *switchCmd) Run(t *terminal) error {
	return c.steer(t, c.Force, func(ctx context.Context, to *admin.Client, change control.Change) (control.Revision, error) {
		return to.SetActive(ctx, change, c.Active)
	})
}

type rollbackCmd struct {
	steering
	Force bool `help:"Roll back even if the pool cannot be reached."`
}

// Run rolls back.
func (c *rollbackCmd) Run(t *terminal) error {
	return c.steer(t, c.Force, func(ctx context.Context, to *admin.Client, change control.Change) (control.Revision, error) {
		return to.Rollback(ctx, change)
	})
}

type resetCmd struct {
	steering
}

// Run removes the override.
func (c *resetCmd) Run(t *terminal) error {
	return c.steer(t, false, func(ctx context.Context, to *admin.Client, change control.Change) (control.Revision, error) {
		return to.RemoveOverride(ctx, change)
	})
}
