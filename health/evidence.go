package health

import (
	"fmt"
	"time"
)

// verdict is what the probes of an endpoint come to.
type verdict uint8

const (
	off     verdict = iota // nothing probes it
	waiting                // for the first result
	up
	down
)

func (v verdict) String() string { return [...]string{"off", "waiting", "up", "down"}[v] }

// evidence is what the probes of an endpoint found.
type evidence struct {
	verdict verdict
	fresh   bool // the next result decides alone
	against int  // results in a row that contradict the verdict
	// cleared: the last probe succeeded, and began after the breaker opened. Where it failed no request is risked on a trial.
	cleared bool
	mute    bool // to the last probe there was no answer at all
}

// hear takes one result and says whether the verdict changes by it.
func (e *evidence) hear(good bool, c *Check) bool {
	needed := c.Fall
	if good {
		needed = c.Rise
	}
	switch {
	case e.fresh:
		e.fresh = false
		return e.verdict != verdictOf(good)
	case e.verdict == verdictOf(good):
		e.against = 0
		return false
	}
	e.against++
	return e.against >= needed
}

func verdictOf(good bool) verdict {
	if good {
		return up
	}
	return down
}

// setCheck changes what the endpoint is probed by. One that served unprobed goes on serving until the first result.
func (s *State) setCheck(c *Check) {
	if c != nil {
		c = c.withDefaults()
	}
	if s.check.same(c) {
		return
	}
	s.check = c
	s.probe.against = 0
	s.probe.fresh = true
	switch {
	case c == nil:
		s.decide(off, "health_check was removed")
	case !s.set:
		s.decide(waiting, "the endpoint is new")
	case s.probe.verdict == off:
		s.decide(up, "health_check was added; it served so far, and the first probe decides")
	}
	s.lookAtOnce()
}

func (s *State) decide(v verdict, why string) {
	s.note("probe", s.probe.verdict.String(), v.String(), why)
	s.probe.verdict = v
	s.probe.against = 0
}

// heard takes the result of a probe that was sent at a time. It says whether the next one should come soon, because there is doubt.
func (s *State) heard(c *Check, sent time.Time, err error) (doubt bool) {
	s.mu.Lock()
	defer s.unlock()
	if s.check != c {
		return true // it answers a question nobody asks any more
	}
	first, before := s.probe.fresh, s.probe.verdict
	s.probe.mute = unanswered(err)
	if err != nil {
		s.probe.cleared = false
	} else if !sent.Before(s.opened) {
		s.probe.cleared = true
	}
	if s.probe.hear(err == nil, c) {
		s.decide(verdictOf(err == nil), c.why(first, err))
	}
	if before == down && s.probe.verdict == up && s.phase != closed {
		s.reclose("the probes saw the fault, and see it no more")
	}
	s.judge()
	return s.probe.against > 0
}

// why says in words what changed the verdict.
func (c *Check) why(first bool, err error) string {
	switch {
	case first && err == nil:
		return fmt.Sprintf("the first probe succeeded: %v", c)
	case first:
		return fmt.Sprintf("the first probe failed: %v: %v", c, err)
	case err == nil:
		return fmt.Sprintf("%s succeeded: %v", inARow(c.Rise), c)
	default:
		return fmt.Sprintf("%s failed: %v: %v", inARow(c.Fall), c, err)
	}
}

func inARow(n int) string {
	if n == 1 {
		return "a probe"
	}
	return fmt.Sprintf("%d probes in a row", n)
}
