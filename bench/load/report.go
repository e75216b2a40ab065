package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"
)

// report prints what mlproxy says of the time of the load.
func report(out io.Writer, grown samples) {
	routes, pools := grown.versions()
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nWhat mlproxy says of the same time (the demo's own requests included):")
	fmt.Fprintln(table, "ROUTE\tPOOL\tCONFIGURED\tREALISED\tREQUESTS")
	for _, route := range routes {
		for _, pool := range pools[route] {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.0f\n", route, pool, percent(configured(grown, route, pool)), percent(realised(grown, route, pool)),
				grown.sum("mlproxy_requests_total", route, pool))
		}
	}
	fmt.Fprintln(table, "\nTime spent in mlproxy itself:")
	fmt.Fprintln(table, "ROUTE\tMEAN\tP50\tP99")
	const overhead = "mlproxy_overhead_seconds"
	for _, route := range routes {
		mean := grown.sum(overhead+"_sum", route, "") / grown.sum(overhead+"_count", route, "")
		buckets := grown.buckets(overhead, route)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", route, seconds(mean), seconds(quantile(0.5, buckets)), seconds(quantile(0.99, buckets)))
	}
	_ = table.Flush()
}

// configured is the share a pool should have now: its part of the split, or all for an active pool.
func configured(now samples, route, pool string) float64 {
	if now.has("mlproxy_split_weight", route) {
		return now.sum("mlproxy_split_weight", route, pool)
	}
	return now.sum("mlproxy_active_pool", route, pool)
}

// realised is the share it had: of the assignments, where there were any (blue/green assigns nothing), else of the requests.
func realised(grown samples, route, pool string) float64 {
	counter := "mlproxy_assignments_total"
	if grown.sum(counter, route, "") == 0 {
		counter = "mlproxy_requests_total"
	}
	return grown.sum(counter, route, pool) / grown.sum(counter, route, "")
}

func percent(share float64) string {
	if math.IsNaN(share) {
		return "-"
	}
	return fmt.Sprintf("%.2f%%", 100*share)
}

// seconds shows a time to three digits.
func seconds(s float64) string {
	if math.IsNaN(s) {
		return "-"
	}
	d, unit := time.Duration(s*float64(time.Second)), time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
