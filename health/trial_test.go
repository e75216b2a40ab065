package health

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const openFor = 5 * time.Second

func TestTrialDecides(t *testing.T) {
	f := func(trials uint32, signs, want string, told ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, d := opened(t, Breaker{ConsecutiveFailures: 3, HalfOpenRequests: trials}, nil)
			time.Sleep(openFor - 1)
			is(t, s, "unfit open")
			do(t, s, "!")
			d.says(t)
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			d.says(t, "breaker open > half-open: 5s are over, the next request tries it")
			is(t, s, "fit half-open")
			do(t, s, signs)
			is(t, s, want)
			d.says(t, told...)
		})
	}
	const good = "breaker half-open > closed: the trial succeeded"
	const bad = "breaker half-open > open: the trial failed: connection reset by peer"
	f(1, "+", "fit closed", good)
	f(1, "-", "unfit open", bad)
	f(1, "-!", "unfit open", bad)
	f(1, "0", "fit half-open") // another one may try
	f(1, "000+", "fit closed", good)
	f(3, "++", "fit half-open")
	f(3, "+++", "fit closed", good)
	f(3, "++-", "unfit open", bad)
	f(1, "+--", "fit closed", good) // it begins with nothing against it
}

// hold begins an exchange that ends when end is called with its outcome.
func hold(t testing.TB, s *State) (trial *Trial, end func(error)) {
	t.Helper()
	began, outcome, over := make(chan *Trial), make(chan error), make(chan struct{})
	go func() {
		defer close(over)
		if err := s.Do(func(trial *Trial) error { began <- trial; return <-outcome }); err == ErrOpen {
			t.Error("not let in")
			began <- nil
		}
	}()
	return <-began, func(err error) { outcome <- err; <-over }
}

func halfOpened(t testing.TB, b Breaker, c *Check) (*State, *diary) {
	t.Helper()
	s, d := opened(t, b, c)
	time.Sleep(openFor)
	synctest.Wait()
	d.next()
	return s, d
}

// While it is tried, an endpoint looks unfit to the others, and those that come all the same are sent elsewhere.
func TestTrialsAreFew(t *testing.T) {
	f := func(most int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, _ := halfOpened(t, Breaker{ConsecutiveFailures: 3, HalfOpenRequests: uint32(most)}, nil)
			var ends []func(error)
			for range most {
				is(t, s, "fit half-open")
				trial, end := hold(t, s)
				if trial.Limit() != openFor {
					t.Errorf("a trial of %v", trial.Limit())
				}
				ends = append(ends, end)
			}
			is(t, s, "unfit half-open")
			do(t, s, "!!")
			for _, end := range ends {
				end(nil)
			}
			is(t, s, "fit closed")
		})
	}
	f(1)
	f(3)
}

func TestOrdinaryExchangeIsNoTrial(t *testing.T) {
	s, _ := state(inRow, nil)
	_ = s.Do(func(trial *Trial) error {
		trial.Answered()
		if trial != nil || trial.Limit() != 0 {
			t.Error("it is a trial")
		}
		return nil
	})
}

// A trial that hangs does not keep the endpoint out for ever, and counts as a failure once.
func TestTrialThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := halfOpened(t, inRow, nil)
		_, end := hold(t, s)
		time.Sleep(openFor)
		synctest.Wait()
		is(t, s, "unfit open")
		d.says(t, "breaker half-open > open: the trial failed: no answer within 5s")
		time.Sleep(openFor)
		synctest.Wait()
		is(t, s, "fit half-open")
		d.next()
		end(errBroken) // at long last; the trial of now is another one
		is(t, s, "fit half-open")
		do(t, s, "+")
		is(t, s, "fit closed")
	})
}

// A stream that has begun well does not hold up the recovery until it ends.
func TestTrialThatStreams(t *testing.T) {
	f := func(ending error, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, d := halfOpened(t, Breaker{ConsecutiveFailures: 1}, nil)
			trial, end := hold(t, s)
			trial.Answered()
			is(t, s, "unfit half-open") // it may still break off
			time.Sleep(openFor)
			synctest.Wait()
			is(t, s, "fit closed")
			d.says(t, "breaker half-open > closed: the trial succeeded")
			time.Sleep(time.Minute)
			end(ending)
			is(t, s, want)
		})
	}
	f(nil, "fit closed")
	f(errClient, "fit closed")
	f(errBroken, "unfit open") // as any exchange that fails
}

