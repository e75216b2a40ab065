package health

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

var (
	// ErrOpen is [State.Do]'s, when the breaker let nothing through: the exchange did not begin, and may go to another endpoint.
	ErrOpen = errors.New("the endpoint's breaker is open")
	// ErrExcluded in work's error says that the exchange tells nothing of the endpoint: the client left, or the answer
	// was a 4xx, which is its client's fault.
	ErrExcluded = errors.New("not the endpoint's doing")
)

// Silence in work's error says that the exchange was given up, and that nothing has come from the endpoint for so long that it hangs. Failures in a
// row to tell by would each be another user's, so it is taken out at once, but only where a [Knock] brings it back. Elsewhere it is what Err is.
type Silence struct {
	For time.Duration
	Err error
	// Doubtful says that it was one user alone who gave up, and may just be in a hurry: the endpoint is knocked at before anything is done.
	Doubtful bool
}

func (s *Silence) Error() string {
	return fmt.Sprintf("nothing has come of it for %v", s.For.Round(time.Millisecond))
}

func (s *Silence) Unwrap() error { return s.Err }

var errPanicked = errors.New("mlproxy panicked")

// Do runs one exchange with the endpoint, to the last byte of its answer, and lets the breaker know what became of it: nil is a
// success, an error that wraps [ErrExcluded] is nothing, every other error is a failure. Do returns work's error, or ErrOpen without
// having called work. trial is nil but in the half-open phase, when the exchange decides whether the endpoint comes back.
func (s *State) Do(work func(trial *Trial) error) error {
	p, err := s.admit()
	if err != nil {
		return err
	}
	return p.run(work)
}

// Insist is Do for want of any fit endpoint (panic): it runs work also when the breaker is open, and a success closes it.
func (s *State) Insist(work func(trial *Trial) error) error {
	p, err := s.admit()
	if err != nil {
		p = pass{state: s, breaker: s.breaker.Load(), insisted: true}
	}
	return p.run(work)
}

// pass is what an admitted exchange holds.
type pass struct {
	state    *State
	breaker  *breaker
	course   uint64
	trial    *Trial
	insisted bool
}

func (s *State) admit() (pass, error) {
	b := s.breaker.Load()
	if course := b.course.Load(); phaseOf(course) == closed {
		return pass{state: s, breaker: b, course: course}, nil
	}
	return s.admitTrial()
}

func (p *pass) run(work func(*Trial) error) (err error) {
	err = errPanicked
	defer func() { p.end(err) }()
	err = work(p.trial)
	return err
}

func (p *pass) end(err error) {
	switch {
	case p.insisted:
		if err == nil {
			p.state.revive(p.breaker, "it answered a request that was sent to it for want of a fit endpoint")
		}
	case p.trial == nil:
		if silence, is := errors.AsType[*Silence](err); is && p.state.asks() {
			p.state.heed(p.breaker, p.course, silence)
			break
		}
		p.breaker.report(p.course, err)
	case p.trial.end(err):
		return
	default: // it was found good while its answer still came; now that is over
		p.course = p.breaker.course.Load()
		p.breaker.report(p.course, err)
	}
	if p.breaker.course.Load() != p.course {
		p.state.settle(p.breaker, err)
	}
}

// Trial is an exchange that decides whether an open breaker closes. Its methods may be called on nil, which is an ordinary exchange.
type Trial struct {
	state    *State
	breaker  *breaker
	course   uint64      // the half-open phase it belongs to
	timer    *time.Timer // of overdue
	sends    atomic.Bool // the request is still being sent, as its client has it
	answered atomic.Bool
	back     atomic.Bool // it was given back; should it come to an end in this phase all the same, that counts
	decided  atomic.Bool
}

// Limit is how long the trial may take to be answered; 0 = it is none. A trial without an answer by then has failed; one whose answer
// is still coming has succeeded.
func (t *Trial) Limit() time.Duration {
	if t == nil {
		return 0
	}
	return t.breaker.rules.OpenFor
}

// Answered says that the head of an answer has come that is no failure.
func (t *Trial) Answered() {
	if t != nil {
		t.answered.Store(true)
	}
}

// admitTrial admits an exchange if the breaker is half-open and has room for one more.
func (s *State) admitTrial() (pass, error) {
	s.mu.Lock()
	defer s.unlock()
	b := s.breaker.Load()
	course := b.course.Load()
	switch {
	case phaseOf(course) == closed: // since a moment ago
		return pass{state: s, breaker: b, course: course}, nil
	case !s.hasRoom():
		return pass{}, ErrOpen
	}
	s.room--
	s.judge()
	t := &Trial{state: s, breaker: b, course: course}
	t.timer = time.AfterFunc(t.Limit(), t.overdue)
	return pass{state: s, breaker: b, course: course, trial: t}, nil
}

// end counts the outcome, unless it came too late to decide.
func (t *Trial) end(err error) bool {
	t.timer.Stop()
	return t.decide(err)
}

// Sends says that the request goes on as its client sends it. Should that take longer than the trial may, the trial is given back: nothing was
// learnt yet, and another request may be one.
func (t *Trial) Sends() {
	if t != nil {
		t.sends.Store(true)
	}
}

// Sent says that all of the request was sent: from now on the answer is waited for.
func (t *Trial) Sent() {
	if t != nil {
		t.sends.Store(false)
		t.timer.Reset(t.Limit())
	}
}

func (t *Trial) overdue() {
	switch {
	case t.answered.Load():
		t.decide(nil)
		return
	case t.sends.Load():
		t.giveBack()
		return
	}
	t.decide(fmt.Errorf("no answer within %v", t.Limit()))
}

// decide counts the trial's outcome, once; false when that was done before.
func (t *Trial) decide(err error) bool {
	if !t.decided.CompareAndSwap(false, true) {
		return false
	}
	switch {
	case excluded(err) && !t.answered.Load():
		t.giveBack()
		return true
	case excluded(err):
		err = nil // it answered, which is what was asked
	}
	t.state.tried(err)
	t.breaker.reportTrial(t.course, err)
	t.state.settle(t.breaker, err)
	return true
}

// giveBack lets another exchange be the trial, once.
func (t *Trial) giveBack() {
	if t.back.CompareAndSwap(false, true) {
		t.state.giveBack(t.breaker)
	}
}

func (s *State) giveBack(b *breaker) {
	s.mu.Lock()
	defer s.unlock()
	if s.breaker.Load() == b {
		s.room++
		s.judge()
	}
}
