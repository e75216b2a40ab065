package monitor

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mlproxy/protocol"
)

// random is the summary of some made-up exchanges.
func random(seed uint64) *Summary {
	g := rand.New(rand.NewPCG(seed, 1))
	at := time.Unix(1_700_000_000+int64(g.IntN(3600)), 0).UTC()
	s := &Summary{Route: "iris", Pool: "stable", From: at, To: at.Add(fineWindow)}
	for range g.IntN(50) {
		r := told()
		r.Seen.Duration = time.Duration(g.ExpFloat64() * 1e8)
		f := r.Facts
		f.Outputs[0].Class = fmt.Sprint("class ", g.IntN(300))
		f.Outputs[0].Value = math.Exp(40*g.Float64()-20) * float64(g.IntN(3)-1)
		f.Lengths[0].N = g.IntN(100_000)
		f.OutputsMissing[g.IntN(int(protocol.MissingReasons)-1)+1]++
		s.add(r, func(class string) string { return class })
	}
	return s
}

// text is the summary as JSON without what floating-point sums round differently in another order.
func text(t *testing.T, s *Summary) map[string]any {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return withoutSketches(all).(map[string]any)
}

func withoutSketches(v any) any {
	if m, ok := v.(map[string]any); ok {
		delete(m, "sketch") // holds the rounded sum
		delete(m, "classes")
		for k := range m {
			m[k] = withoutSketches(m[k])
		}
	}
	return v
}

func merged(t *testing.T, all ...*Summary) *Summary {
	t.Helper()
	sum := &Summary{Route: "iris", Pool: "stable"}
	for _, s := range all {
		if err := sum.Merge(s); err != nil {
			t.Fatal(err)
		}
	}
	return sum
}

// Laws of merging: order and grouping do not matter, an empty summary changes nothing, and what was merged stays as it was.
func TestMergeLaws(t *testing.T) {
	near := cmpopts.EquateApprox(1e-9, 1e-9)
	for seed := range uint64(20) {
		a, b, c := random(3*seed), random(3*seed+1), random(3*seed+2)
		before := text(t, a)
		whole := text(t, merged(t, a, b, c))
		same := func(law string, got *Summary) {
			if diff := cmp.Diff(whole, text(t, got), near); diff != "" {
				t.Errorf("%s, seed %d (-want +got):\n%s", law, seed, diff)
			}
		}
		same("commutative", merged(t, c, a, b))
		same("associative", merged(t, a, merged(t, b, c)))
		same("neutral", merged(t, named(), a, b, named(), c))
		if diff := cmp.Diff(before, text(t, a)); diff != "" {
			t.Errorf("merging changed what was merged (-before +after):\n%s", diff)
		}
	}
}

func named() *Summary { return &Summary{Route: "iris", Pool: "stable"} }

func TestMergeRefusesAnotherVersion(t *testing.T) {
	if err := named().Merge(&Summary{Route: "iris", Pool: "canary"}); err == nil {
		t.Error("summaries of two versions merged")
	}
}

