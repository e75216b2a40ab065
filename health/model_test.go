package health

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// model is what a State should be, told as plainly as can be: no gobreaker, no timers, all times compared when asked.
type model struct {
	b       Breaker
	probed  bool // by anything
	verdict string
	fresh   bool
	against int

	phase    string
	entered  time.Time // the phase
	outcomes []result
	streak   uint32
	good     uint32 // trials of this half-open phase
	lastGood bool   // the last probe since the breaker opened
}

type result struct {
	at     time.Time
	failed bool
}

func (m *model) now() string {
	if m.phase == "open" && time.Since(m.entered) >= m.b.OpenFor {
		m.become("half-open")
	}
	return m.phase
}

func (m *model) become(phase string) {
	if phase == "open" {
		m.lastGood = false
	}
	m.phase, m.entered, m.outcomes, m.streak, m.good = phase, time.Now(), nil, 0, 0
}

func (m *model) lets() bool {
	return m.now() == "closed" || m.phase == "half-open" && (!m.probed || m.lastGood)
}

func (m *model) fit() bool { return m.lets() && m.verdict != "down" && m.verdict != "waiting" }

func (m *model) exchange(failed bool) {
	switch m.now() {
	case "closed":
		m.outcomes = append(m.outcomes, result{time.Now(), failed})
		if m.streak++; !failed {
			m.streak = 0
		}
		if failed && m.tooMany() {
			m.become("open")
		}
	case "half-open":
		if failed {
			m.become("open")
		} else if m.good++; m.good == m.b.HalfOpenRequests {
			m.become("closed")
		}
	}
}

// tooMany looks over the outcomes of this tenth of the window and the nine before.
func (m *model) tooMany() bool {
	tenth := func(at time.Time) int { return int(at.Sub(m.entered) / (m.b.Window / 10)) }
	n, failures := 0, 0
	for _, r := range m.outcomes {
		if tenth(time.Now())-tenth(r.at) < 10 {
			n++
			if r.failed {
				failures++
			}
		}
	}
	return m.streak >= m.b.ConsecutiveFailures ||
		m.b.FailureRatio > 0 && n >= int(m.b.MinRequests) && float64(failures) >= m.b.FailureRatio*float64(n)
}

func (m *model) probe(good bool, rise, fall int) {
	now, needed, before := map[bool]string{true: "up", false: "down"}[good], map[bool]int{true: rise, false: fall}[good], m.verdict
	m.now()
	m.lastGood = good
	if m.against++; m.verdict == now {
		m.against = 0
	}
	if m.fresh || m.against >= needed {
		m.verdict, m.against, m.fresh = now, 0, false
	}
	if before == "down" && m.verdict == "up" && m.phase != "closed" {
		m.become("closed")
	}
}

// timeless is a test in a bubble, whose deadline may not be asked for.
type timeless struct{ *testing.T }

func (timeless) Deadline() (time.Time, bool) { return time.Time{}, false }

// Whatever happens in whatever order, a State is what the model says.
func TestStateFollowsTheModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(timeless{t}, func(t *rapid.T) {
			b := Breaker{
				ConsecutiveFailures: rapid.Uint32Range(2, 6).Draw(t, "in a row"),
				FailureRatio:        rapid.SampledFrom([]float64{0, 0.3, 0.5}).Draw(t, "ratio"),
				MinRequests:         rapid.Uint32Range(1, 12).Draw(t, "min requests"),
				HalfOpenRequests:    rapid.Uint32Range(1, 3).Draw(t, "trials"),
				Window:              rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second}).Draw(t, "window"),
				OpenFor:             rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second}).Draw(t, "open for"),
			}
			c := &Check{Path: "/", Rise: rapid.IntRange(1, 3).Draw(t, "rise"), Fall: rapid.IntRange(1, 3).Draw(t, "fall")}
			m := &model{b: b, probed: true, verdict: "waiting", fresh: true}
			if !rapid.Bool().Draw(t, "probed") {
				c, m.probed, m.verdict = nil, false, "off"
			}
			s := NewState(Name{}, nil)
			s.Configure(b, c)
			m.become("closed")
			t.Repeat(moves(s, m, c))
			s.Configure(Breaker{}, nil)
		})
	})
}

// moves are what can happen to a state.
func moves(s *State, m *model, c *Check) map[string]func(*rapid.T) {
	exchange := func(t *rapid.T, err error) {
		lets := m.lets()
		if got := s.Do(outcome(err)); lets && got != err || !lets && got != ErrOpen {
			t.Fatalf("%v", got)
		}
		if lets && err != errClient {
			m.exchange(err != nil)
		}
	}
	probe := func(good bool) func(*rapid.T) {
		return func(t *rapid.T) {
			if c == nil {
				t.Skip("nothing probes it")
			}
			probed(s, map[bool]string{true: "+", false: "-"}[good])
			m.probe(good, c.Rise, c.Fall)
		}
	}
	return map[string]func(*rapid.T){
		"good":    func(t *rapid.T) { exchange(t, nil) },
		"bad":     func(t *rapid.T) { exchange(t, errBroken) },
		"bad 2":   func(t *rapid.T) { exchange(t, errBroken) }, // as often as all else, or little would open
		"client":  func(t *rapid.T) { exchange(t, errClient) },
		"probe +": probe(true),
		"probe -": probe(false),
		"insist": func(*rapid.T) {
			_ = s.Insist(outcome(nil))
			if m.lets() {
				m.exchange(false)
			} else {
				m.become("closed")
			}
		},
		"time": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond)
			synctest.Wait()
		},
		"the same settings": func(*rapid.T) { s.Configure(m.b, c) },
		"": func(t *rapid.T) {
			want := fmt.Sprint(m.fit(), m.lets() && m.verdict == "waiting", m.phase, m.verdict)
			if got := fmt.Sprint(s.Fit(), s.Unproven(), s.Condition().Breaker, s.Condition().Probe); got != want {
				t.Fatalf("%s; want %s", got, want)
			}
		},
	}
}
