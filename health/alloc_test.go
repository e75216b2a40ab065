package health

import (
	"fmt"
	"testing"
	"time"
)

// What an ordinary exchange costs: nothing for the garbage collector, whether it succeeds or fails.
func TestAllocDo(t *testing.T) {
	s := NewState(Name{"live", "iris", "http://127.0.0.1:9001"}, nil)
	s.Configure(Breaker{ConsecutiveFailures: 1000, FailureRatio: 1, MinRequests: 1e6, Window: time.Minute}, nil)
	client := fmt.Errorf("%w: the client left", ErrExcluded)
	f := func(what string, want error) {
		t.Helper()
		work := outcome(want)
		if n := testing.AllocsPerRun(100, func() {
			if err := s.Do(work); err != want || !s.Fit() || s.Unproven() {
				t.Fatal(what, err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	f("success", nil)
	f("failure", errBroken)
	f("excluded", client)
}

func BenchmarkDo(b *testing.B) {
	s := NewState(Name{}, nil)
	s.Configure(Breaker{ConsecutiveFailures: 5, FailureRatio: 0.5, MinRequests: 20}, nil)
	work := outcome(nil)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = s.Do(work)
		}
	})
}
