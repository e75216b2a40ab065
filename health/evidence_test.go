package health

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

func TestProbesWithHysteresis(t *testing.T) {
	f := func(signs, want, probe string) {
		t.Helper()
		s, _ := state(inRow, &ready)
		probed(s, signs)
		is(t, s, want)
		if got := s.Condition().Probe; got != probe {
			t.Errorf("%s: %s; want %s", signs, got, probe)
		}
	}
	f("", "unproven closed", "waiting")
	f("+", "fit closed", "up") // one decides for a new endpoint
	f("-", "unfit closed", "down")
	f("+--", "fit closed", "up")
	f("+---", "unfit closed", "down")
	f("+--+--+--", "fit closed", "up")
	f("-+", "unfit closed", "down")
	f("-++", "fit closed", "up")
	f("-+-+-+-", "unfit closed", "down")
	f("+---+", "unfit closed", "down")
	f("+---++", "fit closed", "up")
	f("+---++--", "fit closed", "up")
}

func TestProbesSayWhy(t *testing.T) {
	f := func(c Check, signs string, want ...string) {
		t.Helper()
		s, d := state(inRow, &c)
		probed(s, signs)
		d.says(t, want...)
	}
	f(ready, "+", "probe waiting > up: the first probe succeeded: GET /ready")
	f(ready, "-", "probe waiting > down: the first probe failed: GET /ready: connection reset by peer")
	f(ready, "-++---",
		"probe waiting > down: the first probe failed: GET /ready: connection reset by peer",
		"probe down > up: 2 probes in a row succeeded: GET /ready",
		"probe up > down: 3 probes in a row failed: GET /ready: connection reset by peer")
	f(Check{Path: "/infer", Body: []byte("{}"), Rise: 1, Fall: 1}, "-+-",
		"probe waiting > down: the first probe failed: POST /infer: connection reset by peer",
		"probe down > up: a probe succeeded: POST /infer",
		"probe up > down: a probe failed: POST /infer: connection reset by peer")
}

func TestNewEndpoint(t *testing.T) {
	f := func(c *Check, want ...string) {
		t.Helper()
		var d diary
		s := NewState(Name{}, d.tell)
		is(t, s, "fit closed")
		s.Configure(inRow, c)
		d.says(t, want...)
	}
	f(nil)
	f(&ready, "probe off > waiting: the endpoint is new")
}

// A reload that adds, changes or removes health_check takes nothing out of use until a probe says so.
func TestCheckChanges(t *testing.T) {
	other := Check{Path: "/other"}
	f := func(before *Check, signs string, after *Check, told []string, want, then, wantThen string) {
		t.Helper()
		s, d := state(inRow, before)
		if before != nil {
			probed(s, signs)
		}
		d.next()
		s.Configure(inRow, after)
		d.says(t, told...)
		is(t, s, want)
		if after != nil {
			probed(s, then)
		}
		is(t, s, wantThen)
	}
	added := []string{"probe off > up: health_check was added; it served so far, and the first probe decides"}
	f(nil, "", &ready, added, "fit closed", "-", "unfit closed")
	f(nil, "", &ready, added, "fit closed", "+--", "fit closed")
	f(&ready, "+", &other, nil, "fit closed", "-", "unfit closed") // one result of the new one decides
	f(&ready, "-", &other, nil, "unfit closed", "+", "fit closed")
	f(&ready, "+--", &other, nil, "fit closed", "+--", "fit closed")
	f(&ready, "+--", &ready, nil, "fit closed", "-", "unfit closed") // the same as before: nothing is forgotten
	f(&ready, "", &other, nil, "unproven closed", "+", "fit closed")
	f(&ready, "-", nil, []string{"probe down > off: health_check was removed"}, "fit closed", "", "fit closed")
}

// The answer to an old question is no evidence.
func TestResultOfAnOldCheck(t *testing.T) {
	s, d := state(inRow, &ready)
	old := s.asked()
	s.Configure(inRow, &Check{Path: "/other"})
	if !s.heard(old, time.Now(), errBroken) {
		t.Error("the new question is not urgent")
	}
	is(t, s, "unproven closed")
	d.says(t)
}

