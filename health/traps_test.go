package health

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Each trap is one that gobreaker v2, used as its own page shows, walks into.

// A half-open breaker lets one exchange through and waits for it: for ever, if that hangs.
func TestTrapHungHalfOpenProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := halfOpened(t, inRow, nil)
		_, end := hold(t, s) // it never ends by itself
		do(t, s, "!")
		for range 3 {
			time.Sleep(time.Hour)
			synctest.Wait()
			is(t, s, "fit half-open") // another one may try
			_, next := hold(t, s)
			defer next(errClient)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		do(t, s, "+")
		is(t, s, "fit closed")
		end(errBroken)
	})
}

// gobreaker forgets what began before its interval turned, so that exchanges that take longer than it never count.
func TestTrapOutcomeOfOlderGeneration(t *testing.T) {
	f := func(b Breaker, failures int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, _ := state(b, nil)
			var ends []func(error)
			for range failures {
				_, end := hold(t, s)
				ends = append(ends, end)
			}
			time.Sleep(time.Minute) // six windows
			for _, end := range ends {
				end(errBroken)
			}
			is(t, s, "unfit open")
		})
	}
	f(Breaker{ConsecutiveFailures: 3, Window: 10 * time.Second}, 3)
	f(Breaker{FailureRatio: 0.5, MinRequests: 20, Window: 10 * time.Second}, 20)
}

// gobreaker calls back under its mutex: whoever asks the breaker anything in there waits for itself.
func TestTrapCallbacksUnderMutex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *State
		var mu sync.Mutex
		told := 0
		s = NewState(Name{"live", "iris", "http://127.0.0.1:9001"}, func(Transition) {
			_ = s.Condition()
			_ = s.Fit()
			if err := s.Do(outcome(errClient)); err != nil && err != errClient && err != ErrOpen {
				t.Error(err)
			}
			mu.Lock()
			told++
			mu.Unlock()
		})
		s.Configure(inRow, nil)
		do(t, s, "---")
		time.Sleep(openFor)
		synctest.Wait()
		do(t, s, "+")
		is(t, s, "fit closed")
		mu.Lock()
		defer mu.Unlock()
		if told < 3 {
			t.Errorf("told %d times of opening, trying and closing", told)
		}
	})
}

// What gobreaker is not told to leave out counts: clients that leave, and those that ask wrongly, would take out a good endpoint.
func TestTrapClientsFaultsCount(t *testing.T) {
	for _, signs := range []string{"0000000000", "--0-", "--00000"} {
		s, _ := state(inRow, nil)
		do(t, s, signs)
		want := "fit closed"
		if signs == "--0-" { // nor do they count as successes between failures
			want = "unfit open"
		}
		is(t, s, want)
	}
}
