package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// report prints the table: for every workload and peer the medians of the rounds, and how mlproxy compares.
func report(out io.Writer, cases []workload, results []result) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CASE\tPEER\tCPU µs\tSPREAD\tPER SECOND\tCORE\tp50\tp99\tFIRST\tPEAK RSS\tCANARY\tFAILED\tMLPROXY COSTS")
	for _, w := range cases {
		for _, p := range peers {
			rounds := pick(results, w.name, p.name)
			if len(rounds) == 0 {
				continue
			}
			cpu := values(rounds, func(r *result) float64 { return r.CPU })
			fmt.Fprintf(t, "%s\t%s\t%.4g\t%.4g..%.4g\t%.0f\t%.0f%%\t%s\t%s\t%s\t%.1f MiB\t%.1f%%\t%d\t%s\n",
				w.name, p.name, median(cpu), slices.Min(cpu), slices.Max(cpu),
				median(values(rounds, func(r *result) float64 { return r.Rate })),
				100*median(values(rounds, func(r *result) float64 { return r.Use })),
				span(median(values(rounds, func(r *result) float64 { return r.Median }))),
				span(median(values(rounds, func(r *result) float64 { return r.P99 }))),
				span(median(values(rounds, func(r *result) float64 { return r.First }))),
				median(values(rounds, func(r *result) float64 { return float64(r.Memory) }))/(1<<20),
				100*median(values(rounds, func(r *result) float64 { return r.Canary })),
				failures(rounds), comparison(results, w.name, p.name))
		}
	}
	_ = t.Flush()
}

// comparison says what mlproxy costs in terms of a peer: the median of the ratios of each round.
func comparison(results []result, load, name string) string {
	if name == mlproxyAlone {
		return ""
	}
	ratios := ratios(results, load, name)
	if len(ratios) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2fx (%.2f..%.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
}

// ratios are mlproxy's CPU time in terms of a peer's, round by round.
func ratios(results []result, load, name string) (all []float64) {
	for _, theirs := range pick(results, load, name) {
		for _, ours := range pick(results, load, mlproxyAlone) {
			if ours.Round == theirs.Round && theirs.CPU > 0 {
				all = append(all, ours.CPU/theirs.CPU)
			}
		}
	}
	return all
}

func pick(results []result, load, name string) (rounds []result) {
	for _, r := range results {
		if r.Case == load && r.Peer == name {
			rounds = append(rounds, r)
		}
	}
	return rounds
}

func values(rounds []result, of func(*result) float64) (all []float64) {
	for i := range rounds {
		all = append(all, of(&rounds[i]))
	}
	return all
}

// median of at least one value; of an even number the mean of the two in the middle.
func median(all []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(all), cmp.Compare)
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func failures(rounds []result) (n int64) {
	for _, r := range rounds {
		n += r.Failures
	}
	return n
}

// span writes microseconds as people read them.
func span(us float64) string {
	switch {
	case us == 0:
		return "-"
	case us < 1000:
		return fmt.Sprintf("%.0f µs", us)
	}
	return fmt.Sprintf("%.1f ms", us/1000)
}

// legend says what was measured.
func legend(cases []workload) string {
	var b strings.Builder
	for _, w := range cases {
		fmt.Fprintf(&b, "  %-14s %s\n", w.name, w.about)
	}
	return b.String()
}