// What a fleet's proxies say as JSON merges as if one had seen it all.
func TestSummaryTravels(t *testing.T) {
	a, b := random(7), random(8)
	sent := func(s *Summary) *Summary {
		t.Helper()
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		got := new(Summary)
		if err := json.Unmarshal(raw, got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if diff := cmp.Diff(text(t, merged(t, a, b)), text(t, merged(t, sent(a), sent(b))), cmpopts.EquateApprox(1e-9, 1e-9)); diff != "" {
		t.Errorf("(-here +sent):\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"confidence": {"sketch": "AAAA"}}`), new(Summary)); err == nil {
		t.Error("a broken sketch was taken")
	}
}

func TestSummaryOfWhatWasAskedAndSaid(t *testing.T) {
	r := New()
	m := r.Model("iris", "stable")
	m.Learn(told())
	m.Learn(told())
	m.Learn(&Record{At: told().At, Facts: &protocol.Facts{Features: []protocol.Feature{{Name: "age", Values: 1, Numbers: 1, Sum: math.MaxFloat64}}}})
	m.Learn(&Record{At: told().At, Facts: &protocol.Facts{Features: []protocol.Feature{{Name: "age", Values: 1, Numbers: 1, Sum: math.MaxFloat64}}}})
	all, err := r.Summaries("iris", time.Minute, told().At.Add(time.Second))
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	got := text(t, all[0])
	f := func(key string, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got[key], cmpopts.EquateApprox(1e-9, 1e-9)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	type object = map[string]any
	f("nonfinite", 2.)
	f("features", object{
		"age":   object{"values": 10., "missing": 2., "numbers": 8., "sum": math.MaxFloat64, "chars": 0.},
		"city":  object{"values": 8., "missing": 2., "numbers": 0., "sum": 0., "chars": 24.},
		"other": object{"values": 8., "missing": 0., "numbers": 0., "sum": 0., "chars": 0.},
	})
	f("finish_reasons", object{"stop": 4., "other": 2.})
	f("served_versions", object{"7": 2.})
	f("errors", object{"context_overflow": 2.})
	f("confidence_kinds", object{"probability": 2., "score": 2., "none": 4.})
	mean := func(key string, want float64) {
		t.Helper()
		if v, _ := got[key].(object); v == nil || math.Abs(v["mean"].(float64)-want) > 1e-9 {
			t.Errorf("%s: %v, want a mean of %v", key, v, want)
		}
	}
	mean("first_token_seconds", .02)
	mean("first_answer_seconds", .025)
	mean("inter_token_seconds", .0015)
	mean("image_pixels", 64)
	mean("audio_dbfs", -70)
	mean("audio_seconds", 1.5)
}

// A row that was answered with an error is no output: neither one that is there nor one that is missing.
func TestErrorsAreNoOutputs(t *testing.T) {
	f := func(status int, want int64) {
		t.Helper()
		s := named()
		s.add(&Record{Facts: &protocol.Facts{Rows: 3}, Seen: &Observation{Status: status}}, nil)
		if s.Outputs != want {
			t.Errorf("%d: %d outputs, want %d", status, s.Outputs, want)
		}
	}
	f(200, 3)
	f(400, 0)
	f(503, 0)
}

func TestFeaturesAreBounded(t *testing.T) {
	var s Summary
	for i := range maxFeatures + 10 {
		s.addFeature(fmt.Sprint("feature ", i), FeatureSummary{Values: 1})
	}
	if len(s.Features) != maxFeatures+1 || s.Features[otherName].Values != 10 {
		t.Errorf("%d features, %d values of others", len(s.Features), s.Features[otherName].Values)
	}
}

func TestSketchQuantiles(t *testing.T) {
	var s Sketch
	for i := range 10_000 {
		s.Add(float64(i+1) / 100)
	}
	s.Add(math.NaN())
	s.Add(math.Inf(1))
	for q, want := range map[float64]float64{0: .01, .5: 50, .9: 90, .99: 99, 1: 100} {
		if got := s.Quantile(q); math.Abs(got-want) > .011*want {
			t.Errorf("quantile %v is %v, want %v within 1%%", q, got, want)
		}
	}
	if s.Count() != 10_000 {
		t.Errorf("%d numbers, want 10000: NaN and infinities are none", s.Count())
	}
}

func TestHistoryIsBoundedAndCoarserFurtherBack(t *testing.T) {
	var h history
	v := version{"iris", "stable"}
	class := func(c string) string { return c }
	begin := time.Unix(1_700_000_040, 0).UTC() // a whole minute
	tell := func(at time.Time) {
		r := told()
		r.At, r.Seen.Duration = at, 0
		h.add(r, v, class)
	}
	const seconds = 3 * 3600
	for i := range seconds {
		tell(begin.Add(time.Duration(i) * time.Second))
	}
	now := begin.Add((seconds - 1) * time.Second)
	if n := len(h.windows); n > 100 {
		t.Errorf("%d windows are kept of an hour", n)
	}
	f := func(window time.Duration, least, most int64) {
		t.Helper()
		s, err := h.sum(v, now.Add(-window), now)
		if err != nil || s.Exchanges < least || s.Exchanges > most {
			t.Errorf("within %v there were %d exchanges (%v), want %d to %d", window, s.Exchanges, err, least, most)
		}
		if !s.To.Equal(now) || s.From.After(now.Add(-window)) {
			t.Errorf("the last %v go from %v to %v", window, s.From, s.To)
		}
	}
	f(10*time.Second, 10, 20)
	f(time.Minute, 60, 70)
	f(5*time.Minute, 300, 310)
	f(30*time.Minute, 1800, 1860)
	f(time.Hour, 3500, 3660)
	f(3*time.Hour, 3500, 3660)

	before := len(h.windows)
	tell(now.Add(-30 * time.Second)) // late, but recent: it counts where it belongs
	tell(now.Add(-10 * time.Minute))
	tell(now.Add(-2 * time.Hour)) // too late
	if len(h.windows) != before {
		t.Errorf("latecomers made %d windows out of %d", len(h.windows), before)
	}
	f(10*time.Second, 10, 20)
	f(time.Minute, 61, 71)
}
