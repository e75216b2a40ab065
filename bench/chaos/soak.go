package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"
)

// soaked is what came of a soak. Early and late are the least that mlproxy had, at rest, in the first and in the last quarter of the
// time: what an attack leaves for a few seconds, such as idle goroutines, is no growth, and what stays shows in the least as well.
type soaked struct {
	Lasted   time.Duration  `json:"lasted_ns"`
	Troubles int            `json:"troubles"`
	Requests int            `json:"requests"`
	Failed   int            `json:"failed"`
	Failures map[string]int `json:"failures"`
	Events   int            `json:"events"` // of streams
	Early    vitals         `json:"early"`
	Late     vitals         `json:"late"`
	Broken   []string       `json:"broken"` // promises; null = all are held
}

// vitals are what a process has of what there is not without end.
type vitals struct {
	Memory      int64 `json:"memory"` // bytes
	Goroutines  int64 `json:"goroutines"`
	Descriptors int64 `json:"descriptors"`
}

const (
	soakShare   = 0.02             // of the requests may fail: one of four endpoints is always in some trouble
	soakGrowth  = 0.10             // of anything
	soakMemory  = 16 << 20         // bytes, if that is more
	soakThings  = 50               // goroutines, or descriptors, if that is more
	soakRest    = 2 * time.Second  // after each trouble, before anything is measured
	soakAtLeast = 20 * time.Second // for there to be quarters
)

// trouble is one of those that a soak goes through, again and again.
type trouble struct {
	name    string
	victims []int
	cause   cause
}

func troubles() []trouble {
	const s = time.Second
	brief := func(a attack) cause {
		a.lasts = 6 * s
		return attacking(&a)
	}
	head := "POST " + inferPath + " HTTP/1.1\r\nHost: models.example\r\n"
	return []trouble{
		{"kill", one, lasting(s, s, kill, revive)},
		{"freeze", one, lasting(2*s, 2*s, freeze, thaw)},
		{"500", one, misbehaving("status=500,health")},
		{"reload", nil, func(ctx context.Context, x *experiment) error {
			return errors.Join(reloads(4, 4)(ctx, x), x.usual(ctx))
		}},
		{"reset", one, misbehaving("reset=body,health")},
		{"hang", one, misbehaving("hang=head,health")},
		{"slices", nil, ailing(slicing)},
		{"vanish", nil, ailing(vanishing)},
		{"shadow", []int{next}, lasting(3*s, 3*s, kill, revive)},
		{"slowloris", nil, brief(attack{full: 200, short: 200, opening: head + "X-Slow: ", drip: "s", every: s, reads: true})},
		{"unread", nil, brief(attack{full: 20, short: 20, opening: asking("size=10000000")})},
		{"canary", theCanary, misbehaving("status=500")},
	}
}

// soaks runs load, streams, uploads and one trouble after the other, and looks whether mlproxy grows.
func (o *options) soaks(ctx context.Context, progress io.Writer) (r *soaked, err error) {
	brief := *o
	brief.short = true
	x := &experiment{scenario: scenario{name: "soak", network: true, shadow: true}, pace: shortPace}
	x.site, err = open(ctx, &brief, &x.scenario, 2*time.Second)
	if err == nil {
		x.copied = 20
		err = x.usual(ctx)
	}
	if err == nil {
		r, err = x.soak(ctx, o.soak, progress)
	}
	_, ending := x.close()
	if err = errors.Join(err, ending); err != nil {
		return nil, err
	}
	r.judge()
	return r, nil
}

// soak goes through the troubles while users ask, read streams and upload.
func (x *experiment) soak(ctx context.Context, lasts time.Duration, progress io.Writer) (*soaked, error) {
	began := time.Now()
	r := &soaked{Failures: map[string]int{}}
	x.load = x.site.load(x.usualRate(), 0)
	uploads := x.site.load(5, 1_000_000)
	reading, leave := context.WithCancel(ctx)
	var readers sync.WaitGroup
	var mu sync.Mutex
	for range 20 {
		readers.Go(func() { x.keepReading(reading, func(n int) { mu.Lock(); r.Events += n; mu.Unlock() }) })
	}
	seen, err := x.suffer(ctx, r, lasts, progress)
	leave()
	readers.Wait()
	for _, s := range append(x.load.end(), uploads.end()...) {
		r.Requests++
		if s.failed() {
			r.Failed++
			r.Failures[s.why]++
		}
	}
	r.Lasted = time.Since(began)
	quarter := (len(seen) + 3) / 4
	r.Early, r.Late = least(seen[:quarter]), least(seen[len(seen)-quarter:])
	return r, err
}

