package health

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Knock is how an endpoint is asked, by a request of our own, whether it is worth risking a client's request on it. It asks for the path
// that failed, by GET, which is safe (RFC 9110, section 9.2.1), without query, body or credentials: an endpoint that hangs, resets
// or answers 500 to all is found out without anybody's harm. A fault that only other methods meet it does not see.
type Knock struct {
	// Host is what the endpoint is told; empty = its own address.
	Host string
	// TLS is for https endpoints, as that of a [Check].
	TLS Trust
}

// mostBackoff is how often the time until the next trial doubles, while requests that try the endpoint go on failing.
const mostBackoff = 3

// knock is one endpoint's knocking.
type knock struct {
	how     *Knock // nil: requests try it at once
	path    string // of the last request that failed; empty: not known
	due     bool   // no request tries it before the answer to a knock
	lost    bool   // the last knock failed
	mute    bool   // since nothing came of it
	tripped bool   // the breaker has opened, and not closed again
	// silent is when silence took the endpoint out, or a request last tried it since; zero = failures did.
	silent time.Time
	// doubt is a silence of which it is not sure that it is one; 0 = there is none.
	doubt time.Duration
	// burnt counts the trials in a row that cost a client its answer.
	burnt int
}

// Blame notes the path of a request that the endpoint failed, without its query, before its outcome is reported. A path that cannot be
// asked for is not noted.
func (s *State) Blame(path []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.knock.path == string(path) {
		return
	}
	if _, err := url.ParseRequestURI(string(path)); err == nil {
		s.knock.path = string(path)
	}
}

// guarded says whether a trial waits for a knock: not where a probe asks the model itself.
func (s *State) guarded() bool {
	asksModel := s.check != nil && len(s.check.Body) > 0
	return s.knock.how != nil && s.knock.path != "" && s.wake != nil && !asksModel
}

// asks is guarded for those who do not hold the lock.
func (s *State) asks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guarded()
}

// heed takes notice of a silence, or has the prober knock first if that is doubtful.
func (s *State) heed(b *breaker, course uint64, silence *Silence) {
	if !silence.Doubtful {
		b.hangs(course, silence)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knock.doubt = silence.For
	s.lookAtOnce()
}

// silentFor is how long knocks alone decide on an endpoint that silence took out: its path may be one whose answers take longer than a knock waits.
const silentFor = time.Minute

// raise has the prober knock, if a trial waits for that.
func (s *State) raise() {
	s.knock.due = s.guarded()
	if k := &s.knock; k.due && !k.silent.IsZero() && time.Since(k.silent) > silentFor {
		k.due, k.silent = false, time.Now()
	}
	if s.knock.due {
		s.lookAtOnce()
	}
}

// pause is how long an open breaker stays open: a knock that failed harmed nobody and is soon repeated, a client's request that failed is
// the dearer the more of them do.
func (s *State) pause(openFor time.Duration) time.Duration {
	switch {
	case s.knock.how == nil:
		return openFor
	case s.knock.lost:
		return openFor / 2
	}
	return openFor << min(s.knock.burnt, mostBackoff)
}

// knockIfDue asks the endpoint, if a trial waits for that, or somebody doubts that it still answers.
func (s *State) knockIfDue(ctx context.Context, client *http.Client) {
	s.mu.Lock()
	k, b, check := s.knock, s.breaker.Load(), s.check
	course := b.course.Load()
	s.mu.Unlock()
	if !k.due && k.doubt == 0 {
		return
	}
	c := k.check(&b.rules, check)
	err := c.ask(ctx, client, s.name.Endpoint)
	if ctx.Err() == nil {
		s.answered(b, course, c, err)
	}
}

func (k *knock) check(rules *Breaker, probe *Check) *Check {
	c := &Check{Method: http.MethodGet, Path: k.path, Host: k.how.Host, TLS: k.how.TLS, Timeout: rules.OpenFor / 2, failures: rules.FailureStatus}
	if probe != nil && c.Host == "" {
		c.Host = probe.Host
	}
	return c
}

// answered takes the answer to a knock: a bad one is a trial that failed, a good one lets a request try. That there is none settles a doubt.
func (s *State) answered(b *breaker, course uint64, c *Check, err error) {
	s.mu.Lock()
	current := s.breaker.Load() == b && b.course.Load() == course
	due, doubt := current && s.knock.due, s.knock.doubt
	s.knock.doubt = 0
	if due {
		s.knock.due, s.knock.lost, s.knock.mute = false, err != nil, unanswered(err)
		s.judge()
	}
	s.unlock()
	switch {
	case due && err != nil:
		err = fmt.Errorf("%v: %w", c, err)
		b.reportTrial(course, err)
		s.settle(b, err)
	case current && doubt > 0 && phaseOf(course) == closed && unanswered(err):
		b.hangs(course, &Silence{For: doubt + c.Timeout})
		s.settle(b, err)
	}
}

// fails says whether a status is one of failure: any that is not of the list, or, of a knock, one of the breaker's.
func (c *Check) fails(status int) bool {
	if c.failures != nil {
		return slices.Contains(c.failures, status)
	}
	return !slices.Contains(c.Status, status)
}

// tried counts a request's trial by what it cost.
func (s *State) tried(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knock.lost = false
	if err != nil {
		s.knock.burnt++
	}
}
