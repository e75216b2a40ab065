package health

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Everything at once, for the race detector; and in the end, when all is well, the endpoint is in use.
func TestEverythingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		f.answer = func(string) (int, time.Duration) {
			return []int{200, 503}[rand.N(2)], time.Duration(rand.N(int64(time.Second)))
		}
		p := NewProber(func(Transition) {})
		p.client.Transport = f
		ctx, stop := context.WithCancel(t.Context())
		var running, working sync.WaitGroup
		running.Go(func() { p.Run(ctx) })
		b := Breaker{ConsecutiveFailures: 3, FailureRatio: 0.5, MinRequests: 10, HalfOpenRequests: 2, OpenFor: time.Second}
		c := Check{Path: "/", Interval: 300 * time.Millisecond, Rise: 1, Fall: 2}
		s := member(p, "a", b, &c)
		for range 16 {
			working.Go(func() {
				for range 500 {
					exchange(s)
				}
			})
		}
		working.Go(func() {
			for i := range 100 {
				b.OpenFor, c.Rise = time.Second+time.Duration(i%2), 1+i%3
				s.Configure(b, &c)
				time.Sleep(time.Second)
				_, _ = s.Condition(), s.FitSince()
			}
		})
		working.Wait()
		f.becomes(always(200))
		time.Sleep(time.Minute)
		_ = s.Do(outcome(nil))
		_ = s.Do(outcome(nil))
		is(t, s, "fit closed")
		stop()
		running.Wait()
	})
}

// exchange is one that takes some time and ends somehow.
func exchange(s *State) {
	work := func(trial *Trial) error {
		time.Sleep(time.Duration(rand.N(int64(2 * time.Second))))
		trial.Answered()
		return []error{nil, errBroken, errClient}[rand.N(3)]
	}
	switch {
	case s.Fit() || s.Unproven():
		_ = s.Do(work)
	case rand.N(10) == 0:
		_ = s.Insist(work)
	default:
		time.Sleep(100 * time.Millisecond)
	}
}
