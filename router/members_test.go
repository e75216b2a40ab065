package router

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// parts are which parts of the circle the members have, found by adding up their arcs.
func (m *members) parts() []float64 {
	n := float64(len(m.all))
	parts := make([]float64, len(m.all))
	for i := range m.all {
		own := 1.0
		if m.halves != nil {
			own = math.Ldexp(float64(m.halves[i].end), -64)
			parts[m.halves[i].other] += (1 - own) / n
		}
		parts[i] += own / n
	}
	return parts
}

func TestCircleIsDividedByWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.OneOf(rapid.Just(1.0), rapid.Float64Range(1e-6, 1e6)), 1, 50).Draw(t, "weights")
		var all []member
		sum := 0.0
		for _, w := range weights {
			all, sum = append(all, member{weight: w}), sum+w
		}
		m := newMembers(all)
		for i, part := range m.parts() {
			if want := weights[i] / sum; math.Abs(part-want) > 1e-9 {
				t.Fatalf("weights %v: member %d has %v of the circle, want %v", weights, i, part, want)
			}
		}
		point := rapid.Uint64().Draw(t, "point")
		if i := m.at(point); i < 0 || i >= len(all) {
			t.Fatalf("member %d of %d", i, len(all))
		}
	})
}

// The parts are where at finds them.
func TestPointsFallWhereTheyShould(t *testing.T) {
	f := func(weights ...float64) {
		t.Helper()
		m := weighted(endpoints(len(weights), "192.0.2.1:1"), weights)
		const points = 100_000
		count := make([]float64, len(weights))
		for range points {
			count[m.at(rand.Uint64())]++
		}
		for i, part := range m.parts() {
			if off := math.Abs(count[i] - points*part); off > 6*math.Sqrt(points*part*(1-part))+1 {
				t.Errorf("weights %v: member %d got %v of %d points", weights, i, count[i], points)
			}
		}
	}
	f(1)
	f(1, 1, 1)
	f(1, 2, 3, 4)
	f(1000, 1, 1, 1, 1, 1, 1)
	f(.1, .1, .1, 1)
}

func TestPairsDiffer(t *testing.T) {
	f := func(weights ...float64) {
		t.Helper()
		m := weighted(endpoints(len(weights), "192.0.2.1:1"), weights)
		for range 1000 {
			if a, b := m.pair(); (a == b) != (len(weights) == 1) {
				t.Fatalf("weights %v: a pair of one", weights)
			}
		}
	}
	f(1)
	f(1, 1)
	f(1e6, 1e-6)
	f(1, 2, 3)
}

// Requests one after the other go by weight in the short run too: in any 1,000, an endpoint gets its share within 10.
func TestRoundRobinKeepsTheWeightsAllTheTime(t *testing.T) {
	m := weighted(endpoints(4, "192.0.2.1:1"), []float64{5, 3, 1, 1})
	p := newRoundRobin()
	for range 20 {
		count := map[any]float64{}
		for range 1000 {
			count[p.Pick(m, 0)]++
		}
		for i, want := range []float64{500, 300, 100, 100} {
			if got := count[m.all[i].Endpoint]; math.Abs(got-want) > 10 {
				t.Errorf("endpoint %d got %v of 1000; want %v", i, got, want)
			}
		}
	}
}
