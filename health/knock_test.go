package health

import (
	"testing"
	"testing/synctest"
	"time"
)

var knocking = Breaker{ConsecutiveFailures: 3, FailureStatus: []int{500}, Knock: &Knock{}}

// failing is an endpoint that requests for /predict have just taken out.
func failing(t *testing.T, f *farm, c *Check) (*State, *diary) {
	t.Helper()
	p, d := probing(t, f)
	s := member(p, "a", knocking, c)
	synctest.Wait()
	s.Blame([]byte("/predict"))
	do(t, s, "---")
	is(t, s, "unfit open")
	synctest.Wait()
	d.next()
	return s, d
}

const askedFirst = "breaker open > half-open: 5s are over, a request tries it once GET /predict is answered"

// As long as the endpoint fails requests of our own, none of a client's is risked on it.
func TestKnockComesBeforeATrial(t *testing.T) {
	f := func(answer func(string) (int, time.Duration), known time.Duration, why string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			farm := newFarm()
			farm.answer = answer
			s, d := failing(t, farm, nil)
			after(openFor + known)
			is(t, s, "unfit open")
			d.says(t, askedFirst, "breaker half-open > open: the trial failed: GET /predict: "+why)
			after(time.Minute)
			do(t, s, "!")
			farm.becomes(always(405))
			after(2 * openFor)
			is(t, s, "fit half-open")
			do(t, s, "+")
			is(t, s, "fit closed")
		})
	}
	f(always(500), 0, "status 500")
	f(func(string) (int, time.Duration) { return 200, time.Hour }, openFor/2, "no answer within 2.5s")
}

// Silence takes an endpoint out at once, where a knock brings it back.
func TestSilenceOpens(t *testing.T) {
	silence := &Silence{For: 2 * time.Second, Err: errClient}
	f := func(b Breaker, path, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			p, d := probing(t, newFarm())
			s := member(p, "a", b, nil)
			synctest.Wait()
			d.next()
			s.Blame([]byte(path))
			_ = s.Do(func(*Trial) error { return silence })
			is(t, s, want)
			synctest.Wait()
			if want == "fit closed" {
				return
			}
			d.says(t, "breaker closed > open: nothing has come of it for 2s, and requests were given up")
			after(openFor)
			is(t, s, "fit half-open")
			do(t, s, "+-")
			is(t, s, "fit closed") // what is past does not count against it
		})
	}
	f(knocking, "/predict", "unfit open")
	f(inRow, "/predict", "fit closed")
	f(knocking, "", "fit closed")
	f(Breaker{Knock: &Knock{}}, "/predict", "fit closed")
}

// Where silence takes nothing out it is what the exchange's error is.
// A doubtful silence has the endpoint asked at once: if it says nothing either it is out, and whatever it says keeps it in.
func TestADoubtIsSettledByAKnock(t *testing.T) {
	f := func(answer func(string) (int, time.Duration), want ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			farm := newFarm()
			farm.answer = answer
			p, d := probing(t, farm)
			s := member(p, "a", knocking, nil)
			synctest.Wait()
			d.next()
			s.Blame([]byte("/predict"))
			_ = s.Do(func(*Trial) error { return &Silence{For: time.Second, Err: ErrExcluded, Doubtful: true} })
			is(t, s, "fit closed") // for now
			after(openFor / 2)
			if len(want) == 0 {
				is(t, s, "fit closed")
			}
			d.says(t, want...)
		})
	}
	f(func(string) (int, time.Duration) { return 200, time.Hour }, "breaker closed > open: nothing has come of it for 3.5s, and requests were given up")
	f(always(200))
	f(always(405))
	f(always(500)) // which its users are to judge
}

func TestSilenceWithoutKnocks(t *testing.T) {
	f := func(of error, want string) {
		t.Helper()
		s, _ := state(Breaker{ConsecutiveFailures: 1}, nil)
		_ = s.Do(func(*Trial) error { return &Silence{For: time.Second, Err: of} })
		is(t, s, want)
	}
	f(errClient, "fit closed")
	f(errBroken, "unfit open")
}

