package health

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Name is what a State is of. The role keeps live traffic and copies apart: a shadow's failures are none of live traffic's.
type Name struct{ Role, Pool, Endpoint string }

// State is what is known of one endpoint in one role. It outlives tables.
type State struct {
	name    Name
	tell    func(Transition)
	born    time.Time
	breaker atomic.Pointer[breaker]
	// standing is what probes and breaker come to, taken together: all that picking an endpoint reads.
	standing atomic.Uint32
	since    atomic.Int64 // when it last came wholly into use, as time after born
	epoch    *atomic.Uint64
	permits  atomic.Pointer[func(netip.AddrPort) error] // see Restrict

	mu     sync.Mutex // taken when something changes, never on the way of an ordinary exchange
	phase  phase      // the breaker's, as told
	room   uint32     // for trials, when half-open
	timer  *time.Timer
	opened time.Time // when the breaker last opened
	whole  bool      // probes and breaker both say yes, without reservation
	check  *Check
	probe  evidence
	knock  knock
	wake   func() // has the prober look at once
	mute   bool   // it is not in use any more
	set    bool   // Configure was called
	news
}

// Standings, as State.standing holds them.
const (
	unfit uint32 = iota
	unproven
	fit
)

// NewState makes the state of an endpoint of which nothing is known: fit, as long as nothing is configured that could tell otherwise.
// tell is called with every transition, in order and outside all locks, by whoever noticed; it may be nil. As that may be an exchange,
// it must not wait: [Prober.Tell] does not.
func NewState(name Name, tell func(Transition)) *State {
	if tell == nil {
		tell = func(Transition) {}
	}
	s := &State{name: name, tell: tell, born: time.Now()}
	s.changed = s.born
	s.why = "the endpoint is new"
	s.breaker.Store(newBreaker(Breaker{}.withDefaults()))
	s.judge()
	return s
}

// Count has every change of what Fit, Unproven and FitSince say counted in epoch, so that whoever keeps a list of fit endpoints sees at
// one glance whether it still holds. It is called before the state is used.
func (s *State) Count(epoch *atomic.Uint64) { s.epoch = epoch }

// Name is what the state is of.
func (s *State) Name() Name { return s.name }

// Fit says whether the endpoint may be picked: probes say up (or there are none) and the breaker lets an exchange pass. One atomic load.
func (s *State) Fit() bool { return s.standing.Load() == fit }

// Unproven says that the endpoint waits for its first probe: it may be picked where none is fit. One atomic load.
func (s *State) Unproven() bool { return s.standing.Load() == unproven }

// Mute says that the endpoint is unfit, and that the last time mlproxy asked it anything there was no answer, neither good nor bad: it is no wrong
// path or status that keeps it out.
func (s *State) Mute() bool {
	if s.Fit() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probe.verdict == down && s.probe.mute || s.phase != closed && s.knock.lost && s.knock.mute
}

// FitSince is when the endpoint last came wholly into use, from which a slow start counts.
func (s *State) FitSince() time.Time { return s.born.Add(time.Duration(s.since.Load())) }

// Configure sets what the endpoint is held to; c is nil where nothing probes it. What is known is kept as long as the settings stay
// the same. A changed breaker starts anew, closed. A changed check keeps its verdict until its first result, which decides alone.
func (s *State) Configure(b Breaker, c *Check) {
	b = b.withDefaults()
	s.mu.Lock()
	defer s.unlock()
	if s.knock.how = b.Knock; b.Knock == nil {
		s.knock.due = false
	}
	if !s.breaker.Load().rules.same(b) {
		s.renew(b)
		s.note("breaker", s.phase.String(), closed.String(), "its settings are new")
		s.phase = closed
	}
	s.setCheck(c)
	s.set = true
	s.judge()
}

// hasRoom says whether an exchange may be a trial. Where there are probes the last one, begun after the breaker opened, must have
// succeeded, and so must a knock that is due: no request is risked on what a probe can find out.
func (s *State) hasRoom() bool {
	return s.phase == halfOpen && s.room > 0 && !s.knock.due && (s.check == nil || s.probe.cleared)
}