// suffer goes through the troubles until the time is over, and measures mlproxy after each of them.
func (x *experiment) suffer(ctx context.Context, r *soaked, lasts time.Duration, progress io.Writer) (seen []vitals, err error) {
	list := troubles()
	for end := time.Now().Add(lasts); time.Now().Before(end) && err == nil; r.Troubles++ {
		t := list[r.Troubles%len(list)]
		x.victims, x.wishes, x.broke = t.victims, nil, time.Now()
		if err = t.cause(ctx, x); err != nil {
			return seen, fmt.Errorf("%s: %w", t.name, err)
		}
		if err = wait(ctx, soakRest); err != nil {
			return seen, err
		}
		now, err := x.vitals(ctx)
		if err != nil {
			return seen, err
		}
		seen = append(seen, now)
		fmt.Fprintf(progress, "after %s: %s, %d goroutines, %d descriptors\n", t.name, megabytes(now.Memory), now.Goroutines, now.Descriptors)
	}
	return seen, err
}

// keepReading reads streams, and leaves each in its middle; that some break is the nature of the troubles.
func (x *experiment) keepReading(ctx context.Context, read func(events int)) {
	web := &http.Client{Transport: &http.Transport{}}
	defer web.CloseIdleConnections()
	for ctx.Err() == nil {
		_, n, err := readClock(ctx, web, "http://"+x.data+clockPath+"?gap=50", 20)
		read(n)
		if err != nil {
			_ = wait(ctx, 100*time.Millisecond)
		}
	}
}

var goroutines = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// vitals are mlproxy's now.
func (x *experiment) vitals(ctx context.Context) (v vitals, err error) {
	text, err := get(ctx, "http://"+x.admin+"/metrics")
	if err != nil {
		return v, err
	}
	m := goroutines.FindStringSubmatch(text)
	if m == nil {
		return v, errors.New("mlproxy's metrics do not say go_goroutines")
	}
	v.Goroutines, _ = strconv.ParseInt(m[1], 10, 64)
	open, err := os.ReadDir(x.proc("fd"))
	v.Memory, v.Descriptors = x.figure("VmRSS"), int64(len(open))
	return v, err
}

func least(of []vitals) (v vitals) {
	for i, now := range of {
		if i == 0 {
			v = now
		}
		v.Memory, v.Goroutines, v.Descriptors = min(v.Memory, now.Memory), min(v.Goroutines, now.Goroutines), min(v.Descriptors, now.Descriptors)
	}
	return v
}

// judge holds what was seen against what is promised.
func (r *soaked) judge() {
	hold := func(what string, early, late, least int64) {
		if late-early > max(least, int64(soakGrowth*float64(early))) {
			r.Broken = append(r.Broken, fmt.Sprintf("%s grew from %d to %d", what, early, late))
		}
	}
	hold("memory", r.Early.Memory, r.Late.Memory, soakMemory)
	hold("goroutines", r.Early.Goroutines, r.Late.Goroutines, soakThings)
	hold("descriptors", r.Early.Descriptors, r.Late.Descriptors, soakThings)
	if share(r.Failed, r.Requests) > soakShare {
		r.Broken = append(r.Broken, fmt.Sprintf("%d of %d requests failed", r.Failed, r.Requests))
	}
	if r.Events == 0 {
		r.Broken = append(r.Broken, "no stream brought an event")
	}
}

func (r *soaked) print(out io.Writer) {
	fmt.Fprintf(out, "%s: %d troubles, %d requests, %d failed (%.2f%%), %d events of streams\n",
		r.Lasted.Round(time.Second), r.Troubles, r.Requests, r.Failed, 100*share(r.Failed, r.Requests), r.Events)
	if r.Failed > 0 {
		fmt.Fprintf(out, "what clients saw: %s\n", tallied(r.Failures))
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LEAST AT REST\tFIRST QUARTER\tLAST QUARTER\tALLOWED")
	line := func(what, early, late, allowed string) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", what, early, late, allowed)
	}
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	line("memory", megabytes(r.Early.Memory), megabytes(r.Late.Memory), "+10% or 16 MiB")
	line("goroutines", count(r.Early.Goroutines), count(r.Late.Goroutines), "+10% or 50")
	line("descriptors", count(r.Early.Descriptors), count(r.Late.Descriptors), "+10% or 50")
	_ = table.Flush()
	for _, what := range r.Broken {
		fmt.Fprintln(out, "not held:", what)
	}
	if len(r.Broken) == 0 {
		fmt.Fprintln(out, "held")
	}
}
