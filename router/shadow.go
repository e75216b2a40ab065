package router

import (
	"math"
	"math/rand/v2"
	"sync/atomic"

	"mlproxy/config"
	"mlproxy/monitor"
)

// Shadow is a pool that gets copies of a route's requests.
type Shadow struct {
	Pool   *Pool
	Meter  *monitor.ShadowMeter
	Config *config.Shadow
	// InFlight and Bytes are what its copies take now. They are the estate's: a swap of tables leaves them as they are.
	InFlight, Bytes *atomic.Int64

	below uint64 // of 2^53 numbers, those below it mean: copy
}

// precision is how many bits of a random number decide: as many as a float64 between 0 and 1 has.
const precision = 53

func newShadow(r *Route, p *Pool, e *Estate) *Shadow {
	cfg, held := r.Config.Shadow[p.Name], e.load(identity{r.Name, p.Name})
	return &Shadow{
		Pool: p, Meter: e.Registry.Shadow(r.Name, p.Name), Config: cfg,
		InFlight: &held.inFlight, Bytes: &held.bytes,
		below: uint64(math.Ldexp(cfg.Sample, precision)),
	}
}

// Sample decides whether this request is copied. It draws from the runtime's generator (ChaCha8, seeded by the system, one
// state per thread), which has nothing to do with rotation or sticky keys: the copies are a fair sample of every version's
// requests and of every user's.
func (s *Shadow) Sample() bool { return rand.Uint64()>>(64-precision) < s.below }
