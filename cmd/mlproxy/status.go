package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"mlproxy/admin"
	"mlproxy/config"
	"mlproxy/control"
)

type statusCmd struct {
	Watch bool `help:"Show it again every 2 seconds, until Ctrl-C."`
	remote
}

// Run shows what is in force.
func (c *statusCmd) Run(t *terminal) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if c.Watch {
		return c.watch(t, client)
	}
	s, err := client.Status(context.Background())
	if err != nil {
		return err
	}
	return c.show(t, s)
}

func (c *statusCmd) show(t *terminal, s *admin.Status) error {
	return c.print(t, s, func() { page{t.Out, ink(t.coloured()), time.Now()}.write(s) })
}

// ink marks text for terminals that show colours, and leaves it alone elsewhere.
type ink bool

func (i ink) red(s string) string    { return i.mark("31", s) }
func (i ink) yellow(s string) string { return i.mark("33", s) }
func (i ink) bold(s string) string   { return i.mark("1", s) }

func (i ink) mark(code, s string) string {
	if !i || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// page is a status for people.
type page struct {
	to  io.Writer
	ink ink
	now time.Time
}

// write begins with what is wrong, for that is what one looks for.
func (p page) write(s *admin.Status) {
	p.wrong(s)
	fmt.Fprintf(p.to, "%s  revision %d by %s, %s ago, digest %s\n", p.ink.bold("mlproxy "+s.Version), s.Number, s.Origin,
		p.ago(s.Applied), s.Digest)
	fmt.Fprintf(p.to, "data %s  admin %s\n\n", strings.Join(s.Listen.Data, " "), s.Listen.Admin)
	p.table("ROUTE\tREQUESTS\tPOOL\tROLE\tSHARE\tIN FLIGHT\tSET BY", func(row func(cells ...string)) {
		for _, name := range slices.Sorted(maps.Keys(s.Routes)) {
			p.route(name, s, row)
		}
	})
	p.compared(s)
	fmt.Fprintln(p.to)
	p.table("POOL\tBALANCE\tENDPOINT\tFIT\tIN FLIGHT", func(row func(cells ...string)) {
		for _, name := range slices.Sorted(maps.Keys(s.Pools)) {
			pool, balance := name, s.Pools[name].Balance
			for _, e := range s.Pools[name].Endpoints {
				row(pool, balance, e.URL, fitness(e), strconv.FormatInt(e.InFlight, 10))
				pool, balance = "", ""
			}
		}
	})
}

// compared is a line for each shadow.
func (p page) compared(s *admin.Status) {
	if len(s.Compared) == 0 {
		return
	}
	fmt.Fprintln(p.to)
	p.table("SHADOW\tROUTE\tROWS\tANSWERS", func(row func(cells ...string)) {
		for _, route := range slices.Sorted(maps.Keys(s.Compared)) {
			for _, pool := range slices.Sorted(maps.Keys(s.Compared[route])) {
				c := s.Compared[route][pool]
				row(pool, route, strconv.FormatInt(c.Rows, 10), c.Verdict)
			}
		}
	})
}

// soon is when the end of an override is worth a line of its own.
const soon = 5 * time.Minute

// wrong is everything that somebody should look at.
func (p page) wrong(s *admin.Status) {
	if !s.Reload.OK {
		p.alarm(fmt.Sprintf("The config file was refused %s ago; revision %d stays in force:", p.ago(s.Reload.At), s.Number), s.Reload.Faults...)
	}
	if s.Memory.Fault != "" {
		p.alarm("Overrides cannot be stored; a restart would bring back older ones:", s.Memory.Fault)
	}
	if len(s.Memory.Dropped) > 0 {
		p.alarm("At the start, not all overrides could be in force again:", s.Memory.Dropped...)
	}
	notes := p.consul(s.Consul)
	for _, name := range slices.Sorted(maps.Keys(s.Pools)) {
		notes = append(notes, p.unfit(name, s.Pools[name])...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Routes)) {
		notes = append(notes, p.notes(name, s.Routes[name])...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Pools)) {
		notes = append(notes, p.drains(name, s.Pools[name])...)
	}
	for _, note := range notes {
		fmt.Fprintln(p.to, p.ink.yellow(note))
	}
	if len(notes) > 0 {
		fmt.Fprintln(p.to)
	}
}

// consul is what Consul says that is not in force, and what is in force that it does not say any more.
func (p page) consul(c *control.ConsulStatus) (notes []string) {
	if c == nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(c.Keys)) {
		if k := c.Keys[key]; !k.Valid {
			p.alarm(fmt.Sprintf("The key %s of Consul is refused; in force is %s:", key, k.InForce), k.Fault)
		}
	}
	if c.Stale != "" {
		notes = append(notes, "Consul's keys are as of "+p.since(c.Contact)+": "+c.Stale)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		if s := c.Services[name]; s.Stale != "" {
			notes = append(notes, fmt.Sprintf("the endpoints of service %s are as of %s: %s", name, p.since(s.Contact), s.Stale))
		}
	}
	for _, url := range slices.Sorted(maps.Keys(c.Refused)) {
		notes = append(notes, "the catalogue's endpoint "+url+" is not used: "+c.Refused[url])
	}
	return notes
}

