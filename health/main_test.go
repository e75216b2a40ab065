package health

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errBroken = errors.New("connection reset by peer")
	errClient = fmt.Errorf("%w: the client left", ErrExcluded)
)

var (
	inRow = Breaker{ConsecutiveFailures: 3}
	ready = Check{Path: "/ready", Rise: 2, Fall: 3}
)

// outcome is work that ends so.
func outcome(err error) func(*Trial) error { return func(*Trial) error { return err } }

// diary keeps what is told.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) tell(t Transition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%s %s > %s: %s", t.Kind, t.From, t.To, t.Why))
}

// next is what was told since it was last asked for.
func (d *diary) next() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	return lines
}

// says fails the test unless exactly these transitions were told since.
func (d *diary) says(t testing.TB, want ...string) {
	t.Helper()
	if got := d.next(); !slices.Equal(got, want) {
		t.Errorf("told:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func state(b Breaker, c *Check) (*State, *diary) {
	var d diary
	s := NewState(Name{"live", "iris", "http://127.0.0.1:9001"}, d.tell)
	s.Configure(b, c)
	d.next()
	return s, &d
}

// do lets exchanges end one after the other as signs say: + succeeds, - fails, 0 is excluded, and ! marks one that must not begin.
func do(t testing.TB, s *State, signs string) {
	t.Helper()
	for i, sign := range signs {
		want := map[rune]error{'+': nil, '-': errBroken, '0': errClient, '!': ErrOpen}[sign]
		if err := s.Do(outcome(want)); err != want {
			t.Errorf("%s, number %d: %v; want %v", signs, i, err, want)
		}
		if sign == '!' && s.Do(func(*Trial) error { t.Error("the exchange began"); return nil }) != ErrOpen {
			t.Errorf("%s, number %d is let in the second time", signs, i)
		}
	}
}

// opened is a state whose breaker has just opened.
func opened(t testing.TB, b Breaker, c *Check) (*State, *diary) {
	t.Helper()
	s, d := state(b, c)
	do(t, s, strings.Repeat("-", int(b.ConsecutiveFailures)))
	is(t, s, "unfit open")
	d.next()
	return s, d
}

// is fails the test unless the state is so: "fit closed", "unfit half-open", "unproven closed".
func is(t testing.TB, s *State, want string) {
	t.Helper()
	got := "unfit "
	switch {
	case s.Fit():
		got = "fit "
	case s.Unproven():
		got = "unproven "
	}
	c := s.Condition()
	if got += c.Breaker; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if c.Fit != s.Fit() || c.Level != map[string]int{"closed": 0, "half-open": 1, "open": 2}[c.Breaker] {
		t.Errorf("the condition contradicts itself: %+v", c)
	}
}

// probed has the state hear results as signs say.
func probed(s *State, signs string) {
	for _, sign := range signs {
		heard(s, time.Now(), map[rune]error{'+': nil, '-': errBroken}[sign])
	}
}

func heard(s *State, sent time.Time, err error) bool { return s.heard(s.asked(), sent, err) }
