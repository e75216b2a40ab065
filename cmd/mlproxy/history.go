package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"mlproxy/admin"
	"mlproxy/config"
	"mlproxy/control"
)

type historyCmd struct {
	remote
}

// Run lists the last revisions, the newest first.
func (c *historyCmd) Run(t *terminal) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	all, err := client.Revisions(context.Background())
	if err != nil {
		return err
	}
	events, err := client.History(context.Background())
	if err != nil {
		return err
	}
	return c.print(t, admin.Revisions{Revisions: all, Fleet: events}, func() {
		p := page{t.Out, ink(t.coloured()), time.Now()}
		p.history(all)
		p.events(events)
	})
}

// events is a row for each change of each event of the fleet.
func (p page) events(all []control.Event) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(p.to, "\nwhat operators changed in the fleet:")
	p.table("AGO\tBY\tCHANGES", func(row func(cells ...string)) {
		for _, e := range all {
			ago, by := p.ago(e.Time), said("", e.Author, e.Reason)
			for _, change := range e.Changes {
				row(ago, by, change)
				ago, by = "", ""
			}
		}
	})
}

// history is a row for each change of each revision.
func (p page) history(all []control.Revision) {
	p.table("REVISION\tAGO\tBY\tCHANGES", func(row func(cells ...string)) {
		for _, r := range all {
			number, ago, by := strconv.FormatInt(r.Number, 10), p.ago(r.Applied), said(r.Origin, r.Author, r.Reason)
			for _, change := range orNone(r.Changes) {
				row(number, ago, by, change)
				number, ago, by = "", "", ""
			}
		}
	})
}

// orNone is the changes, or one line for a revision of which there is nothing to say.
func orNone(changes []string) []string {
	if len(changes) == 0 {
		return []string{"no route's traffic"}
	}
	return changes
}

// said is who had a word and why.
func said(origin, author, reason string) string {
	by := strings.TrimSpace(origin + " " + author)
	if reason != "" {
		by += ": " + reason
	}
	return by
}

type restoreCmd struct {
	Revision int64 `arg:"" help:"The revision's number, as history shows it."`
	lasting
	reason
	forced
	shared
	remote
}

// Run restores.
func (c *restoreCmd) Run(t *terminal) error {
	return c.change(t, control.Change{TTL: c.TTL, Reason: c.Reason, Force: c.Force}, c.shared,
		func(ctx context.Context, to *admin.Client, change control.Change) (control.Revision, error) {
			return to.Restore(ctx, change, c.Revision)
		}, func(now *admin.Status) {
			fmt.Fprintf(t.Out, "as in revision %d (revision %d)\n", c.Revision, now.Number)
			sayRoutes(t, now, "")
		})
}

// overrideCmd is what operators have said over the config file.
type overrideCmd struct {
	List   overrideListCmd   `cmd:"" help:"List what operators have set and drained."`
	Remove overrideRemoveCmd `cmd:"" help:"Remove the override of a route: the config file decides again."`
}

type overrideListCmd struct {
	remote
}

// Run lists overrides and drains.
func (c *overrideListCmd) Run(t *terminal) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	all, err := client.Overrides(context.Background())
	if err != nil {
		return err
	}
	return c.print(t, all, func() { page{t.Out, ink(t.coloured()), time.Now()}.overrides(all) })
}

// overrides is a row for each override and each drain.
func (p page) overrides(all control.Overrides) {
	if len(all.Routes)+len(all.Drained) == 0 {
		fmt.Fprintln(p.to, "none: the config file decides everything")
		return
	}
	p.table("WHAT\tIS\tSINCE\tENDS\tBY", func(row func(cells ...string)) {
		add := func(what, is string, o config.Override) {
			row(what, is, p.ago(o.Time)+" ago", p.ends(o.Expires), said("", o.Author, o.Reason))
		}
		for _, name := range slices.Sorted(maps.Keys(all.Routes)) {
			add("route "+name, value(all.Routes[name].Split, all.Routes[name].Active), all.Routes[name])
		}
		for _, name := range slices.Sorted(maps.Keys(all.Drained)) {
			add(kindOf(name)+" "+name, "drained", all.Drained[name])
		}
	})
}

// kindOf is what is drained by that name.
func kindOf(drained string) string {
	if (&drainable{drained}).isEndpoint() {
		return "endpoint"
	}
	return "pool"
}

// ends is when an override ends, in words.
func (p page) ends(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return "in " + span(at.Sub(p.now))
}

// value is a split or a colour as one types it.
func value(split map[string]float64, active string) string {
	if split == nil {
		return active
	}
	parts := make([]string, 0, len(split))
	for _, pool := range byShare(split) {
		parts = append(parts, pool+"="+strconv.FormatFloat(split[pool], 'g', -1, 64))
	}
	return strings.Join(parts, " ")
}

type overrideRemoveCmd struct {
	steering
	forced
}

// Run removes the override.
func (c *overrideRemoveCmd) Run(t *terminal) error {
	return c.steer(t, control.Change{Force: c.Force},
		func(ctx context.Context, to *admin.Client, change control.Change) (control.Revision, error) {
			return to.RemoveOverride(ctx, change)
		})
}
