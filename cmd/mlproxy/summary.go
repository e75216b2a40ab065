package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mlproxy/admin"
	"mlproxy/monitor"
)

type summaryCmd struct {
	Route  string        `arg:"" help:"The route's name."`
	Window time.Duration `default:"5m" help:"How far back to look, 10s to 1h."`
	remote
}

// Run shows what a route's models were asked and said.
func (c *summaryCmd) Run(t *terminal) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	s, err := client.Summary(context.Background(), c.Route, c.Window)
	if err != nil {
		return err
	}
	return c.print(t, s, func() { page{t.Out, ink(t.coloured()), time.Now()}.summary(s) })
}

// summary has a column for each version.
func (p page) summary(s *admin.Summary) {
	fmt.Fprintf(p.to, "%s, last %s, %.3g%% of the exchanges\n\n", s.Route, span(windowOf(s)), 100*s.Sample)
	head := []string{"OF EACH VERSION"}
	for _, v := range s.Versions {
		head = append(head, strings.ToUpper(v.Pool))
	}
	p.table(strings.Join(head, "\t"), func(row func(cells ...string)) {
		line := func(name string, of func(*monitor.Summary) string) {
			cells := []string{name}
			for _, v := range s.Versions {
				cells = append(cells, of(v))
			}
			if strings.Trim(strings.Join(cells[1:], ""), "-") != "" {
				row(cells...)
			}
		}
		for _, l := range summaryLines {
			line(l.name, l.of)
		}
		for _, feature := range incomplete(s.Versions) {
			line("missing "+feature, func(v *monitor.Summary) string { return missing(v.Features[feature]) })
		}
		for _, class := range classesOf(s.Versions) {
			line("class "+class, func(v *monitor.Summary) string { return share(v.Classes[class], sumOf(v.Classes)) })
		}
	})
}

func windowOf(s *admin.Summary) time.Duration {
	d, _ := time.ParseDuration(s.Window)
	return d
}

var summaryLines = []struct {
	name string
	of   func(*monitor.Summary) string
}{
	{"exchanges inspected", func(v *monitor.Summary) string { return fmt.Sprint(v.Exchanges) }},
	{"failed", func(v *monitor.Summary) string { return share(v.Failed, v.Exchanges) }},
	{"rows", func(v *monitor.Summary) string { return fmt.Sprint(v.Rows) }},
	{"rows with missing values", func(v *monitor.Summary) string { return share(v.RowsMissing, v.Rows) }},
	{"rows without a prediction", func(v *monitor.Summary) string { return share(sumOf(v.OutputsMissing), v.Outputs) }},
	{"seconds, p50 / p99", func(v *monitor.Summary) string { return quantiles(&v.Upstream) }},
	{"to the first token, p50 / p99", func(v *monitor.Summary) string { return quantiles(&v.FirstToken) }},
	{"to the first answer, p50 / p99", func(v *monitor.Summary) string { return quantiles(&v.FirstAnswer) }},
	{"between tokens, p50 / p99", func(v *monitor.Summary) string { return quantiles(&v.InterToken) }},
	{"brightness, p50 / p99", func(v *monitor.Summary) string { return quantiles(&v.Brightness) }},
	{"value, p50 / p99", func(v *monitor.Summary) string { return quantiles(&v.Value) }},
	{"confidence, p50 / p99", func(v *monitor.Summary) string { return quantiles(&v.Confidence) }},
}

func sumOf(counts map[string]int64) (sum int64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// incomplete are the features that lack values in any version, in order.
func incomplete(all []*monitor.Summary) []string {
	names := map[string]bool{}
	for _, v := range all {
		for name, f := range v.Features {
			if f.Missing > 0 {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func missing(f *monitor.FeatureSummary) string {
	if f == nil {
		return "-"
	}
	return share(f.Missing, f.Values)
}

// classesOf are the classes of all versions, in order.
func classesOf(all []*monitor.Summary) []string {
	names := map[string]int64{}
	for _, v := range all {
		maps.Copy(names, v.Classes)
	}
	return slices.Sorted(maps.Keys(names))
}

// share is a part of a whole in per cent; "-" when there is no whole.
func share(part, whole int64) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f%%", 100*float64(part)/float64(whole))
}

func quantiles(s *monitor.Sketch) string {
	if s.Count() == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3g / %.3g", s.Quantile(.5), s.Quantile(.99))
}