// judge puts together what probes and breaker say.
func (s *State) judge() {
	passes := s.phase == closed || s.hasRoom()
	standing := unfit
	switch {
	case passes && s.probe.verdict == waiting:
		standing = unproven
	case passes && s.probe.verdict != down:
		standing = fit
	}
	whole := standing == fit && s.phase == closed
	differs := whole != s.whole || standing != s.standing.Load()
	if whole && !s.whole {
		s.since.Store(int64(time.Since(s.born))) // before it can be seen that it is fit, for the slow start looks then
	}
	s.whole = whole
	s.standing.Store(standing)
	if differs && s.epoch != nil {
		s.epoch.Add(1)
	}
}

// settle takes notice of what gobreaker decided after err, if that is news.
func (s *State) settle(b *breaker, err error) {
	s.mu.Lock()
	defer s.unlock()
	now := b.phase()
	if s.breaker.Load() != b || now == s.phase {
		return
	}
	s.note("breaker", s.phase.String(), now.String(), s.whyPhase(b, now, err))
	s.phase = now
	s.enter(b)
	s.judge()
}

func (s *State) whyPhase(b *breaker, now phase, err error) string {
	switch {
	case now == halfOpen && s.guarded():
		return fmt.Sprintf("%v are over, a request tries it once GET %s is answered", s.pause(b.rules.OpenFor), s.knock.path)
	case now == halfOpen:
		return fmt.Sprintf("%v are over, the next request tries it", s.pause(b.rules.OpenFor))
	case now == closed:
		return "the trial succeeded"
	case s.phase == halfOpen:
		return fmt.Sprintf("the trial failed: %v", err)
	default:
		return b.why(err)
	}
}

// enter begins a phase.
func (s *State) enter(b *breaker) {
	s.stopTimer()
	switch s.phase {
	case open:
		s.opened = time.Now()
		s.noteSilence(b)
		s.timer = time.AfterFunc(s.pause(b.rules.OpenFor), func() { s.elapsed(b) })
		s.probe.cleared = false
		s.lookAtOnce()
	case halfOpen:
		s.room = b.rules.HalfOpenRequests
		s.raise()
	case closed:
		s.knock.burnt, s.knock.tripped = 0, false
	}
}

// noteSilence notes whether silence opened the breaker, until it closes.
func (s *State) noteSilence(b *breaker) {
	if !s.knock.tripped {
		s.knock.tripped, s.knock.silent = true, time.Time{}
		if b.tripped.Load().silence > 0 {
			s.knock.silent = s.opened
		}
	}
}

// elapsed lets gobreaker see that its time is over.
func (s *State) elapsed(b *breaker) {
	b.gate.State()
	s.settle(b, nil)
}

// revive closes a breaker that evidence from elsewhere proves too careful.
func (s *State) revive(b *breaker, why string) {
	s.mu.Lock()
	defer s.unlock()
	if s.breaker.Load() == b && s.phase != closed {
		s.reclose(why)
	}
}

func (s *State) reclose(why string) {
	s.renew(s.breaker.Load().rules)
	s.note("breaker", s.phase.String(), closed.String(), why)
	s.phase = closed
	s.judge()
}

// renew puts a new breaker into the old one's place; exchanges under way report to the old one, which nobody asks any more.
func (s *State) renew(rules Breaker) {
	s.stopTimer()
	s.knock.due, s.knock.burnt, s.knock.tripped = false, 0, false
	s.breaker.Store(newBreaker(rules))
}

func (s *State) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

func (s *State) attach(wake func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake, s.mute = wake, false
}

func (s *State) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake, s.mute = nil, true
}

// asked is the check in force.
func (s *State) asked() *Check {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.check
}

func (s *State) lookAtOnce() {
	if s.wake != nil {
		s.wake()
	}
}
