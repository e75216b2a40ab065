package router

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/protocol"
)

// Shadow is a pool that gets copies of a route's requests.
type Shadow struct {
	Pool   *Pool
	Meter  *monitor.ShadowMeter
	Config *config.Shadow
	// Adapter reads what answers predict; nil where the route has no protocol.
	Adapter protocol.Adapter
	// Kept is what the comparing of its answers keeps, until the shadow leaves the config or compares otherwise.
	Kept *atomic.Value
	// InFlight and Bytes are what its copies take now. They are the estate's: a swap of tables leaves them as they are.
	InFlight, Bytes *atomic.Int64

	below  uint64  // of 2^53 numbers, those below it mean: copy
	probed uint64  // and of another: ask the live pool again
	again  []*Pool // those that may have to be asked, with connections of copies; empty without noise_probe
}

// precision is how many bits of a random number decide: as many as a float64 between 0 and 1 has.
const precision = 53

// newShadow makes a shadow of the pool of that name; copied has pools with the connections of copies.
func newShadow(r *Route, copied func(string) *Pool, name string, e *Estate) *Shadow {
	cfg, held := r.Config.Shadow[name], e.load(identity{r.Name, name})
	s := &Shadow{
		Pool: copied(name), Meter: e.Registry.Shadow(r.Name, name), Config: cfg,
		InFlight: &held.inFlight, Bytes: &held.bytes, Kept: held.keptFor(&cfg.Compare, r.Adapter), Adapter: r.Adapter,
		below: below(cfg.Sample), probed: below(cfg.NoiseProbe),
	}
	if s.probed > 0 {
		for _, v := range slices.Concat(r.Versions, r.Failover) {
			s.again = append(s.again, copied(v.Pool.Name))
		}
	}
	return s
}

func below(share float64) uint64 { return uint64(math.Ldexp(share, precision)) }

// Sample decides whether this request is copied. It draws from the runtime's generator (ChaCha8, seeded by the system, one
// state per thread), which has nothing to do with rotation or sticky keys: the copies are a fair sample of every version's
// requests and of every user's.
func (s *Shadow) Sample() bool { return rand.Uint64()>>(64-precision) < s.below }

// Again is the live pool of that name, if this copy is one for which it is asked again, with the connections and the health of
// copies: nothing of live traffic is charged. Else nil.
func (s *Shadow) Again(name string) *Pool {
	if s.probed == 0 || rand.Uint64()>>(64-precision) >= s.probed {
		return nil
	}
	for _, p := range s.again {
		if p.Name == name && p.Serves() {
			return p
		}
	}
	return nil
}