// What a trial whose client leaves, or is wrong, says: that the endpoint answers, if it did.
func TestTrialExcluded(t *testing.T) {
	f := func(answered bool, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, _ := halfOpened(t, inRow, nil)
			_ = s.Do(func(trial *Trial) error {
				if answered {
					trial.Answered()
				}
				return errClient
			})
			is(t, s, want)
		})
	}
	f(true, "fit closed")
	f(false, "fit half-open")
}

// A trial of one half-open phase is none of the next one.
func TestTrialOfAnEarlierPhase(t *testing.T) {
	f := func(late error) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, _ := halfOpened(t, Breaker{ConsecutiveFailures: 3, HalfOpenRequests: 2}, nil)
			time.Sleep(time.Second)
			_, end := hold(t, s)
			do(t, s, "-")
			is(t, s, "unfit open")
			time.Sleep(openFor - 1)
			end(late)
			is(t, s, "unfit open")
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			do(t, s, "+")
			is(t, s, "fit half-open") // one of two
		})
	}
	f(nil)
	f(errBroken)
	f(errClient)
}

func TestPanicCountsAsFailure(t *testing.T) {
	f := func(s *State, do func(func(*Trial) error) error, want string) {
		t.Helper()
		func() {
			defer func() {
				if recover() != "at the disco" {
					t.Error("the panic is lost")
				}
			}()
			_ = do(func(*Trial) error { panic("at the disco") })
		}()
		is(t, s, want)
	}
	synctest.Test(t, func(t *testing.T) {
		s, _ := state(Breaker{ConsecutiveFailures: 1}, nil)
		f(s, s.Do, "unfit open")
		f(s, s.Insist, "unfit open")
		time.Sleep(openFor)
		synctest.Wait()
		f(s, s.Do, "unfit open")
	})
}

// For want of any fit endpoint requests go to those whose breaker is open too; the first one answered ends that.
func TestInsist(t *testing.T) {
	f := func(signs, want string, told ...string) {
		t.Helper()
		s, d := opened(t, inRow, nil)
		for _, sign := range signs {
			want := map[rune]error{'+': nil, '-': errBroken, '0': errClient}[sign]
			if err := s.Insist(outcome(want)); err != want {
				t.Error(err)
			}
		}
		is(t, s, want)
		d.says(t, told...)
	}
	const back = "breaker open > closed: it answered a request that was sent to it for want of a fit endpoint"
	f("-", "unfit open")
	f("0", "unfit open")
	f("+", "fit closed", back)
	f("-+", "fit closed", back)
	f("+++", "fit closed", back)
	f("+---", "unfit open", back, "breaker closed > open: 3 requests in a row failed, the last: connection reset by peer")
}

// Insisting is like any exchange as long as the breaker lets pass, and takes the part of the trial when there is room.
func TestInsistOrdinarily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := state(inRow, nil)
		for range 3 {
			_ = s.Insist(outcome(errBroken))
		}
		is(t, s, "unfit open")
		time.Sleep(openFor)
		synctest.Wait()
		d.next()
		_ = s.Insist(func(trial *Trial) error {
			if trial == nil {
				t.Error("it is no trial")
			}
			_ = s.Insist(outcome(errBroken)) // there is a trial already
			is(t, s, "unfit half-open")
			return nil
		})
		d.says(t, "breaker half-open > closed: the trial succeeded")
	})
}

