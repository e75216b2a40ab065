package router

import (
	"sync"
	"sync/atomic"
	"time"

	"mlproxy/config"
)

// Budget keeps a route's retries to a share of its requests, so that trouble is not answered by more load. What is not
// spent goes stale within about ten seconds: calm hours do not pay for a storm. Beside it stands a small allowance per second,
// without which a route of few requests could never retry.
type Budget struct {
	earned atomic.Int64 // requests since the last Spend

	mu        sync.Mutex // held by Spend alone, when a request has failed already
	cfg       *config.Retry
	at        time.Time // of the last Spend
	credit    float64   // retries the requests have earned
	allowance float64   // retries the seconds have
}

// fresh is how long a request pays for retries.
const fresh = 10 * time.Second

func newBudget(cfg *config.Retry) *Budget {
	b := &Budget{cfg: cfg, at: time.Now()}
	b.allowance = b.most()
	return b
}

// Earn counts a request.
func (b *Budget) Earn() { b.earned.Add(1) }

// Spend reports whether one more try may be made, and counts it.
func (b *Budget) Spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle(time.Now())
	for _, purse := range []*float64{&b.credit, &b.allowance} {
		if *purse >= 1 {
			*purse--
			return true
		}
	}
	return false
}

// settle accounts for the time since the last Spend.
func (b *Budget) settle(now time.Time) {
	passed := now.Sub(b.at)
	b.at = now
	requests := float64(b.earned.Swap(0))
	if passed > fresh { // they came evenly, as far as anyone knows
		requests *= fresh.Seconds() / passed.Seconds()
	}
	b.credit *= max(0, 1-passed.Seconds()/fresh.Seconds())
	b.credit += requests * b.cfg.Budget
	b.allowance = min(b.allowance+passed.Seconds()*b.cfg.MinPerSecond, b.most())
}

// most is how many retries the allowance may hold: one second's, but a whole one.
func (b *Budget) most() float64 {
	if b.cfg.MinPerSecond == 0 {
		return 0
	}
	return max(1, b.cfg.MinPerSecond)
}
