package router

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mlproxy/config"
	"mlproxy/upstream"
)

// policy is a way to balance a pool's requests over its endpoints. Every pool of every table has one of its own. Pick may
// be called by many at once, and allocates nothing.
type policy interface {
	// Pick returns one of from, which is never empty, by weight where nothing else speaks for one of them. Requests with an equal
	// key may be kept together; those with 0 have none.
	Pick(from *members, key uint64) *upstream.Endpoint
}

// policies makes them, by the name that pools.*.balance has for them.
var policies = map[string]func() policy{}

// register is called by the init function of each policy's file.
func register(name string, build func() policy) { policies[name] = build }

func unknownPolicies(cfg *config.Config) (faults config.Faults) {
	for name, pool := range cfg.Pools {
		if policies[pool.Balance] == nil {
			at := "pools." + name + ".balance"
			faults = append(faults, cfg.Fault(at, fmt.Sprintf("%s is %q", at, pool.Balance),
				"write "+strings.Join(slices.Sorted(maps.Keys(policies)), " or ")))
		}
	}
	return faults
}