// Only whole fitness begins a slow start.
func TestFitSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := time.Now()
		s, _ := state(inRow, nil)
		f := func(want time.Time) {
			t.Helper()
			if got := s.FitSince(); !got.Equal(want) {
				t.Errorf("%v; want %v", got.Sub(made), want.Sub(made))
			}
		}
		time.Sleep(time.Second)
		f(made)
		do(t, s, strings.Repeat("-", 3))
		time.Sleep(openFor)
		synctest.Wait()
		f(made)
		time.Sleep(time.Second)
		do(t, s, "0+")
		f(time.Now())
		time.Sleep(time.Second)
		do(t, s, "-+")
		s.Configure(inRow, &ready)
		probed(s, "++")
		f(time.Now().Add(-time.Second))
	})
}

// A trial that the client left, long after the settings changed, makes no room for a second one.
func TestTrialUnderOldSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := halfOpened(t, inRow, nil)
		_, end := hold(t, s)
		s.Configure(Breaker{ConsecutiveFailures: 1, OpenFor: time.Second}, nil)
		do(t, s, "-")
		time.Sleep(time.Second)
		synctest.Wait()
		end(errClient)
		_, endNew := hold(t, s)
		is(t, s, "unfit half-open")
		endNew(nil)
		is(t, s, "fit closed")
	})
}

// What was insisted upon under old settings revives nothing under new ones.
func TestInsistUnderOldSettings(t *testing.T) {
	s, _ := opened(t, inRow, nil)
	_ = s.Insist(func(*Trial) error {
		s.Configure(Breaker{ConsecutiveFailures: 1}, nil)
		do(t, s, "-")
		return nil
	})
	is(t, s, "unfit open")
}

// Whoever keeps a list of fit endpoints is told when it does not hold any more, and only then.
func TestCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var epoch atomic.Uint64
		s := NewState(Name{}, nil)
		s.Count(&epoch)
		f := func(what string, want uint64, act func()) {
			t.Helper()
			before := epoch.Load()
			act()
			if got := epoch.Load() - before; got != want {
				t.Errorf("%s: counted %d times; want %d", what, got, want)
			}
		}
		f("unproven", 1, func() { s.Configure(Breaker{ConsecutiveFailures: 3, HalfOpenRequests: 2}, &ready) })
		f("fit", 1, func() { probed(s, "+") })
		f("as before", 0, func() { probed(s, "+--"); do(t, s, "+--") })
		f("open", 1, func() { do(t, s, "-") })
		f("half-open", 1, func() { probed(s, "+"); time.Sleep(openFor); synctest.Wait() })
		f("with room for another one", 0, func() { do(t, s, "+") })
		f("closed", 2, func() { do(t, s, "+") })
		f("open", 1, func() { do(t, s, "---") })
		f("half-open", 1, func() { probed(s, "+"); time.Sleep(openFor); synctest.Wait() })
		f("closed by new settings, fit as before", 1, func() { s.Configure(inRow, &ready) })
		f("down", 1, func() { probed(s, "---") })
		f("off", 1, func() { s.Configure(inRow, nil) })
	})
}

// How long a client takes to send its request says nothing of the endpoint that it is sent to.
func TestTrialOfASlowClient(t *testing.T) {
	f := func(then func(t *testing.T, s *State, trial *Trial, end func(error))) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, _ := halfOpened(t, Breaker{ConsecutiveFailures: 3}, nil)
			trial, end := hold(t, s)
			trial.Sends()
			then(t, s, trial, end)
		})
	}
	f(func(t *testing.T, s *State, trial *Trial, end func(error)) {
		after(openFor)
		is(t, s, "fit half-open") // another one may try
		trial.Sent()
		end(nil)
		is(t, s, "fit closed") // it was answered in the end
	})
	f(func(t *testing.T, s *State, _ *Trial, end func(error)) {
		after(openFor)
		end(ErrExcluded) // its client left: that makes no room for two
		other, endOther := hold(t, s)
		if other == nil {
			t.Error("another one is no trial")
		}
		is(t, s, "unfit half-open")
		endOther(nil)
		is(t, s, "fit closed")
	})
	f(func(t *testing.T, s *State, trial *Trial, end func(error)) {
		after(openFor - 1)
		trial.Sent()
		after(openFor - 1)
		is(t, s, "unfit half-open") // it waits for the answer, as long as any
		after(1)
		is(t, s, "unfit open")
		end(nil)
	})
}
