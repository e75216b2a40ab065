package router

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"mlproxy/config"
	"mlproxy/monitor"
)

const users = 100_000

// assign is the pool of each of the users.
func assign(s *Split) []string {
	all := make([]string, users)
	for i := range all {
		all[i] = s.named(fmt.Sprint("user-", i))
	}
	return all
}

func count(all []string) map[string]int {
	n := map[string]int{}
	for _, name := range all {
		n[name]++
	}
	return n
}

// sigma is the standard deviation of how many of the users a share gets.
func sigma(share float64) float64 { return math.Sqrt(users * share * (1 - share)) }

func TestKeyedSharesAreRight(t *testing.T) {
	f := func(w config.Weights) {
		t.Helper()
		s := split(t, w)
		n := count(assign(s))
		for _, v := range s.versions {
			if off := math.Abs(float64(n[v.Pool.Name]) - v.Share*users); off > 4*sigma(v.Share) {
				t.Errorf("%v: %s has %d users of %d, %.1f sigma off", w, v.Pool.Name, n[v.Pool.Name], users, off/sigma(v.Share))
			}
		}
	}
	f(config.Weights{"a": 1, "b": 1})
	f(config.Weights{"a": 95, "b": 5})
	f(config.Weights{"a": 99.9, "b": .1})
	f(config.Weights{"a": 1, "b": 2, "c": 3, "d": 4, "e": 0})
	f(config.Weights{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1})
}

func TestRaisingAShareMovesKeysOnlyThere(t *testing.T) {
	f := func(before, after config.Weights, grown string) {
		t.Helper()
		old, now := split(t, before), split(t, after)
		was, is := assign(old), assign(now)
		moved := 0
		for i := range was {
			if was[i] == is[i] {
				continue
			}
			moved++
			if is[i] != grown {
				t.Fatalf("%v to %v: user %d moved from %s to %s", before, after, i, was[i], is[i])
			}
		}
		more := sharesOf(&config.Route{Split: after})[grown] - sharesOf(&config.Route{Split: before})[grown]
		if off := math.Abs(float64(moved) - more*users); off > 4*sigma(more) {
			t.Errorf("%v to %v: %d moved, %.1f sigma off", before, after, moved, off/sigma(more))
		}
	}
	f(config.Weights{"a": 95, "b": 5}, config.Weights{"a": 90, "b": 10}, "b")
	f(config.Weights{"a": 95, "b": 5}, config.Weights{"a": 1, "b": 1}, "b")
	f(config.Weights{"a": 1, "b": 0}, config.Weights{"a": .99, "b": .01}, "b")
	f(config.Weights{"a": 6, "b": 3, "c": 1}, config.Weights{"a": 6, "b": 3, "c": 4}, "c")
	f(config.Weights{"a": .2, "b": .3, "c": .5}, config.Weights{"a": .6, "b": .15, "c": .25}, "a")
	f(config.Weights{"a": 2, "b": 1}, config.Weights{"a": 2, "b": 1, "c": 1}, "c")
}

func TestKeyedChoiceIsAFunctionOfWhatIsConfigured(t *testing.T) {
	f := func(a, b config.Weights) {
		t.Helper()
		one, two := split(t, a), split(t, b)
		for i := range 20_000 {
			key := fmt.Sprint("user-", i)
			if x, y := one.named(key), two.named(key); x != y {
				t.Fatalf("%v and %v: %s has %s and %s", a, b, key, x, y)
			}
		}
	}
	f(config.Weights{"a": 1, "b": 2, "c": 3}, config.Weights{"c": 3, "b": 2, "a": 1})
	f(config.Weights{"a": 1, "b": 2, "c": 3}, config.Weights{"a": 1e6, "b": 2e6, "c": 3e6})
	f(config.Weights{"a": .95, "b": .05}, config.Weights{"a": 95, "b": 5})
	f(config.Weights{"a": 1, "b": 2}, config.Weights{"a": 1, "b": 2, "idle": 0})
}

func TestKeylessRequestsDoNotMoveKeys(t *testing.T) {
	s := split(t, config.Weights{"a": 1, "b": 1})
	before := s.named("user")
	for range 100 {
		s.named("")
		if now := s.named("user"); now != before {
			t.Fatalf("moved from %s to %s", before, now)
		}
	}
}

