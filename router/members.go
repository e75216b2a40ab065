package router

import (
	"math/bits"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"

	"mlproxy/upstream"
)

// members are the endpoints of a pool that may be picked at the moment, with their weights. They are never changed.
type members struct {
	all []member
	// halves say whose the parts of the circle are when the weights differ; see divide. Nil when all are equal.
	halves []halves
}

type member struct {
	*upstream.Endpoint
	weight float64
	seed   uint64 // of the endpoint's URL
}

// halves is one of as many equal arcs of the circle as there are members: up to end it is its own member's, then other's.
type halves struct {
	end   uint64
	other int
}

func newMembers(all []member) *members {
	m := &members{all: all}
	for i := range all {
		if all[i].weight != all[0].weight {
			m.divide()
			break
		}
	}
	return m
}

func newMember(e *upstream.Endpoint, weight float64) member {
	return member{Endpoint: e, weight: weight, seed: xxhash.Sum64String(e.URL())}
}

// divide divides the circle by weight in such a way that finding whose a point is costs the same with 2 members and with 1,000:
// by the alias method (Walker 1977; Vose, "A Linear Algorithm for Generating Random Numbers with a Given Distribution", 1991).
// There is an arc of equal length for each member. A member of less than average weight leaves the rest of its arc to one of
// more, which goes on needing less, until nobody needs more than an arc.
func (m *members) divide() {
	n, sum := len(m.all), 0.0
	for i := range m.all {
		sum += m.all[i].weight
	}
	m.halves = make([]halves, n)
	need := make([]float64, n) // in arcs
	var poor, rich []int
	for i := range m.all {
		m.halves[i] = halves{end: onCircle(1), other: i}
		need[i] = m.all[i].weight / sum * float64(n)
		if need[i] < 1 {
			poor = append(poor, i)
		} else {
			rich = append(rich, i)
		}
	}
	for len(poor) > 0 && len(rich) > 0 {
		p, r := poor[len(poor)-1], rich[len(rich)-1]
		poor = poor[:len(poor)-1]
		m.halves[p] = halves{end: onCircle(need[p]), other: r}
		if need[r] -= 1 - need[p]; need[r] < 1 {
			rich = rich[:len(rich)-1]
			poor = append(poor, r)
		}
	}
}

// at is the index of the member whose a point of the circle is.
func (m *members) at(point uint64) int {
	i, within := bits.Mul64(point, uint64(len(m.all)))
	if m.halves != nil && within >= m.halves[i].end {
		return m.halves[i].other
	}
	return int(i)
}

// pair draws two members by lot, each with the probability of its weight, that differ where there are two. The first is
// drawn without regard to the second: among equals it keeps to the weights.
func (m *members) pair() (a, b *member) {
	i := m.at(rand.Uint64())
	if len(m.all) == 1 {
		return &m.all[i], &m.all[i]
	}
	j := m.at(rand.Uint64())
	if j == i {
		j = (i + 1 + rand.IntN(len(m.all)-1)) % len(m.all)
	}
	return &m.all[i], &m.all[j]
}

// load is what the endpoint has to do, measured by what it can.
func (m *member) load() float64 { return m.Load() / m.weight }

// another is the least loaded member besides not, if there is one. Second tries are rare, so it may look at all of them;
// it starts anywhere, so that those of one moment do not all go to the same place.
func (m *members) another(not *upstream.Endpoint) *upstream.Endpoint {
	var best *member
	start := rand.IntN(len(m.all))
	for i := range m.all {
		e := &m.all[(start+i)%len(m.all)]
		if e.Endpoint != not && (best == nil || e.load() < best.load()) {
			best = e
		}
	}
	if best == nil {
		return not
	}
	return best.Endpoint
}
