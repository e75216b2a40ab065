package health

import (
	"strings"
	"time"
)

// Transition is one change of an endpoint's state.
type Transition struct {
	Name
	// Kind is whose change it is: "probe" or "breaker".
	Kind string
	// From and To are closed, half-open and open of a breaker; off, waiting (for the first result), up and down of probes.
	From, To string
	// Why is the reason, in words.
	Why string
}

// Condition is a State at a glance.
type Condition struct {
	Fit     bool
	Breaker string // closed, half-open or open
	// Level is the breaker's as the metric has it: 0 closed, 1 half-open, 2 open.
	Level int
	Probe string // off, waiting, up or down
	// Since and Why are of the last change.
	Since time.Time
	Why   string
}

// Condition is the state as of now.
func (s *State) Condition() Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Condition{
		Fit: s.Fit(), Breaker: s.phase.String(), Level: int(s.phase), Probe: s.probe.verdict.String(), Since: s.changed, Why: s.why,
	}
}

// news are transitions on their way to tell.
type news struct {
	untold  []Transition
	telling bool
	changed time.Time
	why     string
}

// mostWords are the bytes of a reason: it may quote what a model server said.
const mostWords = 300

// note keeps a transition until unlock. What does not change is none.
func (s *State) note(kind, from, to, why string) {
	if from == to {
		return
	}
	if len(why) > mostWords {
		why = strings.ToValidUTF8(why[:mostWords], "") + "..."
	}
	s.changed, s.why = time.Now(), why
	if s.mute {
		return
	}
	s.untold = append(s.untold, Transition{s.name, kind, from, to, why})
}

// unlock tells of the transitions noted under the lock, outside it. Only one tells at a time, so that they go in order.
func (s *State) unlock() {
	defer s.mu.Unlock()
	if s.telling {
		return
	}
	s.telling = true
	for len(s.untold) > 0 {
		t := s.untold[0]
		s.untold = s.untold[1:]
		s.mu.Unlock()
		s.tell(t)
		s.mu.Lock()
	}
	s.telling = false
}
