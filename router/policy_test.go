package router

import (
	"fmt"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"mlproxy/upstream"
)

// endpoints are n endpoints at an address, without load.
func endpoints(n int, address string) []*upstream.Endpoint {
	set, all := upstream.NewEndpoints(func(upstream.Transition) {}), make([]*upstream.Endpoint, n)
	for i := range all {
		all[i] = set.Get(upstream.Live, fmt.Sprint("pool-", i), "http://"+address)
	}
	return all
}

// listen is the address of something that takes connections and says nothing.
func listen(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// busy gives an endpoint exchanges in flight until the test ends.
func busy(t testing.TB, e *upstream.Endpoint, n int) {
	t.Helper()
	for range n {
		c, err := e.Acquire(&upstream.Options{ConnectTimeout: 10 * time.Second}, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Release(false) })
	}
}

// The law of every policy.
func TestPolicies(t *testing.T) {
	for name, build := range policies {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 10} {
				picksMembers(t, build(), endpoints(n, "192.0.2.1:1"))
				isFair(t, build(), endpoints(n, "192.0.2.1:1"))
				allocatesNothing(t, build(), endpoints(n, "192.0.2.1:1"))
			}
			followsWhatItIsGiven(t, build())
		})
	}
}

func picksMembers(t *testing.T, p policy, from []*upstream.Endpoint) {
	t.Helper()
	member := map[*upstream.Endpoint]bool{}
	for _, e := range from {
		member[e] = true
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for key := range uint64(1000) {
				if e := p.Pick(from, key); e == nil || !member[e] {
					t.Errorf("of %d: %v is none of them", len(from), e)
					return
				}
			}
		})
	}
	all.Wait()
}

// isFair allows each endpoint 6 standard deviations of what chance alone would do.
func isFair(t *testing.T, p policy, from []*upstream.Endpoint) {
	t.Helper()
	const picks = 20_000
	count := map[*upstream.Endpoint]float64{}
	for i := range uint64(picks) {
		count[p.Pick(from, mix(i))]++
	}
	share := 1 / float64(len(from))
	for i, e := range from {
		if off := math.Abs(count[e] - picks*share); off > 6*math.Sqrt(picks*share*(1-share))+1 {
			t.Errorf("endpoint %d of %d got %v of %d", i, len(from), count[e], picks)
		}
	}
}

func allocatesNothing(t *testing.T, p policy, from []*upstream.Endpoint) {
	t.Helper()
	if n := testing.AllocsPerRun(100, func() { p.Pick(from, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// followsWhatItIsGiven changes the members between two picks, as health will.
func followsWhatItIsGiven(t *testing.T, p policy) {
	t.Helper()
	from := endpoints(5, "192.0.2.1:1")
	for i := range uint64(100) {
		some := from[i%5 : i%5+1]
		if e := p.Pick(some, i); e != some[0] {
			t.Errorf("%v; want the only one", e)
		}
		p.Pick(from, i)
	}
}

func TestRoundRobinGoesRound(t *testing.T) {
	from := endpoints(3, "192.0.2.1:1")
	p := newRoundRobin()
	first := []*upstream.Endpoint{p.Pick(from, 0), p.Pick(from, 0), p.Pick(from, 0)}
	for i := range 30 {
		if e := p.Pick(from, 0); e != first[i%3] {
			t.Fatalf("pick %d breaks the round", i)
		}
	}
}

func TestLeastRequestAvoidsTheBusy(t *testing.T) {
	f := func(load []int, want ...float64) {
		t.Helper()
		from := endpoints(len(load), listen(t))
		for i, n := range load {
			busy(t, from[i], n)
		}
		const picks = 20_000
		count := map[*upstream.Endpoint]float64{}
		for range picks {
			count[leastRequest{}.Pick(from, 0)]++
		}
		for i, share := range want {
			if got := count[from[i]] / picks; math.Abs(got-share) > .03 {
				t.Errorf("load %v: endpoint %d got %.3f; want %.3f", load, i, got, share)
			}
		}
	}
	f([]int{3, 0}, 0, 1)
	f([]int{2, 1, 0}, 0, 1./3, 2./3) // of the three pairs, the idle one is in two
	f([]int{1, 1, 1}, 1./3, 1./3, 1./3)
}
