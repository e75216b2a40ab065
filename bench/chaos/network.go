package main

import (
	"context"
	"time"
)

// networks are the faults of the network before one of the three.
func networks() []scenario {
	through := func(name, what string, ill illness, promises ...promise) scenario {
		return scenario{name: name, what: what, network: true, cause: ailing(ill), promises: promises}
	}
	wellEnough := []promise{failures(0), slowShare(0.05)}
	return []scenario{
		through("net-down", "connections to one are cut, and refused", illness{down: true}, ejected...),
		through("net-latency", "answers of one come 200 ms later, give or take 100", delaying, wellEnough...),
		through("net-bandwidth", "answers of one come at 20 kB/s", illness{toxic: "bandwidth", with: set{"rate": 20}}, wellEnough...),
		through("net-slices", "answers of one come in segments of 7 bytes", slicing, wellEnough...),
		through("net-late-close", "connections to one end 2 s later than they should", illness{toxic: "slow_close", with: set{"delay": 2000}}, wellEnough...),
		through("net-cut", "answers of one end after 100 bytes", illness{toxic: "limit_data", with: set{"bytes": 100}}, ejected...),
		through("net-reset", "connections to one are reset instead of answers", illness{toxic: "reset_peer", with: set{"timeout": 0}}, ejected...),
		through("net-vanish", "no byte of one arrives any more", vanishing, ejected...),
	}
}

// set are attributes of a toxic.
type set = map[string]int

var (
	delaying  = illness{toxic: "latency", with: set{"latency": 200, "jitter": 100}}
	slicing   = illness{toxic: "slicer", with: set{"average_size": 7, "size_variation": 0, "delay": 1000}}
	vanishing = illness{toxic: "timeout", with: set{"timeout": 0}}
)

// ailing makes the network ill, and well again.
func ailing(ill illness) cause {
	falls := func(ill illness) cause {
		return func(ctx context.Context, x *experiment) error { return x.relay.falls(ctx, ill) }
	}
	return lasting(misbehaveFor, 3*time.Second, falls(ill), falls(illness{}))
}
