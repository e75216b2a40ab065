package health

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailuresInARowOpen(t *testing.T) {
	f := func(signs, want string) {
		t.Helper()
		s, _ := state(inRow, nil)
		do(t, s, signs)
		is(t, s, want)
	}
	f("", "fit closed")
	f("--", "fit closed")
	f("---", "unfit open")
	f("--+--+--", "fit closed")
	f("--0-", "unfit open") // a client that left is neither here nor there
	f("000000", "fit closed")
	f("---!", "unfit open")
}

// An endpoint with little traffic is taken out too.
func TestFailuresInARowMayBeFarApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := state(Breaker{ConsecutiveFailures: 3, Window: time.Second}, nil)
		for range 2 {
			do(t, s, "-")
			time.Sleep(time.Hour)
			is(t, s, "fit closed")
		}
		do(t, s, "-")
		is(t, s, "unfit open")
	})
}

func TestShareOfFailuresOpens(t *testing.T) {
	f := func(signs, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, _ := state(Breaker{FailureRatio: 0.5, MinRequests: 10, Window: 10 * time.Second}, nil)
			for i, part := range strings.Split(signs, "|") {
				if i > 0 {
					time.Sleep(6 * time.Second)
				}
				do(t, s, part)
			}
			is(t, s, want)
		})
	}
	f("-----++++", "fit closed") // too few to judge by
	f("+-+-+-+-+-", "unfit open")
	f("+-+-+-+-++--", "unfit open")
	f("+++++++++----", "fit closed")
	f("+++++|-----", "unfit open")
	f("+++++||-----", "fit closed")      // the good ones are forgotten, and five are too few
	f("----------!", "unfit open")       //
	f("+++++000000----", "fit closed")   // excluded ones are not counted
	f("+++++0000000-----", "unfit open") //
}

// What is counted is forgotten by tenths of the window, not all at once.
func TestWindowRolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := state(Breaker{FailureRatio: 0.5, MinRequests: 2, Window: 10 * time.Second}, nil)
		do(t, s, "+++")
		time.Sleep(5 * time.Second)
		do(t, s, "+")
		time.Sleep(6 * time.Second) // the three are forgotten, the one is not
		do(t, s, "-")
		is(t, s, "unfit open")
	})
}

// Timeouts are the longest exchanges there are, and must count, however short the window.
func TestOutcomesOfLongExchangesCount(t *testing.T) {
	f := func(b Breaker) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, _ := state(b, nil)
			for range 3 {
				go func() {
					_ = s.Do(func(*Trial) error { time.Sleep(30 * time.Second); return errBroken })
				}()
			}
			time.Sleep(29 * time.Second)
			synctest.Wait()
			is(t, s, "fit closed")
			time.Sleep(time.Second)
			synctest.Wait()
			is(t, s, "unfit open")
		})
	}
	f(Breaker{ConsecutiveFailures: 3, Window: 10 * time.Second})
	f(Breaker{FailureRatio: 0.5, MinRequests: 3, Window: 10 * time.Second})
}

// An exchange that began before the breaker opened says nothing of the endpoint after it.
func TestOutcomesOfAnotherTimeAreNobodys(t *testing.T) {
	f := func(late error, after time.Duration, then, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, _ := state(Breaker{ConsecutiveFailures: 1, OpenFor: 5 * time.Second}, nil)
			go func() {
				_ = s.Do(func(*Trial) error { time.Sleep(after); return late })
			}()
			synctest.Wait()
			do(t, s, "-")
			time.Sleep(5 * time.Second)
			synctest.Wait()
			do(t, s, then)
			time.Sleep(time.Hour)
			is(t, s, want)
		})
	}
	f(nil, time.Second, "", "fit half-open") // while it is open
	f(errBroken, time.Second, "", "fit half-open")
	f(nil, 6*time.Second, "", "fit half-open") // while it is half-open: only trials count
	f(errBroken, 6*time.Second, "", "fit half-open")
	f(errBroken, 6*time.Second, "+", "fit closed") // when it has closed again
}

