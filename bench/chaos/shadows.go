package main

import (
	"context"
	"time"
)

// shadows are faults of a pool that gets a copy of everything. Before it breaks there are no copies: the latency from then is what the
// latency is held against while copies go to something broken.
func shadows() []scenario {
	const s, megabyte = time.Second, 1_000_000
	say := func(words string) cause {
		return func(ctx context.Context, x *experiment) error { return x.servers[next].misbehave(ctx, words) }
	}
	die := func(_ context.Context, x *experiment) error { return x.servers[next].kill() }
	stop := func(_ context.Context, x *experiment) error { return x.servers[next].freeze() }
	copied := func(name, what string, breaks cause) scenario {
		return scenario{
			name: "shadow-" + name, what: what, shadow: true, calm: 4 * s, cause: shadowing(breaks),
			promises: []promise{failures(0), asFastAsBefore(0.10, 5*time.Millisecond), grows(64)},
		}
	}
	large := func(of scenario) scenario {
		of.name, of.what, of.body, of.rate = of.name+"-1mb", of.what+"; requests have 1 MB", megabyte, 30
		of.promises = []promise{failures(0), grows(64)}
		return of
	}
	list := []scenario{
		copied("hang", "the shadow never answers", say("hang=head")),
		copied("die", "the shadow is killed with -9", die),
		copied("slow", "the shadow takes 5 s for every answer", say("delay=5s")),
		copied("freeze", "the shadow is frozen by SIGSTOP", stop),
	}
	for _, small := range list {
		list = append(list, large(small))
	}
	return list
}

// shadowing has everything copied to a shadow that is broken already.
func shadowing(breaks cause) cause {
	copies := func(share int) cause {
		return func(ctx context.Context, x *experiment) error {
			x.copied = share
			return x.usual(ctx)
		}
	}
	begin := func(ctx context.Context, x *experiment) error {
		if err := breaks(ctx, x); err != nil {
			return err
		}
		return copies(100)(ctx, x)
	}
	return lasting(8*time.Second, 2*time.Second, begin, copies(0))
}
