package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"mlproxy/modeltest"
)

const (
	demoUsers    = 200
	trickleLimit = 256 // requests of the trickle that run at once; beyond it some are left out, and said to be
)

// trickle is the demo's own traffic: held-out rows of the models' data, asked by a few hundred users in turn.
type trickle struct {
	url      string
	client   *http.Client
	requests []modelRequest // sent over and over
	room     chan struct{}
	tally    trickleTally
}

func newTrickle(listen string) *trickle {
	return &trickle{
		url:      "http://" + listen,
		client:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: trickleLimit}, Timeout: time.Minute},
		requests: demoRequests(),
		room:     make(chan struct{}, trickleLimit),
	}
}

// run sends until ctx ends, and says every so often what became of it.
func (k *trickle) run(ctx context.Context, rate float64, every time.Duration, out io.Writer) {
	var sent sync.WaitGroup
	defer k.client.CloseIdleConnections()
	defer sent.Wait()
	report := time.NewTicker(every)
	defer report.Stop()
	next, stop := beat(rate)
	defer stop()
	for i := 0; ; {
		select {
		case <-next:
			request := k.requests[i%len(k.requests)]
			sent.Go(func() { k.send(ctx, &request) })
			i++
		case now := <-report.C:
			fmt.Fprintln(out, k.tally.line(now))
		case <-ctx.Done():
			return
		}
	}
}

// beat ticks rate times a second; never, for 0.
func beat(rate float64) (<-chan time.Time, func()) {
	if rate == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(time.Duration(float64(time.Second) / rate))
	return t.C, t.Stop
}

// send makes one request and notes who answered.
func (k *trickle) send(ctx context.Context, m *modelRequest) {
	select {
	case k.room <- struct{}{}:
		defer func() { <-k.room }()
	default:
		k.tally.note(m.route, "", 0, false)
		return
	}
	began := time.Now()
	pool, err := k.ask(ctx, m)
	if ctx.Err() == nil {
		k.tally.note(m.route, pool, time.Since(began), err == nil)
	}
}

// ask returns the pool that answered.
func (k *trickle) ask(ctx context.Context, m *modelRequest) (pool string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+m.path, strings.NewReader(m.body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-User-ID", m.user)
	resp, err := k.client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s", resp.Status)
	}
	return resp.Header.Get("X-MLProxy-Pool"), nil
}

// demoRequests are a cycle of requests. Of forty, thirty ask for an iris, nine for a digit and one for words; each kind takes the
// users in turn, so that a line of the demo sees most of them.
func demoRequests() []modelRequest {
	var all []modelRequest
	irises, digits, words := asked{"iris", rowsOf("iris"), 0}, asked{"digits", rowsOf("digits"), 0}, 0
	for i := range 40 * demoUsers {
		switch turn := i % 40; {
		case turn == 0:
			all = append(all, chatRequest(demoUser(words), fmt.Sprintf("What does the router do with request %d?", i)))
			words++
		case turn%4 == 2 && turn != 38:
			all = append(all, digits.next())
		default:
			all = append(all, irises.next())
		}
	}
	return all
}

// asked is a model with the rows and users whose turn it is.
type asked struct {
	model string
	rows  []string
	turn  int
}

func (a *asked) next() modelRequest {
	m := modelRequest{route: a.model, path: "/v2/models/" + a.model + "/infer", user: demoUser(a.turn), body: a.rows[a.turn%len(a.rows)]}
	a.turn++
	return m
}

func demoUser(turn int) string { return fmt.Sprintf("user-%03d", turn%demoUsers) }

// rowsOf are requests for the class of each held-out row. They do not ask for probabilities, so that two builds of a version
// that come to the same class answer alike, byte for byte.
func rowsOf(model string) []string {
	samples, err := modeltest.Samples(model)
	if err != nil {
		panic(err) // embedded
	}
	bodies := make([]string, len(samples))
	for i, s := range samples {
		bodies[i] = string(modeltest.InferBody([][]float64{s.Row}, "class"))
	}
	return bodies
}

// trickleTally counts answers since the last line.
type trickleTally struct {
	mu     sync.Mutex
	routes map[string]*routeTally
	failed int
}

type routeTally struct {
	pools map[string]int
	took  []time.Duration
}

func (y *trickleTally) note(route, pool string, took time.Duration, ok bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if !ok {
		y.failed++
		return
	}
	if y.routes == nil {
		y.routes = map[string]*routeTally{}
	}
	r := y.routes[route]
	if r == nil {
		r = &routeTally{pools: map[string]int{}}
		y.routes[route] = r
	}
	r.pools[pool]++
	r.took = append(r.took, took)
}

// line says what happened since the last one, and begins anew.
func (y *trickleTally) line(now time.Time) string {
	y.mu.Lock()
	routes, failed := y.routes, y.failed
	y.routes, y.failed = nil, 0
	y.mu.Unlock()

	parts := []string{now.Format("15:04:05")}
	for _, name := range []string{"iris", "digits", "chat"} {
		if r := routes[name]; r != nil {
			parts = append(parts, name+": "+r.String())
		}
	}
	return strings.Join(append(parts, fmt.Sprintf("%d failed", failed)), "  |  ")
}

// String is the share of each pool and the 99th percentile of the time to the last byte.
func (r *routeTally) String() string {
	shares := map[string]float64{}
	for pool, n := range r.pools {
		shares[pool] = float64(n) / float64(len(r.took))
	}
	var parts []string
	for _, pool := range byShare(shares) {
		parts = append(parts, fmt.Sprintf("%s %.3g%%", pool, 100*shares[pool]))
	}
	slices.Sort(r.took)
	p99 := r.took[(len(r.took)*99-1)/100]
	return fmt.Sprintf("%s, p99 %s of %d", strings.Join(parts, " "), brief(p99), len(r.took))
}

// brief is a time as one would say it.
func brief(d time.Duration) time.Duration {
	if d >= time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}
