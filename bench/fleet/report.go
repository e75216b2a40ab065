package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// report prints how long the fleet took to agree, and what became of the requests.
func report(out io.Writer, switches []agreement, s *seen) {
	var each, all []time.Duration
	for _, a := range switches {
		each, all = append(each, a.took...), append(all, a.all())
	}
	if len(all) > 0 {
		fmt.Fprintf(out, "\nFrom the write of %s to answers of the other pool, over %d switches of %d proxies:\n", key, len(all), len(switches[0].took))
		fmt.Fprintf(out, "  one proxy        median %8v   longest %8v\n", brief(median(each)), brief(slices.Max(each)))
		fmt.Fprintf(out, "  the whole fleet  median %8v   longest %8v\n", brief(median(all)), brief(slices.Max(all)))
	}
	fmt.Fprintf(out, "Requests meanwhile: %d, failed: %d", s.requests, s.failed)
	for _, c := range colours {
		fmt.Fprintf(out, ", answered by %s: %d", c, s.pools[c])
	}
	fmt.Fprintln(out)
}

// median is the middle one; of two in the middle, their mean.
func median(list []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(list))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
