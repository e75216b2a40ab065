package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// sample is one line of /metrics.
type sample struct {
	name   string
	labels map[string]string
	value  float64
}

// samples are what one look at /metrics showed, or the growth between two looks.
type samples []sample

var label = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)

// scrape looks at /metrics.
func scrape(ctx context.Context, admin string) (samples, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET /metrics: %s", resp.Status)
	}
	return parseMetrics(resp.Body)
}

// settled looks until mlproxy has counted all that the clients saw: an exchange is counted a moment after its answer left.
func settled(ctx context.Context, admin string, before samples, seen *vegeta.Metrics) (samples, error) {
	for end := time.Now().Add(time.Second); ; {
		after, err := scrape(ctx, admin)
		counted := uint64(since(before, after).sum("mlproxy_requests_total", "", ""))
		if err != nil || counted >= seen.Requests || time.Now().After(end) {
			return after, err
		}
	}
}

func parseMetrics(src io.Reader) (samples, error) {
	var all samples
	lines := bufio.NewScanner(src)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := parseSample(line)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, lines.Err()
}

// parseSample reads `name{label="value",...} 1.5`.
func parseSample(line string) (sample, error) {
	cut := strings.LastIndexByte(line, ' ')
	value, err := strconv.ParseFloat(line[cut+1:], 64)
	if cut < 0 || err != nil {
		return sample{}, fmt.Errorf("metrics line %q does not end in a number", line)
	}
	name, labels, _ := strings.Cut(line[:cut], "{")
	s := sample{name: name, labels: map[string]string{}, value: value}
	for _, m := range label.FindAllStringSubmatch(labels, -1) {
		s.labels[m[1]] = m[2]
	}
	return s, nil
}

func (s sample) key() string { return fmt.Sprint(s.name, s.labels) } // fmt sorts a map's keys

// since is after, with what was there before taken off counters and histograms; gauges stay as they are.
func since(before, after samples) samples {
	old := map[string]float64{}
	for _, s := range before {
		old[s.key()] = s.value
	}
	growth := slices.Clone(after)
	for i, s := range growth {
		if grows(s.name) {
			growth[i].value -= old[s.key()]
		}
	}
	return growth
}

func grows(name string) bool {
	return strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_bucket") || strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count")
}

// sum adds the samples of a name; an empty route or pool stands for all.
func (all samples) sum(name, route, pool string) float64 {
	sum := 0.0
	for _, s := range all {
		if s.name == name && (route == "" || s.labels["route"] == route) && (pool == "" || s.labels["pool"] == pool) {
			sum += s.value
		}
	}
	return sum
}

// has says whether there is any such sample.
func (all samples) has(name, route string) bool {
	return slices.ContainsFunc(all, func(s sample) bool { return s.name == name && s.labels["route"] == route })
}

// versions are the routes that counted requests, with their pools, in order.
func (all samples) versions() (routes []string, pools map[string][]string) {
	pools = map[string][]string{}
	for _, s := range all {
		route, pool := s.labels["route"], s.labels["pool"]
		if s.name != "mlproxy_requests_total" || route == "" || slices.Contains(pools[route], pool) {
			continue
		}
		pools[route] = append(pools[route], pool)
	}
	for route := range pools {
		routes = append(routes, route)
		slices.Sort(pools[route])
	}
	slices.Sort(routes)
	return routes, pools
}

// bucket holds how many observations were at most bound.
type bucket struct{ bound, count float64 }

func (all samples) buckets(name, route string) []bucket {
	var found []bucket
	for _, s := range all {
		if s.name != name+"_bucket" || s.labels["route"] != route {
			continue
		}
		if bound, err := strconv.ParseFloat(s.labels["le"], 64); err == nil { // "+Inf" is one
			found = append(found, bucket{bound, s.value})
		}
	}
	slices.SortFunc(found, func(a, b bucket) int { return cmp.Compare(a.bound, b.bound) })
	return found
}

// quantile estimates from buckets as Prometheus's histogram_quantile does: evenly spread within a bucket; above the last finite
// bound there is only that bound to say. NaN without observations.
func quantile(q float64, buckets []bucket) float64 {
	if len(buckets) == 0 || buckets[len(buckets)-1].count == 0 {
		return math.NaN()
	}
	rank := q * buckets[len(buckets)-1].count
	low := bucket{}
	for _, b := range buckets {
		if b.count < rank {
			low = b
			continue
		}
		if math.IsInf(b.bound, 1) {
			return low.bound
		}
		return low.bound + (b.bound-low.bound)*(rank-low.count)/(b.count-low.count)
	}
	return low.bound
}
