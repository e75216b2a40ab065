package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// result is what one peer did in one round of a workload.
type result struct {
	Case     string  `json:"case"`
	Peer     string  `json:"peer"`
	Round    int     `json:"round"`
	CPU      float64 `json:"cpu_us"`   // microseconds of CPU time per exchange; of a workload of idle connections, per connection and second
	Rate     float64 `json:"rate"`     // exchanges a second
	Median   float64 `json:"p50_us"`   // microseconds; of streams, by which an event came later than it was sent
	P99      float64 `json:"p99_us"`   // likewise
	First    float64 `json:"first_us"` // median until the first event of a stream; 0: no streams
	Memory   int64   `json:"peak_rss"` // bytes
	Use      float64 `json:"core_use"` // of the proxy's core
	Failures int64   `json:"failures"` // exchanges that had no good answer
	Canary   float64 `json:"canary"`   // share of the requests that it got
	Mirrored float64 `json:"mirrored"` // copies per request
}

// measure has a peer carry a workload for a while.
func (o *options) measure(ctx context.Context, p *peer, w *workload, round int) (res *result, err error) {
	folder, err := os.MkdirTemp("", "mlproxy-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	site, err := build(w)
	if err != nil {
		return nil, err
	}
	defer site.close()
	proxy, err := p.start(ctx, o, site.setting(w, folder))
	if err != nil {
		return nil, err
	}
	defer proxy.stop()
	all := begin(w, proxy.address)
	defer all.end()
	if err := warm(ctx, all); err != nil {
		return nil, fmt.Errorf("%s, %s: %w", p.name, w.name, err)
	}
	res, err = o.window(ctx, all, tree(proxy.cmd.Process.Pid), site)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", p.name, w.name, err)
	}
	res.Case, res.Peer, res.Round = w.name, p.name, round
	return res, nil
}

// site is the model servers behind a proxy: stable, canary, shadow.
type site [3]*model

func build(w *workload) (s site, err error) {
	for i := range s {
		if s[i], err = serve(w); err != nil {
			s.close()
			return s, err
		}
	}
	return s, nil
}

func (s site) close() {
	for _, m := range s {
		if m != nil {
			m.close()
		}
	}
}

func (s site) setting(w *workload, folder string) setting {
	others := make([]int, w.routes)
	for i := range others {
		others[i] = i
	}
	return setting{
		Folder: folder, Stable: s[0].addresses(max(w.endpoints, 1)), Canary: s[1].addresses(1)[0], Shadow: s[2].addresses(1)[0],
		Ask: w.ask, Events: w.events, Mirror: w.mirror, Inspect: w.inspect, Others: others,
	}
}

func (s site) served() (n [3]int64) {
	for i, m := range s {
		n[i] = m.served.Load()
	}
	return n
}

// warmUp is for pools to fill and processors to wake, once every client has had an answer.
const warmUp = 500 * time.Millisecond

func warm(ctx context.Context, all *clients) error {
	ready := make(chan struct{})
	go sync.OnceFunc(func() { all.ready.Wait(); close(ready) })()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-ready:
	case <-limit.C:
		return errors.New("not every client had an answer within " + patience.String())
	case <-ctx.Done():
		return ctx.Err()
	}
	return pause(ctx, warmUp)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// window looks at the clients and at the proxy for as long as a round takes.
func (o *options) window(ctx context.Context, all *clients, proxy tree, s site) (*result, error) {
	if err := proxy.forget(); err != nil {
		return nil, err
	}
	served := s.served()
	before, err := proxy.used()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	all.measured.Store(true)
	if err := pause(ctx, o.duration); err != nil {
		return nil, err
	}
	all.measured.Store(false)
	took := time.Since(began)
	after, err := proxy.used()
	if err != nil {
		return nil, err
	}
	memory, err := proxy.peak()
	if err != nil {
		return nil, err
	}
	answers := all.answers.Load()
	r := &result{
		Rate: float64(answers) / took.Seconds(), Use: (after - before).Seconds() / took.Seconds(), Memory: memory, Failures: all.failures.Load(),
		Median: micros(all.times.quantile(.5)), P99: micros(all.times.quantile(.99)), First: micros(all.firsts.quantile(.5)),
	}
	switch {
	case answers > 0:
		r.CPU = micros(after-before) / float64(answers)
	case all.load.idle:
		r.CPU = micros(after-before) / float64(all.load.clients) / took.Seconds()
	default:
		return nil, fmt.Errorf("no answer in %v", took)
	}
	r.Canary, r.Mirrored = s.shares(served)
	return r, nil
}

// shares are the parts of the requests since before that the canary got, and the shadow besides.
func (s site) shares(before [3]int64) (canary, mirrored float64) {
	now := s.served()
	live := float64(now[0] - before[0] + now[1] - before[1])
	if live == 0 {
		return 0, 0
	}
	return float64(now[1]-before[1]) / live, float64(now[2]-before[2]) / live
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
