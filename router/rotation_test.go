package router

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"mlproxy/config"
	"mlproxy/monitor"
)

// What rotation.go says of its constant. Where n points lie on the circle, the worst arc begins and ends at a point: the
// number of points on it, both ends counted or neither, is furthest from n times its length.
func TestRotationIsExact(t *testing.T) {
	f := func(k uint64, want float64) {
		t.Helper()
		if got := discrepancy(k*golden, 1000); math.Abs(got-want) > 0.005 {
			t.Errorf("every %d. choice: off by up to %.2f; want %.2f", k, got, want)
		}
	}
	f(1, 2.65)
	f(2, 3.51)
	f(13, 12.73)
	for k := range uint64(16) {
		if got := discrepancy((k+1)*golden, 1000); got > 12.74 {
			t.Errorf("every %d. choice: off by up to %.2f", k+1, got)
		}
	}
}

// discrepancy is the most by which the number of the first n multiples of step on any arc differs from n times its length.
func discrepancy(step uint64, n int) float64 {
	points := make([]uint64, n)
	for i := range points {
		points[i] = uint64(i) * step
	}
	slices.Sort(points)
	most, least := math.Inf(-1), math.Inf(1)
	for i, p := range points {
		ahead := float64(i) - float64(n)*math.Ldexp(float64(p), -64)
		most, least = max(most, ahead), min(least, ahead)
	}
	return most - least + 1
}

// drawWeights makes 2 to 8 weights: alike, far apart, tiny, zero.
func drawWeights(random *rand.Rand) config.Weights {
	w := config.Weights{}
	for i := range 2 + random.IntN(7) {
		w[fmt.Sprint("p", i)] = []float64{1, random.Float64(), 100 * random.Float64(), math.Exp(-30 * random.Float64()), 0, 1e9}[random.IntN(6)]
	}
	w["p0"] += 0.01
	return w
}

func TestKeylessSharesAreKeptInAnyThousand(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const window, long = 1000, 1500
	for range 60 {
		s := split(t, drawWeights(random))
		choices := make([]*Version, 16*long)
		for i := range choices {
			v, by := s.Choose(nil)
			if by != monitor.ByRotation {
				t.Fatalf("chosen by %v", by)
			}
			choices[i] = v
		}
		for k := 1; k <= 16; k++ {
			every := make([]*Version, 0, long)
			for i := 0; i < k*long; i += k {
				every = append(every, choices[i])
			}
			if k == 1 {
				every = choices
			}
			bound := map[bool]float64{true: 3, false: 20}[k == 1]
			for _, v := range s.versions {
				if off := worst(every, v, window); off > bound {
					t.Errorf("share %g, every %d. choice: off by %.2f in some window of %d; want %v at most", v.Share, k, off, window, bound)
				}
			}
		}
	}
}

// worst is by how much v's number in a window of choices differs most from its share.
func worst(choices []*Version, v *Version, window int) (off float64) {
	n := 0
	for i, c := range choices {
		if c == v {
			n++
		}
		if i >= window && choices[i-window] == v {
			n--
		}
		if i >= window-1 {
			off = max(off, math.Abs(float64(n)-v.Share*float64(window)))
		}
	}
	return off
}

func TestKeylessChoiceNeverTakesWeightZero(t *testing.T) {
	f := func(w config.Weights, want ...string) {
		t.Helper()
		s, seen := split(t, w), map[string]bool{}
		if slices.Contains(slices.Collect(maps.Values(w)), 0) {
			s.byTurns.at.Store(math.MaxUint64 - golden) // the first choice is where the circle closes
		}
		for range 5000 {
			seen[s.named("")] = true
		}
		for name := range w {
			if seen[name] != slices.Contains(want, name) {
				t.Errorf("%v: %s chosen: %t", w, name, seen[name])
			}
		}
	}
	f(config.Weights{"a": 1, "b": 0}, "a")
	f(config.Weights{"a": 0, "b": 1}, "b")
	f(config.Weights{"a": 0, "b": 1, "c": 0, "d": 2, "e": 0}, "b", "d")
	f(config.Weights{"a": 1e300, "b": 1e-300}, "a")
	f(config.Weights{"a": 1e-300, "b": 1e300}, "b")
	f(config.Weights{"a": 1e-300, "b": 1, "c": 1, "d": 1e-300}, "b", "c")
}

func TestRotationEndsCoverTheCircle(t *testing.T) {
	f := func(at uint64, want int, shares ...float64) {
		t.Helper()
		r := newRotation(shares)
		r.at.Store(at - golden)
		if got := r.next(); got != want {
			t.Errorf("shares %v at %#x: %d; want %d", shares, at, got, want)
		}
	}
	const half = 1 << 63
	f(0, 0, .5, .5)
	f(half-1, 0, .5, .5)
	f(half, 1, .5, .5)
	f(math.MaxUint64, 1, .5, .5)
	f(math.MaxUint64, 2, .1, .2, .7)
	f(math.MaxUint64, 1, 1-1e-17, 1e-17)
	f(0, 1, 1e-300, 1)
	f(math.MaxUint64, 0, 1)
}

func TestKeylessSharesAreKeptByManyAtOnce(t *testing.T) {
	s := split(t, config.Weights{"a": 90, "b": 10})
	const each, many = 10_000, 8
	counts := make([]int, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			for range each {
				if s.named("") == "b" {
					counts[i]++
				}
			}
		})
	}
	all.Wait()
	n := 0
	for _, c := range counts {
		n += c
	}
	if off := n - each*many/10; off < -10 || off > 10 {
		t.Errorf("%d of %d; want a tenth", n, each*many)
	}
}

func TestTablesStartAnywhere(t *testing.T) {
	first := map[uint64]bool{}
	for range 20 {
		first[newRotation([]float64{.5, .5}).at.Load()] = true
	}
	if len(first) < 20 {
		t.Errorf("%d starts in 20 tables", len(first))
	}
}