// What an exchange says that began before the breaker opened counts neither for the trial nor after it.
func TestSilenceOfThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := probing(t, newFarm())
		s := member(p, "a", knocking, nil)
		synctest.Wait()
		s.Blame([]byte("/predict"))
		late := func(during func()) {
			_ = s.Do(func(*Trial) error { during(); return &Silence{For: time.Minute, Err: errClient} })
		}
		late(func() { do(t, s, "---") })
		is(t, s, "unfit open")
		late(func() {})
		after(openFor)
		is(t, s, "fit half-open")
		do(t, s, "+")
		late(func() {
			do(t, s, "---")
			after(openFor)
			do(t, s, "+")
		})
		is(t, s, "fit closed")
	})
}

// A path whose answers take longer than a knock waits does not keep an endpoint out for good.
func TestSilenceOfASlowPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		farm := newFarm()
		farm.answer = func(string) (int, time.Duration) { return 200, time.Hour }
		p, _ := probing(t, farm)
		s := member(p, "a", knocking, nil)
		synctest.Wait()
		s.Blame([]byte("/poll"))
		_ = s.Do(func(*Trial) error { return &Silence{For: time.Minute, Err: errClient} })
		for range silentFor / time.Second {
			after(time.Second)
			if s.Fit() {
				t.Fatal("a request is risked on it")
			}
		}
		after(2 * openFor)
		is(t, s, "fit half-open")
		do(t, s, "+")
		is(t, s, "fit closed")
	})
}

// A fault that only clients' requests meet costs one of them ever more rarely.
func TestTrialsThatFailGrowRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := failing(t, newFarm(), nil)
		for _, wait := range []int{5, 10, 20, 40, 40} {
			after(time.Duration(wait)*time.Second - 1)
			is(t, s, "unfit open")
			after(1)
			is(t, s, "fit half-open")
			do(t, s, "-")
		}
		after(40 * time.Second)
		do(t, s, "+---")
		synctest.Wait()
		d.next()
		after(openFor)
		d.says(t, askedFirst)
		is(t, s, "fit half-open") // after a good one it begins anew
	})
}

func TestKnockIsNotFor(t *testing.T) {
	f := func(what string, b Breaker, c *Check, path string, want int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			farm := newFarm()
			p, _ := probing(t, farm)
			s := member(p, "a", b, c)
			synctest.Wait()
			s.Blame([]byte(path))
			do(t, s, "---")
			before := len(farm.asked("a"))
			after(openFor)
			is(t, s, "fit half-open")
			if n := len(farm.asked("a")) - before; n != want {
				t.Errorf("%s: asked %d times", what, n)
			}
		})
	}
	alone := knocking
	alone.Knock = nil
	f("others that serve", knocking, nil, "/predict", 1)
	f("nobody else could serve", alone, nil, "/predict", 0)
	f("what cannot be asked for", knocking, nil, "/%zz", 0)
	f("a probe asks the model", knocking, &Check{Path: "/infer", Body: []byte("{}"), Interval: time.Hour}, "/predict", 1) // the probe itself
}

// What ends the trial's phase meanwhile makes the answer to a knock nobody's.
func TestKnockThatComesTooLate(t *testing.T) {
	f := func(meanwhile func(*State), want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			farm := newFarm()
			farm.answer = func(string) (int, time.Duration) { return 500, time.Second }
			s, _ := failing(t, farm, nil)
			after(openFor)
			is(t, s, "unfit half-open")
			meanwhile(s)
			is(t, s, want)
			after(2 * time.Second)
			is(t, s, want)
		})
	}
	f(func(s *State) { _ = s.Insist(outcome(nil)) }, "fit closed")
	f(func(s *State) { s.Configure(inRow, nil) }, "fit closed")
	f(func(s *State) {
		alone := knocking
		alone.Knock = nil
		s.Configure(alone, nil)
	}, "fit half-open")
}