func TestDoubtIsUrgent(t *testing.T) {
	s, _ := state(inRow, &ready)
	for i, step := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errBroken, true},
		{errBroken, true},
		{errBroken, false}, // now it is settled
		{errBroken, false},
		{nil, true},
		{errBroken, false},
		{nil, true},
		{nil, false},
	} {
		if got := heard(s, time.Now(), step.err); got != step.want {
			t.Errorf("result %d: doubt is %t", i, got)
		}
	}
}

// Where there are probes, no request is risked on what a probe can find out.
func TestTrialWaitsForAProbe(t *testing.T) {
	f := func(probes, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s, _ := state(inRow, &ready)
			probed(s, "+")
			do(t, s, "---")
			time.Sleep(time.Second)
			probed(s, probes)
			time.Sleep(openFor)
			synctest.Wait()
			is(t, s, want)
		})
	}
	f("", "unfit half-open") // it is not known yet
	f("+", "fit half-open")
	f("-", "unfit half-open")
	f("+-", "unfit half-open")
	f("-+", "fit half-open")
}

func TestTrialWaitsForAProbeBegunAfterTheFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := state(inRow, &ready)
		probed(s, "+")
		before := time.Now()
		time.Sleep(time.Second)
		do(t, s, "---")
		heard(s, before, nil)
		time.Sleep(openFor)
		synctest.Wait()
		is(t, s, "unfit half-open")
		do(t, s, "!")
		heard(s, time.Now(), nil)
		is(t, s, "fit half-open")
		do(t, s, "+")
		is(t, s, "fit closed")
	})
}

// Probes that saw the fault go and come back are believed: no request need try it.
func TestProbesThatSawTheFaultEndIt(t *testing.T) {
	s, d := state(inRow, &ready)
	probed(s, "+")
	do(t, s, "---")
	probed(s, "---+")
	is(t, s, "unfit open")
	d.next()
	probed(s, "+")
	is(t, s, "fit closed")
	d.says(t, "probe down > up: 2 probes in a row succeeded: GET /ready", "breaker open > closed: the probes saw the fault, and see it no more")
	do(t, s, "--")
	is(t, s, "fit closed") // it begins with nothing against it
}

// Probes that go on saying yes are blind to the fault: they end nothing.
func TestProbesThatAreBlindEndNothing(t *testing.T) {
	s, _ := state(inRow, &ready)
	probed(s, "+")
	do(t, s, "---")
	probed(s, "++-+--++++")
	is(t, s, "unfit open")
}

func TestConditionSaysSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := state(inRow, &ready)
		probed(s, "+")
		time.Sleep(time.Minute)
		probed(s, "---")
		down := time.Now()
		time.Sleep(time.Minute)
		probed(s, "---+")
		want := Condition{Breaker: "closed", Probe: "down", Since: down, Why: "3 probes in a row failed: GET /ready: connection reset by peer"}
		if got := s.Condition(); got != want {
			t.Errorf("%+v", got)
		}
	})
}

// Transitions come in order, one at a time, and whoever is told may ask the state.
func TestTellingMayAskBack(t *testing.T) {
	var s *State
	var lines []string
	s = NewState(Name{}, func(t Transition) {
		lines = append(lines, t.To)
		if t.To == "up" {
			_ = s.Do(outcome(errBroken)) // opens, and is told after this
		}
		lines = append(lines, "told")
		_ = s.Condition()
	})
	s.Configure(Breaker{ConsecutiveFailures: 1}, &ready)
	probed(s, "+")
	want := []string{"waiting", "told", "up", "told", "open", "told"}
	if len(lines) != len(want) {
		t.Fatal(lines)
	}
	for i := range want {
		if lines[i] != want[i] {
			t.Fatal(lines)
		}
	}
}

func TestReasonsAreShort(t *testing.T) {
	s, _ := state(inRow, &ready)
	heard(s, time.Now(), errors.New(strings.Repeat("\u00e9", 1000)))
	if why := s.Condition().Why; len(why) > 310 || !utf8.ValidString(why) || !strings.HasSuffix(why, "...") {
		t.Error(why)
	}
}
