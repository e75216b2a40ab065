package router

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"mlproxy/upstream"
)

// farm are n members at addresses of their own.
func farm(n int) []member {
	set := upstream.NewEndpoints(func(upstream.Transition) {})
	var all []member
	for i := range n {
		all = append(all, newMember(set.Get(upstream.Live, "p", fmt.Sprintf("http://192.0.2.%d:%d", i%250, 9000+i)), 1))
	}
	return all
}

const keys = 50_000

// homes are where the keys go.
func homes(all []member) []*upstream.Endpoint {
	p, m, at := &byHash{}, newMembers(all), make([]*upstream.Endpoint, keys)
	for i := range uint64(keys) {
		at[i] = p.Pick(m, mix(i+1))
	}
	return at
}

// Who goes moves its keys and no others, evenly to the rest; who returns gets the same ones back.
func TestHashMovesOnlyTheKeysOfWhoGoes(t *testing.T) {
	f := func(n int) {
		t.Helper()
		all := farm(n)
		before := homes(all)
		for _, gone := range []int{0, n / 2, n - 1} {
			left := slices.Concat(all[:gone], all[gone+1:])
			heirs := map[*upstream.Endpoint]float64{}
			moved := 0.0
			for i, after := range homes(left) {
				if was := before[i]; was == all[gone].Endpoint {
					heirs[after]++
					moved++
				} else if was != after {
					t.Fatalf("%d endpoints without number %d: key %d moved from %s to %s", n, gone, i, was.URL(), after.URL())
				}
			}
			share := 1 / float64(n-1)
			for _, heir := range left {
				if off := math.Abs(heirs[heir.Endpoint] - moved*share); off > 6*math.Sqrt(moved*share)+1 {
					t.Errorf("%d endpoints: %s inherited %v of %v keys", n, heir.URL(), heirs[heir.Endpoint], moved)
				}
			}
		}
	}
	f(2)
	f(3)
	f(few)
	f(few + 1) // remembers, and does not once one has gone
	f(40)
}

// A weight that grows draws keys to its endpoint and moves none between the others: a slow start does not mix up the caches.
func TestHashMovesKeysOnlyToWhoGrows(t *testing.T) {
	f := func(n int) {
		t.Helper()
		all := farm(n)
		before := homes(all)
		for _, weight := range []float64{1.5, 2, 3} {
			all = slices.Clone(all)
			all[1].weight = weight
			after := homes(all)
			for i := range after {
				if before[i] != after[i] && after[i] != all[1].Endpoint {
					t.Fatalf("%d endpoints: key %d moved to %s", n, i, after[i].URL())
				}
			}
			before = after
		}
	}
	f(2)
	f(20)
}

// Replicas and restarts agree, whatever order the endpoints come in.
func TestHashIsPure(t *testing.T) {
	f := func(n int) {
		t.Helper()
		one, two := farm(n), farm(n)
		slices.Reverse(two)
		other := homes(two)
		for i, e := range homes(one) {
			if e.URL() != other[i].URL() {
				t.Fatalf("%d endpoints: key %d goes to %s and to %s", n, i, e.URL(), other[i].URL())
			}
		}
	}
	f(3)
	f(30)
}

func TestHashWithoutKeyIsLeastRequest(t *testing.T) {
	from := endpoints(2, listen(t))
	busy(t, from[0], 3)
	for range 100 {
		if e := (&byHash{}).Pick(equals(from), 0); e != from[1] {
			t.Fatal("the busy one was picked")
		}
	}
}

// The page promises how even the shares are.
func TestHashIsAsEvenAsItSays(t *testing.T) {
	f := func(n int, within float64) {
		t.Helper()
		m := newMembers(farm(n))
		count := make([]float64, n)
		for slot := range uint64(slots) {
			count[m.winner(slot)]++
		}
		squares := 0.0
		for _, c := range count {
			squares += math.Pow(c*float64(n)/slots-1, 2)
		}
		if off := math.Sqrt(squares / float64(n)); off > within {
			t.Errorf("%d endpoints: shares are within %.3f of what they should be", n, off)
		}
	}
	f(3, .02)
	f(10, .025)
	f(1000, .135)
}
