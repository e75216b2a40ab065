package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	usualRate = 400 // requests a second
	shortRate = 200
	atMost    = 2 * time.Minute // for one scenario, whatever happens
	comeBack  = 9 * time.Second // waited for endpoints to be back in rotation
)

// pace is how much time a scenario takes itself.
type pace struct {
	warm    time.Duration // before anything breaks
	grace   time.Duration // after it broke, in which a few requests may fail
	settle  time.Duration // after it was mended, at least
	timeout time.Duration // of the route, unless the scenario has its own
}

var (
	fullPace  = pace{warm: 2 * time.Second, grace: 4 * time.Second, settle: 3 * time.Second, timeout: 8 * time.Second}
	shortPace = pace{warm: 500 * time.Millisecond, grace: 2 * time.Second, settle: 500 * time.Millisecond, timeout: 1500 * time.Millisecond}
)

// experiment is one scenario being run.
type experiment struct {
	*site
	scenario
	pace
	load          *load
	broke, mended time.Time
	wishes        []wish
	seen          sight
}

// wish is a change of the config that was written: from then on every answer should come from one pool.
type wish struct {
	at        time.Time
	pool      string
	malformed bool // the change is to be refused
}

func (o *options) run(ctx context.Context, s scenario) (r *result, err error) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	x := &experiment{scenario: s, pace: fullPace}
	if o.short {
		x.pace = shortPace
	} else {
		x.warm = max(x.warm, s.calm)
	}
	x.site, err = open(ctx, o, &s, max(x.timeout, s.atLeast))
	var samples []sample
	if err == nil {
		samples, err = x.play(ctx)
	}
	log, ending := x.close()
	if err != nil {
		return nil, errors.Join(err, ending)
	}
	r = newResult(x, samples)
	r.Log = log
	if ending != nil {
		r.Ending = ending.Error()
		r.Broken = append(r.Broken, "mlproxy: "+r.Ending)
	}
	return r, nil
}

// play breaks and mends under load.
func (x *experiment) play(ctx context.Context) ([]sample, error) {
	rate := x.usualRate()
	x.load = x.site.load(rate, x.body)
	err := wait(ctx, x.warm)
	before := x.memory()
	if x.broke = time.Now(); err == nil {
		err = x.cause(ctx, x)
	}
	if x.mended = time.Now(); err == nil {
		x.awaitReturn(ctx, rate)
		err = wait(ctx, x.settle)
	}
	x.seen.Memory = x.peak()
	x.seen.Growth = max(0, x.seen.Memory-before)
	return x.load.end(), err
}

func (x *experiment) usualRate() int {
	switch {
	case x.options.rate > 0:
		return x.options.rate
	case x.rate > 0:
		return x.rate
	case x.options.short:
		return shortRate
	}
	return usualRate
}

func (x *experiment) awaitReturn(ctx context.Context, rate int) {
	ctx, cancel := context.WithTimeout(ctx, comeBack)
	defer cancel()
	x.load.await(ctx, func(seen []sample) bool {
		_, all := x.back(seen, rate)
		return all
	})
}

// back is how long after the mending the last of the victims was back in rotation.
func (x *experiment) back(seen []sample, rate int) (last time.Duration, all bool) {
	for _, victim := range x.victims {
		share := 0.9 / live
		if victim == canary {
			share = 0.1
		}
		at, is := inRotation(seen, x.servers[victim].name, x.mended, share*float64(rate)/2)
		if !is {
			return 0, false
		}
		last = max(last, at.Sub(x.mended))
	}
	return last, true
}

// wait is an error when ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("interrupted (%w)", context.Cause(ctx))
	}
}
