package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"mlproxy/admin"
	"mlproxy/shadow"
)

// shadowCmd is how the answers of a route's shadows compare with the live ones.
type shadowCmd struct {
	Route string `arg:"" help:"The route's name."`
	Reset bool   `help:"Forget what was found so far, and compare anew."`
	reason
	remote
}

// Run shows what comparing found, or forgets it.
func (c *shadowCmd) Run(t *terminal) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	found := new(admin.Shadows)
	if c.Reset {
		found, err = client.CompareAnew(context.Background(), c.Route, c.Reason)
	} else {
		found, err = client.Shadows(context.Background(), c.Route)
	}
	if err != nil {
		return err
	}
	return c.print(t, found, func() { page{t.Out, ink(t.coloured()), time.Now()}.shadows(found) })
}

// shadows is a paragraph for each shadow.
func (p page) shadows(all *admin.Shadows) {
	if len(all.Shadows) == 0 {
		fmt.Fprintf(p.to, "route %s has no shadows\n", all.Route)
	}
	for i, r := range all.Shadows {
		if i > 0 {
			fmt.Fprintln(p.to)
		}
		p.shadow(r)
	}
}

func (p page) shadow(r *shadow.Report) {
	fmt.Fprintf(p.to, "%s: %s\n", p.ink.bold(r.Pool), r.Verdict)
	if r.Since.IsZero() {
		return
	}
	fmt.Fprintf(p.to, "mode %s, %d rows of %d answers in %s; %d could not be compared", r.Mode, r.Rows.Compared, r.Copies.Agree+r.Copies.Differ,
		p.ago(r.Since), r.Copies.Error)
	for _, why := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(p.to, ", %s %d", why, r.Errors[why])
	}
	fmt.Fprintf(p.to, "\nlatency p50 %s, p99 %s; live p50 %s, p99 %s\n", took(r.Latency.Shadow.P50), took(r.Latency.Shadow.P99),
		took(r.Latency.Live.P50), took(r.Latency.Live.P99))
	p.differing(r.Fields)
	p.confusion(r.Confusion)
	p.worst(r.Worst)
}

// most is how many rows of a table are for people; the API has all.
const most = 10

func (p page) differing(fields []shadow.Field) {
	if len(fields) == 0 || fields[0].Differ == 0 {
		return
	}
	fmt.Fprintln(p.to)
	p.table("FIELD\tDIFFERS\tOF", func(row func(cells ...string)) {
		for _, f := range fields[:min(len(fields), most)] {
			if f.Differ > 0 {
				row(f.Field, percent(f.Rate), strconv.FormatInt(f.Compared, 10))
			}
		}
	})
}

func (p page) confusion(pairs []shadow.Confusion) {
	if len(pairs) == 0 {
		return
	}
	fmt.Fprintln(p.to)
	p.table("LIVE SAYS\tSHADOW SAYS\tROWS", func(row func(cells ...string)) {
		for _, c := range pairs[:min(len(pairs), most)] {
			row(oneLine(c.Live), oneLine(c.Shadow), strconv.FormatInt(c.Rows, 10))
		}
	})
}

func (p page) worst(all []shadow.Disagreement) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(p.to)
	p.table("WORST\tAGO\tREQUEST\tFIELD\tLIVE\tSHADOW", func(row func(cells ...string)) {
		for _, d := range all[:min(len(all), most)] {
			severity, ago, id := strconv.FormatFloat(d.Severity, 'f', 2, 64), p.ago(d.Time), d.RequestID
			differences := d.Differences
			if len(differences) == 0 {
				differences = []shadow.Difference{{Field: "(answer)"}}
			}
			for _, x := range differences {
				row(severity, ago, id, oneLine(x.Field), shown(x.Live), shown(x.Shadow))
				severity, ago, id = "", "", ""
			}
		}
	})
}

// shown is a value in a table.
func shown(v *string) string {
	if v == nil {
		return ""
	}
	return oneLine(*v)
}

// oneLine is what a model said, short and without anything that a terminal would obey.
func oneLine(s string) string {
	const longest = 40
	quoted := strconv.Quote(s)
	quoted = quoted[1 : len(quoted)-1]
	if len(quoted) > longest {
		quoted = quoted[:longest] + "..."
	}
	return quoted
}

func took(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(10 * time.Microsecond).String()
}
