package router

import (
	"fmt"
	"math"
	"testing"

	"mlproxy/config"
	"mlproxy/monitor"
)

func shadowed(sample float64) *config.Route {
	return &config.Route{
		Match:  config.Match{Path: "/"},
		Split:  config.Weights{"a": 1, "b": 3},
		Shadow: map[string]*config.Shadow{"s": {Sample: sample, MaxInFlight: 1}},
	}
}

func TestSampleKeepsItsShare(t *testing.T) {
	f := func(share float64) {
		t.Helper()
		s := compile(t, desired(map[string]*config.Route{"r": shadowed(share)})).Routes()[0].Shadows[0]
		n := 0.0
		for range users {
			if s.Sample() {
				n++
			}
		}
		if off := math.Abs(n - share*users); off > 5*sigma(share) {
			t.Errorf("share %v: %v of %d", share, n, users)
		}
	}
	f(0)
	f(1)
	f(.5)
	f(.1)
	f(.001)
}

func TestSampleIsIndependentOfTheAssignment(t *testing.T) {
	r := compile(t, desired(map[string]*config.Route{"r": shadowed(.1)})).Routes()[0]
	f := func(key func(int) string) {
		t.Helper()
		joint := newJoint()
		for i := range users {
			joint.see(r.Split.named(key(i)), r.Shadows[0].Sample())
		}
		joint.independent(t)
	}
	f(func(int) string { return "" })
	f(func(i int) string { return fmt.Sprint("user-", i) })
}

// One user's requests are a sample like everybody's: whether the last was copied says nothing of the next.
func TestSampleHasNoMemory(t *testing.T) {
	s := compile(t, desired(map[string]*config.Route{"r": shadowed(.3)})).Routes()[0].Shadows[0]
	joint, last := newJoint(), false
	for range users {
		now := s.Sample()
		joint.see(last, now)
		last = now
	}
	joint.independent(t)
}

func TestLoadOfShadowsSurvivesSwaps(t *testing.T) {
	e := NewEstate(monitor.New())
	cfg := desired(map[string]*config.Route{"r": shadowed(1), "other": shadowed(1)})
	cfg.Routes["other"].Match.Path = "/other"
	old := compileIn(t, cfg, e).Routes()[1].Shadows[0]
	old.InFlight.Store(7)
	old.Bytes.Store(9)
	now := compileIn(t, cfg, e)
	if s := now.Routes()[1].Shadows[0]; s.InFlight.Load() != 7 || s.Bytes.Load() != 9 {
		t.Errorf("in flight %d, bytes %d; want 7 and 9", s.InFlight.Load(), s.Bytes.Load())
	}
	if s := now.Routes()[0].Shadows[0]; s.InFlight.Load() != 0 {
		t.Error("another route's shadow shares the load")
	}
	if s := now.Routes()[0].Shadows[0]; s.Pool != now.Routes()[1].Shadows[0].Pool {
		t.Error("one pool of copies became two")
	}
}
