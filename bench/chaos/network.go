package main

import (
	"context"
	"time"
)

// networks are the faults of the network before one of the three.
func networks() []scenario {
	const s, ms = time.Second, time.Millisecond
	through := func(name, what string, ill illness, promises ...promise) scenario {
		return scenario{name: name, what: what, network: true, cause: ailing(ill), promises: promises}
	}
	wellEnough := []promise{failures(0), slowShare(0.05)}
	return []scenario{
		through("net-shut", "connections to one are accepted and closed at once", illness{shut: true}, ejected...),
		through("net-latency", "answers of one come 200 ms later, give or take 100", illness{latency: 200 * ms, jitter: 100 * ms}, wellEnough...),
		through("net-bandwidth", "answers of one come at 20 kB/s", illness{perSecond: 20_000}, wellEnough...),
		through("net-slices", "answers of one come in segments of 7 bytes", illness{slice: 7}, wellEnough...),
		through("net-late-close", "connections to one end 2 s later than they should", illness{lateClose: 2 * s}, wellEnough...),
		through("net-reset", "connections to one are reset after 100 bytes of answers", illness{resetAfter: 100}, ejected...),
		through("net-vanish", "nothing arrives of one after 100 bytes of answers", illness{vanishAfter: 100}, ejected...),
	}
}

// ailing makes the network ill, and well again. What was closed at once is cut off also where it was open.
func ailing(ill illness) cause {
	falls := func(ill illness) cause {
		return func(_ context.Context, x *experiment) error {
			x.relay.falls(ill)
			return nil
		}
	}
	return lasting(misbehaveFor, 3*time.Second, falls(ill), falls(illness{}))
}