// since is how long ago something was, or that it never was.
func (p page) since(at time.Time) string {
	if at.IsZero() {
		return "the last run"
	}
	return p.ago(at) + " ago"
}

// drains are those of a pool and its endpoints that end soon.
func (p page) drains(name string, pool control.PoolStatus) (notes []string) {
	if o := pool.Drained; o != nil && p.endsSoon(o) {
		notes = append(notes, fmt.Sprintf("%s: the drain ends %s", name, p.ends(o.Expires)))
	}
	for _, e := range pool.Endpoints {
		if o := e.Drained; o != nil && p.endsSoon(o) {
			notes = append(notes, fmt.Sprintf("%s: the drain of %s ends %s", name, e.URL, p.ends(o.Expires)))
		}
	}
	return notes
}

// unfit are the endpoints of a pool that get no requests, and should; a pool without any that does comes first, and tells of its
// drained ones too.
func (p page) unfit(name string, pool control.PoolStatus) (notes []string) {
	fit, drained := 0, []string(nil)
	for _, e := range pool.Endpoints {
		switch {
		case e.Drained != nil:
			drained = append(drained, fmt.Sprintf("%s: %s is drained", name, e.URL))
		case e.Fit:
			fit++
		default:
			notes = append(notes, fmt.Sprintf("%s: %s has been unfit for %s: %s", name, e.URL, p.ago(e.Since), e.Why))
		}
	}
	if fit == 0 && len(notes)+len(drained) > 0 {
		p.alarm(fmt.Sprintf("No endpoint of pool %s is fit to serve:", name), append(notes, drained...)...)
		return nil
	}
	return notes
}

// fitness is whether an endpoint gets requests, and what keeps it from that.
func fitness(e control.EndpointStatus) string {
	switch {
	case e.Drained != nil:
		return "drained"
	case e.Fit && e.Breaker == "closed":
		return "yes"
	case e.Breaker != "closed":
		return "breaker " + e.Breaker
	}
	return "probes: " + e.Probe
}

// alarm is something wrong, with its lines.
func (p page) alarm(what string, lines ...string) {
	fmt.Fprintln(p.to, p.ink.red(what))
	for _, line := range lines {
		fmt.Fprintln(p.to, "  "+p.ink.red(line))
	}
	fmt.Fprintln(p.to)
}