func TestOpeningSaysWhy(t *testing.T) {
	f := func(b Breaker, signs, want string) {
		t.Helper()
		s, d := state(b, nil)
		do(t, s, signs)
		d.says(t, want)
		if why := s.Condition().Why; !strings.HasSuffix(want, why) {
			t.Errorf("the condition says %q", why)
		}
	}
	f(inRow, "+---", "breaker closed > open: 3 requests in a row failed, the last: connection reset by peer")
	f(Breaker{FailureRatio: 0.5, MinRequests: 4}, "++--", "breaker closed > open: 2 of 4 requests within 10s failed, the last: connection reset by peer")
	f(Breaker{FailureRatio: 0.5, MinRequests: 5, ConsecutiveFailures: 3}, "++---",
		"breaker closed > open: 3 requests in a row failed, the last: connection reset by peer")
}

func TestStatusesThatFail(t *testing.T) {
	b := Breaker{FailureStatus: []int{500, 503}}
	f := func(status int, want bool) {
		t.Helper()
		if b.Fails(status) != want {
			t.Errorf("%d: not %t", status, want)
		}
	}
	f(500, true)
	f(503, true)
	f(502, false)
	f(200, false)
}

func TestConfigureKeepsWhatItCan(t *testing.T) {
	b := Breaker{ConsecutiveFailures: 3, FailureStatus: []int{500}}
	f := func(now Breaker, want string, told ...string) {
		t.Helper()
		s, d := opened(t, b, &ready)
		s.Configure(now, &ready)
		d.says(t, told...)
		is(t, s, want)
		if got := s.Condition().Probe; got != "waiting" {
			t.Errorf("probes are %s", got)
		}
	}
	const anew = "breaker open > closed: its settings are new"
	f(b, "unfit open")
	f(Breaker{ConsecutiveFailures: 3, FailureStatus: []int{500}, OpenFor: 5 * time.Second}, "unfit open") // the default, in words
	f(Breaker{ConsecutiveFailures: 3, FailureStatus: []int{500, 503}}, "unproven closed", anew)
	f(Breaker{ConsecutiveFailures: 4, FailureStatus: []int{500}}, "unproven closed", anew)
	f(Breaker{ConsecutiveFailures: 3, FailureStatus: []int{500}, OpenFor: time.Second}, "unproven closed", anew)
}

// The settings are the state's own: their giver may do with them what he likes.
func TestConfigureCopies(t *testing.T) {
	b := Breaker{ConsecutiveFailures: 1, FailureStatus: []int{500}}
	c := Check{Status: []int{200}, Expect: map[string]string{"a": "1"}, Body: []byte("{}")}
	s, d := state(b, &c)
	b.FailureStatus[0], c.Status[0], c.Expect["a"], c.Body[0] = 1, 1, "1 ", '['
	if got := s.breaker.Load().rules.FailureStatus[0]; got != 500 {
		t.Error(got)
	}
	if got := fmt.Sprintf("%v %v %s", s.asked().Status, s.asked().Expect, s.asked().Body); got != "[200] map[a:1] {}" {
		t.Error(got)
	}
	d.says(t)
}

// Exchanges under way when the settings change report to a breaker that nobody asks any more.
func TestExchangesSurviveNewSettings(t *testing.T) {
	s, d := state(Breaker{ConsecutiveFailures: 1}, nil)
	err := s.Do(func(*Trial) error {
		s.Configure(Breaker{ConsecutiveFailures: 2}, nil)
		return errBroken
	})
	if err != errBroken {
		t.Error(err)
	}
	is(t, s, "fit closed")
	do(t, s, "-")
	is(t, s, "fit closed")
	d.says(t)
}

func TestZeroBreakerNeverOpens(t *testing.T) {
	s := NewState(Name{}, nil)
	for range 1000 {
		do(t, s, "-")
	}
	is(t, s, "fit closed")
}
