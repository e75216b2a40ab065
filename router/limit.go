package router

import (
	"net/netip"
	"sync/atomic"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
)

// Limit says whether a client may have one more request now. It is a token bucket for each client, kept as the one time at which
// the bucket will be full again (the generic cell rate algorithm, ITU-T I.371): a token takes the time of one request, and a bucket that
// has been full for a while needs no memory at all.
type Limit struct {
	by      string
	each    int64 // ns between two requests
	room    int64 // ns: the time of a whole burst
	buckets *buckets
	forgot  func()
}

// buckets are those of a route. They outlive tables: a reload must not fill them.
type buckets struct {
	route   bucket
	keys    map[string]*bucket // by name; compiling a table changes it, and nobody else reads it
	clients *clients           // nil until a limit is by client_ip
}

// newLimit is nil for a route without a limit.
func newLimit(cfg *config.RateLimit, b *buckets, reg *monitor.Registry) *Limit {
	if cfg == nil {
		return nil
	}
	each := max(1, int64(float64(time.Second)/cfg.RequestsPerSecond))
	if cfg.By == "client_ip" && b.clients == nil {
		b.clients = newClients()
	}
	return &Limit{by: cfg.By, each: each, room: each * int64(cfg.Burst), buckets: b, forgot: reg.RateForgotten}
}

// Take takes a token, from the bucket of the key, of the client's address, or of all. wait is how long there will be none; 0 = it was
// taken. key may be nil where the limit is not by key.
func (l *Limit) Take(key *Key, client netip.Addr, now time.Time) (wait time.Duration) {
	at := int64(now.Sub(epoch))
	switch l.by {
	case "route":
		return l.buckets.route.take(l, at)
	case "client_ip":
		return l.buckets.clients.take(l, Network(client), at)
	}
	return key.bucket.take(l, at)
}

// epoch is what the times in buckets count from.
var epoch = time.Now()

// bucket is when it is full again, in ns since epoch.
type bucket struct{ full atomic.Int64 }

func (b *bucket) take(l *Limit, now int64) time.Duration {
	for {
		old := b.full.Load()
		next, wait := l.next(old, now)
		if wait > 0 || b.full.CompareAndSwap(old, next) {
			return wait
		}
	}
}

// next is when a bucket that is full again at full will be so with one token less; wait is how long it has none.
func (l *Limit) next(full, now int64) (next int64, wait time.Duration) {
	full = min(max(full, now), now+l.room) // a burst that has become shorter holds nobody up for longer
	next = full + l.each
	return next, time.Duration(max(0, next-now-l.room))
}

// known are the buckets of a route, made when it is new, with one for each key of cfg and no others.
func (e *Estate) known(route string, cfg *config.APIKeys) *buckets {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.buckets[route]
	if b == nil {
		b = &buckets{}
		e.buckets[route] = b
	}
	keys := map[string]*bucket{}
	if cfg != nil {
		for name := range cfg.Keys {
			if keys[name] = b.keys[name]; keys[name] == nil {
				keys[name] = new(bucket)
			}
		}
	}
	b.keys = keys
	return b
}
