package main

import (
	"context"
	"slices"
	"time"
)

// scenario is something that breaks.
type scenario struct {
	name, what string
	rate       int           // of requests a second; 0 = the usual
	body       int           // bytes of a request; 0 = as few as can be
	network    bool          // the first server is behind a relay
	shadow     bool          // there is a server for copies
	settings   string        // YAML of mlproxy at its top level
	files      int           // descriptors that mlproxy may have; 0 = as many as we may
	victims    []int         // the servers of which the return to rotation is timed
	calm       time.Duration // before anything breaks, at least, to compare with
	cause      cause         // breaks and mends
	atLeast    time.Duration // of the route's timeout
	patience   time.Duration // of users; 0 = the usual
	promises   []promise
}

// cause breaks something and mends it again.
type cause func(context.Context, *experiment) error

var (
	one       = []int{0}
	everyone  = []int{0, 1, 2, canary}
	theCanary = []int{canary}

	ejected = []promise{inGrace(0.05), noneAfter()}
	hidden  = []promise{inGrace(0.05), oneLaterIn(10 * time.Second)} // users' requests alone can find out whether it is over
	slowed  = []promise{failures(0), slowShare(0.05)}
)

var scenarios = slices.Concat(faults(), networks(), shadows(), exhaustions())

// misbehaveFor is how long a server misbehaves: a breaker that is open for 5 s has tried it by then.
const misbehaveFor = 12 * time.Second

// faults are those of model servers, and of our own config. Those called sly break requests only: probes find nothing, but a GET of the
// path that failed does. One called post is hidden from that as well.
func faults() []scenario {
	const s = time.Second
	return []scenario{
		{
			name: "kill", what: "one of three is killed with -9, and started anew", victims: one,
			cause: lasting(5*s, 2*s, kill, revive), promises: []promise{failures(5), backWithin(5 * s)},
		},
		{name: "freeze", what: "one is frozen by SIGSTOP, and continued", victims: one, cause: lasting(12*s, 3*s, freeze, thaw), promises: ejected},
		{name: "hang", what: "one accepts and never answers", victims: one, cause: misbehaving("hang=head,health"), promises: ejected},
		{name: "hang-sly", what: "one never answers requests", victims: one, cause: misbehaving("hang=head"), promises: ejected},
		{
			name: "hang-impatient", what: "one never answers requests, whose users leave after a second", victims: one, patience: s,
			cause: lasting(30*s, 4*s, saying("hang=head"), saying(wellBehaved)), promises: ejected,
		},
		{name: "500", what: "one answers 500", victims: one, cause: misbehaving("status=500,health"), promises: ejected},
		{name: "500-sly", what: "one answers requests with 500", victims: one, cause: misbehaving("status=500"), promises: ejected},
		{name: "500-post", what: "one answers POSTs with 500, and all else well", victims: one, cause: misbehaving("status=500,post"), promises: hidden},
		{name: "reset", what: "one resets in the middle of answers", victims: one, cause: misbehaving("reset=body,health"), promises: ejected},
		{name: "reset-sly", what: "one resets in the middle of answers to requests", victims: one, cause: misbehaving("reset=body"), promises: ejected},
		{name: "empty", what: "one closes connections without an answer", victims: one, cause: misbehaving("close=early,health"), promises: ejected},
		{name: "empty-sly", what: "one closes connections without an answer to requests", victims: one, cause: misbehaving("close=early"), promises: ejected},
		{name: "bodiless", what: "one announces a body, sends none and closes", victims: one, cause: misbehaving("truncate=all,health"), promises: ejected},
		{name: "slow", what: "one takes 5 s for every answer", victims: one, cause: misbehaving("delay=5s,health"), atLeast: 8 * s, promises: slowed},
		{name: "slow-sly", what: "one takes 5 s for every answer to requests", victims: one, cause: misbehaving("delay=5s"), atLeast: 8 * s, promises: slowed},
		{
			name: "all-down", what: "all four are killed with -9, and started anew", victims: everyone, cause: lasting(5*s, 2*s, kill, revive),
			promises: []promise{answered(), fastWhileDown(500 * time.Millisecond), servingWithin(1500 * time.Millisecond)},
		},
		{
			name: "all-frozen", what: "all four are frozen by SIGSTOP, and continued", victims: everyone, cause: lasting(12*s, 4*s, freeze, thaw),
			promises: []promise{answered(), fastLater(500 * time.Millisecond), servingWithin(1500 * time.Millisecond)},
		},
		{
			name: "flapping", what: "one is killed with -9 and started anew, a second each", victims: one, cause: flapping(12*s, 4*s),
			promises: []promise{failedShare(0.005)},
		},
		{
			name: "canary", what: "the canary at 10% answers every request with 500", victims: theCanary, cause: misbehaving("status=500"),
			promises: []promise{failedShare(0.03)},
		},
		{
			name: "canary-slow", what: "the canary at 10% takes 5 s for every answer", victims: theCanary, cause: misbehaving("delay=5s"), atLeast: 8 * s,
			promises: []promise{failures(0), slowShare(0.12), othersFast(100 * time.Millisecond)},
		},
		{
			name: "stop", what: "mlproxy is told to end by SIGTERM", cause: stopped,
			promises: []promise{onlyRefused(), exits(5 * s)},
		},
		{
			name: "reload", what: "50 reloads, with malformed configs between them", rate: 2000, cause: reloads(50, 10),
			promises: []promise{failures(0), inForceWithin(s), malformedRefused()},
		},
	}
}

// lasting breaks, waits, and mends.
func lasting(full, short time.Duration, breaks, mends cause) cause {
	return func(ctx context.Context, x *experiment) error {
		if err := breaks(ctx, x); err != nil {
			return err
		}
		if err := wait(ctx, either(x, full, short)); err != nil {
			return err
		}
		return mends(ctx, x)
	}
}

func either[T any](x *experiment, full, short T) T {
	if x.options.short {
		return short
	}
	return full
}

// eachVictim does something to all of them.
func eachVictim(do func(context.Context, *server) error) cause {
	return func(ctx context.Context, x *experiment) error {
		for _, victim := range x.victims {
			if err := do(ctx, x.servers[victim]); err != nil {
				return err
			}
		}
		return nil
	}
}

var (
	kill   = eachVictim(func(_ context.Context, s *server) error { return s.kill() })
	revive = eachVictim(func(ctx context.Context, s *server) error { return s.start(ctx) })
	freeze = eachVictim(func(_ context.Context, s *server) error { return s.freeze() })
	thaw   = eachVictim(func(_ context.Context, s *server) error { return s.thaw() })
)

func misbehaving(words string) cause {
	return lasting(misbehaveFor, 3*time.Second, saying(words), saying(wellBehaved))
}

// saying tells the victims how to behave from now on.
func saying(words string) cause {
	return eachVictim(func(ctx context.Context, s *server) error { return s.misbehave(ctx, words) })
}

func flapping(full, short time.Duration) cause {
	blink := lasting(time.Second, time.Second, kill, revive)
	return func(ctx context.Context, x *experiment) error {
		for began := time.Now(); time.Since(began) < either(x, full, short); {
			if err := blink(ctx, x); err != nil {
				return err
			}
			if err := wait(ctx, time.Second); err != nil {
				return err
			}
		}
		return nil
	}
}
