package router

import (
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"mlproxy/upstream"
)

// endpoints are n endpoints at an address, without load, each of a pool of its own.
func endpoints(n int, address string) []*upstream.Endpoint {
	set, all := upstream.NewEndpoints(func(upstream.Transition) {}), make([]*upstream.Endpoint, n)
	for i := range all {
		all[i] = set.Get(upstream.Live, fmt.Sprint("pool-", i), "http://"+address)
	}
	return all
}

// equals are members of equal weight.
func equals(from []*upstream.Endpoint) *members { return weighted(from, nil) }

// weighted are members of these weights.
func weighted(from []*upstream.Endpoint, weights []float64) *members {
	var all []member
	for i, e := range from {
		weight := 1.0
		if weights != nil {
			weight = weights[i]
		}
		m := newMember(e, weight)
		m.seed = mix(uint64(i)) // their addresses may be the same
		all = append(all, m)
	}
	return newMembers(all)
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
		c, err := e.Acquire(&upstream.Options{ConnectTimeout: 10 * time.Second}, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Release(false) })
	}
}

// The law of every policy.
func TestPolicies(t *testing.T) {
	weights := [][]float64{
		{1}, {1, 1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {2, 1}, {1, 2, 3, 4}, {.1, 1, 1}, {1, 1000}, {5, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	}
	for name, build := range policies {
		t.Run(name, func(t *testing.T) {
			for _, w := range weights {
				from := weighted(endpoints(len(w), "192.0.2.1:1"), w)
				picksMembers(t, build(), from)
				keepsTheWeights(t, build(), from)
				allocatesNothing(t, build(), from)
			}
			followsWhatItIsGiven(t, build())
		})
	}
}

func picksMembers(t *testing.T, p policy, from *members) {
	t.Helper()
	member := map[*upstream.Endpoint]bool{}
	for _, m := range from.all {
		member[m.Endpoint] = true
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for key := range uint64(1000) {
				if e := p.Pick(from, mix(key)); e == nil || !member[e] {
					t.Errorf("of %d: %v is none of them", len(from.all), e)
					return
				}
			}
		})
	}
	all.Wait()
}

// keepsTheWeights allows each endpoint 6 standard deviations of what chance alone would do, with keys and without.
func keepsTheWeights(t *testing.T, p policy, from *members) {
	t.Helper()
	const picks = 20_000
	sum := 0.0
	for _, m := range from.all {
		sum += m.weight
	}
	for _, keyed := range []uint64{0, 1} {
		count := map[*upstream.Endpoint]float64{}
		for i := range uint64(picks) {
			count[p.Pick(from, keyed*mix(i))]++
		}
		for i, m := range from.all {
			share := m.weight / sum
			if off := math.Abs(count[m.Endpoint] - picks*share); off > 6*math.Sqrt(picks*share*(1-share))+1 {
				t.Errorf("endpoint %d of %d, of weight %v, got %v of %d", i, len(from.all), m.weight, count[m.Endpoint], picks)
			}
		}
	}
}

func allocatesNothing(t *testing.T, p policy, from *members) {
	t.Helper()
	key := uint64(0)
	if n := testing.AllocsPerRun(100, func() { p.Pick(from, mix(key)); key++ }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// followsWhatItIsGiven changes the members between two picks, as health does.
func followsWhatItIsGiven(t *testing.T, p policy) {
	t.Helper()
	from := equals(endpoints(20, "192.0.2.1:1"))
	for i := range uint64(100) {
		one := from.all[i%20]
		if e := p.Pick(newMembers([]member{one}), mix(i)); e != one.Endpoint {
			t.Errorf("%v; want the only one", e)
		}
		but := slices.Concat(from.all[:i%20], from.all[i%20+1:])
		if e := p.Pick(newMembers(but), mix(i)); e == one.Endpoint {
			t.Errorf("%v; it is gone", e)
		}
		p.Pick(from, mix(i))
	}
}

func TestRoundRobinGoesRound(t *testing.T) {
	from := equals(endpoints(3, "192.0.2.1:1"))
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
			count[leastRequest{}.Pick(equals(from), 0)]++
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
