package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// printTable prints a line for each scenario, and below it what was broken.
func printTable(out io.Writer, results []*result) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SCENARIO\tREQUESTS\tFAILED\tAT FIRST\tLATER\tOVER 1S\tP99\tBACK\tSEEN\tPROMISED\tRESULT")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Scenario, r.Requests, r.Failed,
			fmt.Sprintf("%d (%.1f%%)", r.FailedGrace, 100*share(r.FailedGrace, r.Grace)), r.After, fmt.Sprintf("%.2f%%", 100*share(r.Slow, r.While)),
			brief(r.P99), r.returned(), r.brief(), strings.Join(r.Promise, ", "), r.verdict())
	}
	_ = table.Flush()
	for _, r := range results {
		if len(r.Broken) > 0 {
			fmt.Fprintf(out, "\n%s: not held: %s\n", r.Scenario, strings.Join(r.Broken, "; "))
			fmt.Fprintf(out, "  what clients saw: %s\n", cmp.Or(tallied(r.Failures), "no failure"))
		}
	}
}

func (r *result) verdict() string {
	if len(r.Broken) > 0 {
		return "NOT HELD"
	}
	return "held"
}

// returned is what took its time after the mending: the return to rotation, or new weights.
func (r *result) returned() string {
	switch {
	case r.InForce > 0:
		return brief(r.InForce)
	case !r.IsBack:
		return "never"
	}
	return brief(max(r.Back, r.Unwell))
}

// brief shows a time to three digits.
func brief(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

func tallied(counts map[string]int) string {
	var list []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%d× %s", counts[what], what))
	}
	return strings.Join(list, ", ")
}

// printSeconds prints how it went, second by second, and what mlproxy said.
func printSeconds(out io.Writer, r *result) {
	endpoints := []string{"stable-1", "stable-2", "stable-3", "canary"}
	fmt.Fprintf(out, "%s: %s\n", r.Scenario, r.Fault)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  SECOND\tREQUESTS\tFAILED\tOVER 1S\t"+strings.Join(endpoints, "\t"))
	for _, s := range r.Seconds {
		fmt.Fprintf(table, "  %d\t%d\t%d\t%d", s.At, s.Requests, s.Failed, s.Slow)
		for _, e := range endpoints {
			fmt.Fprintf(table, "\t%d", s.Endpoints[e])
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush()
	for _, line := range r.Log {
		fmt.Fprintln(out, " ", line)
	}
	fmt.Fprintln(out)
}
