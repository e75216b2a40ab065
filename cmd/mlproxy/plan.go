package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"mlproxy/admin"
	"mlproxy/config"
	"mlproxy/control"
	"mlproxy/monitor"
	"mlproxy/router"
)

type planCmd struct {
	configFile
	Against string `placeholder:"FILE" help:"Compare with this file instead of with a running mlproxy."`
	remote
}

// Run says what the config file would change.
func (c *planCmd) Run(t *terminal) error {
	plan, err := c.plan()
	if err != nil {
		return err
	}
	return c.print(t, plan, func() { page{to: t.Out}.plan(plan) })
}

func (c *planCmd) plan() (*control.Plan, error) {
	if c.Against != "" {
		return c.offline()
	}
	file, err := os.ReadFile(c.Config)
	if err != nil {
		return nil, invalid(err)
	}
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	plan, err := client.Plan(context.Background(), file)
	if p, ok := errors.AsType[*admin.Problem](err); ok && p.Status == http.StatusUnprocessableEntity {
		return nil, invalid(err)
	}
	return plan, err
}

// offline compares two files.
func (c *planCmd) offline() (*control.Plan, error) {
	before, err := config.Load(c.Against)
	if err != nil {
		return nil, invalid(err)
	}
	after, err := config.Load(c.Config)
	if err != nil {
		return nil, invalid(err)
	}
	plan, err := control.Compare(before, after, router.NewEstate(monitor.New()))
	if err != nil {
		return nil, invalid(err)
	}
	return plan, nil
}

// plan is what would change, for people.
func (p page) plan(plan *control.Plan) {
	if len(plan.Changes) == 0 && len(plan.Masked) == 0 {
		fmt.Fprintln(p.to, "no changes")
		return
	}
	p.list("changes", plan.Changes)
	p.list("pools that come", plan.Pools.Come)
	p.list("pools that go", plan.Pools.Go)
	p.list("endpoints that come", plan.Endpoints.Come)
	p.list("endpoints that go", plan.Endpoints.Go)
	p.list("masked by operators' overrides", plan.Masked)
	p.list("switches that would be pending", plan.Pending)
	if len(plan.Routes) == 0 {
		return
	}
	p.table("ROUTE\tPOOL\tNOW\tTHEN\tKEYS THAT MOVE", func(row func(cells ...string)) {
		for _, name := range slices.Sorted(maps.Keys(plan.Routes)) {
			p.planned(name, plan.Routes[name], row)
		}
	})
}

// planned is a route's rows: its pools, each with the keys that come to it.
func (p page) planned(name string, r control.RoutePlan, row func(cells ...string)) {
	all := maps.Clone(r.After)
	if all == nil {
		all = map[string]float64{}
	}
	for pool := range r.Before {
		all[pool] += 0
	}
	for _, pool := range byShare(all) {
		var from []string
		for _, m := range r.Moves {
			if m.To == pool {
				from = append(from, percent(m.Share)+" from "+m.From)
			}
		}
		row(name, pool, shareIn(r.Before, pool), shareIn(r.After, pool), strings.Join(from, ", "))
		name = ""
	}
}

// shareIn is a pool's share; a pool that is not there has none.
func shareIn(shares map[string]float64, pool string) string {
	share, there := shares[pool]
	if !there {
		return "-"
	}
	return percent(share)
}

// list is a heading with lines under it, if there are any.
func (p page) list(heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(p.to, "%s:\n", heading)
	for _, line := range lines {
		fmt.Fprintf(p.to, "  %s\n", line)
	}
	fmt.Fprintln(p.to)
}