// notes are what somebody should know of a route.
func (p page) notes(name string, r control.RouteStatus) (notes []string) {
	note := func(format string, args ...any) { notes = append(notes, name+": "+fmt.Sprintf(format, args...)) }
	if b := r.BlueGreen; b != nil && b.Pending != nil {
		note("the switch to %s by %s has been pending for %s: %s", b.Pending.Active, b.Pending.Words(), p.ago(b.Pending.Since), b.Pending.Why)
	}
	if m := r.Masked; m != nil {
		note("%s changed to (%s) %s ago, without effect; for that: %s", m.Words(), value(m.Split, m.Active), p.ago(m.Since), m.Remedy)
	}
	if o := r.Override; o != nil && p.endsSoon(&o.Override) {
		note("the override ends %s; then it is (%s), as %s says", p.ends(o.Expires), value(o.MaskedSplit, o.MaskedActive), o.Beneath.Words())
	}
	return notes
}

func (p page) endsSoon(o *config.Override) bool {
	return !o.Expires.IsZero() && o.Expires.Sub(p.now) < soon
}

// route is a route's rows: each pool of the split or of blue and green, then the shadows.
func (p page) route(name string, s *admin.Status, row func(cells ...string)) {
	r := s.Routes[name]
	requests, by := requests(r.Match), p.setBy(r)
	for _, pool := range byShare(r.Share) {
		role := "split " + strconv.FormatFloat(r.Split[pool], 'g', -1, 64)
		if r.BlueGreen != nil {
			role = colour(r, pool)
		}
		if s.Pools[pool].Drained != nil {
			role += ", drained"
		}
		row(name, requests, pool, role, percent(r.Share[pool]), strconv.FormatInt(r.InFlight[pool], 10), by)
		name, requests, by = "", "", ""
	}
	for _, pool := range byShare(r.Shadow) {
		row("", "", pool, "shadow", percent(r.Shadow[pool]), "", "")
	}
}

// table writes aligned columns. Every row has every cell, or the columns below it would be aligned anew.
func (p page) table(head string, rows func(row func(cells ...string))) {
	var aligned strings.Builder
	w := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	rows(func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) })
	_ = w.Flush()
	for line := range strings.Lines(aligned.String()) {
		fmt.Fprintln(p.to, strings.TrimRight(line, " \n"))
	}
}

// ago is how long ago a moment was, to the precision one would say.
func (p page) ago(at time.Time) string { return span(p.now.Sub(at)) }

func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// requests is which requests a route is for, in a few words.
func requests(m control.MatchStatus) string {
	words := []string{}
	if len(m.Methods) > 0 {
		words = append(words, strings.Join(m.Methods, ","))
	}
	if place := strings.Join(m.Hosts, ",") + m.Path; place != "" {
		words = append(words, place)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		words = append(words, name+"="+m.Headers[name])
	}
	if m.Model != "" {
		words = append(words, "model="+m.Model)
	}
	return cmp.Or(strings.Join(words, " "), "all")
}

// setBy is who had the last word on a route, and for how long.
func (p page) setBy(r control.RouteStatus) string {
	by := config.Source{Origin: r.Origin, Key: r.Key, Index: r.Index}.Words()
	if o := r.Override; o != nil {
		by = said(r.Origin, o.Author, o.Reason)
		if !o.Expires.IsZero() {
			by += ", ends " + p.ends(o.Expires)
		}
	}
	if r.BlueGreen != nil && r.BlueGreen.Pending != nil {
		by += ", " + r.BlueGreen.Pending.Active + " pending"
	}
	return by
}

// colour is what a pool is on a blue/green route.
func colour(r control.RouteStatus, pool string) string {
	name := "green"
	if pool == r.BlueGreen.Blue {
		name = "blue"
	}
	if name == r.Active {
		return name + ", active"
	}
	return name + ", idle"
}

// byShare are the pools, the largest share first.
func byShare(share map[string]float64) []string {
	return slices.SortedFunc(maps.Keys(share), func(a, b string) int {
		return cmp.Or(cmp.Compare(share[b], share[a]), cmp.Compare(a, b))
	})
}

func percent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e4)/100, 'f', -1, 64) + "%"
}