// Users meet these assignments across releases and restarts. A change that fails here shuffles the users of everybody's
// running experiments: it needs a word in CHANGELOG.md, under [CHANGE].
func TestAssignmentsStayAcrossReleases(t *testing.T) {
	f := func(route string, w config.Weights, want string) {
		t.Helper()
		s := compile(t, desired(map[string]*config.Route{route: {Split: w}})).Routes()[0].Split
		var got strings.Builder
		for i := range 40 {
			got.WriteString(s.named(fmt.Sprint("user-", i)))
		}
		if got.String() != want {
			t.Errorf("%s %v: %s; want %s", route, w, got.String(), want)
		}
	}
	f("iris", config.Weights{"s": 95, "c": 5}, "ssssssscssssssssssssssssssssssssssssssss")
	f("iris", config.Weights{"s": 50, "c": 50}, "ccscssscssssssscccccsccsssssscsssssccccc")
	f("search", config.Weights{"s": 50, "c": 50}, "sscsscsssccscccccscsccsscscssccsccsssccs")
	f("iris", config.Weights{"x": 1, "y": 2, "z": 3}, "xyyzzyzzyzzzzyyyyzyxyzxzzzyyyzxyzzyyzzyx")
}

func TestKeyedChoiceNeverTakesWeightZero(t *testing.T) {
	if n := count(assign(split(t, config.Weights{"a": 1, "b": 0, "c": 1}))); n["b"] > 0 {
		t.Errorf("%d users", n["b"])
	}
}

func TestByKey(t *testing.T) {
	f := func(w config.Weights, key []byte, want monitor.By) {
		t.Helper()
		if _, by := split(t, w).Choose(key); by != want {
			t.Errorf("%v, key %q: by %v; want %v", w, key, by, want)
		}
	}
	both, one := config.Weights{"a": 1, "b": 1}, config.Weights{"a": 1}
	f(both, []byte("k"), monitor.ByKey)
	f(both, nil, monitor.ByRotation)
	f(both, []byte{}, monitor.ByRotation)
	f(one, []byte("k"), monitor.ByKey)
	f(one, nil, monitor.ByRotation)
}

// Who is in one route's canary says nothing of who is in another's, whatever the keys look like.
func TestRoutesAreSalted(t *testing.T) {
	w := config.Weights{"a": 1, "b": 2, "c": 3}
	route := func(path string) *config.Route { return &config.Route{Match: config.Match{Path: path}, Split: w} }
	table := compile(t, desired(map[string]*config.Route{"one": route("/1"), "two": route("/2"), "on": route("/3")}))
	f := func(key func(int) string, i, j int) {
		t.Helper()
		one, two := table.Routes()[i].Split, table.Routes()[j].Split
		joint := newJoint()
		for n := range users {
			joint.see(one.named(key(n)), two.named(key(n)))
		}
		joint.independent(t)
	}
	random := rand.New(rand.NewPCG(5, 6))
	uuids := make([]string, users)
	for i := range uuids {
		uuids[i] = fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64())
	}
	f(func(n int) string { return fmt.Sprint(n) }, 0, 1)
	f(func(n int) string { return fmt.Sprint(n) }, 1, 2)
	f(func(n int) string { return uuids[n] }, 0, 2)
	f(func(n int) string { return strings.Repeat("x", n%300) + fmt.Sprint(n) }, 0, 1)
}

// joint counts how often two things came together.
type joint struct {
	rows, columns map[any]float64
	cells         map[[2]any]float64
	n             float64
}

func newJoint() *joint {
	return &joint{rows: map[any]float64{}, columns: map[any]float64{}, cells: map[[2]any]float64{}}
}

func (j *joint) see(row, column any) {
	j.rows[row]++
	j.columns[column]++
	j.cells[[2]any{row, column}]++
	j.n++
}

// independent is Pearson's test; what fails it is chance once in some millions.
func (j *joint) independent(t *testing.T) {
	t.Helper()
	chi2 := 0.0
	for row, r := range j.rows {
		for column, c := range j.columns {
			expected := r * c / j.n
			off := j.cells[[2]any{row, column}] - expected
			chi2 += off * off / expected
		}
	}
	freedom := float64(len(j.rows)-1) * float64(len(j.columns)-1)
	if limit := freedom + 5*math.Sqrt(2*freedom) + 18; freedom == 0 || chi2 > limit {
		t.Errorf("chi-square %.1f at %v degrees of freedom; want at most %.1f", chi2, freedom, limit)
	}
}
