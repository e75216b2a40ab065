package modeltest

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// TestPredict holds Go's inference against scikit-learn's own answers to the held-out rows.
func TestPredict(t *testing.T) {
	f := func(build, samples string, minRight float64) {
		t.Helper()
		m, held := mustLoad(t, build), mustSamples(t, samples)
		want := sklearnAnswers(t, build)
		if len(want.Classes) != len(held) {
			t.Fatalf("%s: %d answers for %d rows", build, len(want.Classes), len(held))
		}
		right := 0
		for i, s := range held {
			class, probabilities := m.Predict(s.Row)
			if class != want.Classes[i] {
				t.Errorf("%s row %d: class %d, scikit-learn says %d", build, i, class, want.Classes[i])
			}
			for c, p := range probabilities {
				if math.Abs(p-want.Probabilities[i][c]) > 1e-6 {
					t.Errorf("%s row %d class %d: probability %v, scikit-learn says %v", build, i, c, p, want.Probabilities[i][c])
				}
			}
			if class == s.Label {
				right++
			}
		}
		if accuracy := float64(right) / float64(len(held)); accuracy < minRight {
			t.Errorf("%s: accuracy %.3f, want at least %.3f", build, accuracy, minRight)
		}
	}
	f("iris.1", "iris", 0.95)
	f("iris.1-int4", "iris", 0.95)
	f("iris.2", "iris", 0.95)
	f("digits.1", "digits", 0.93)
	f("digits.2", "digits", 0.96)
}

func TestPredictMissingValueIsTheMean(t *testing.T) {
	m := mustLoad(t, "iris.1")
	row := []float64{5.1, math.NaN(), 1.4, 0.2}
	_, got := m.Predict(row)
	_, want := m.Predict([]float64{5.1, m.Mean[1], 1.4, 0.2})
	for c := range want {
		if got[c] != want[c] {
			t.Errorf("class %d: %v, want %v as with the mean", c, got[c], want[c])
		}
	}
	if !math.IsNaN(row[1]) {
		t.Error("Predict wrote into the caller's row")
	}
}

// TestForestRoundsTo32Bits has a value between a threshold and its own 32-bit rounding.
func TestForestRoundsTo32Bits(t *testing.T) {
	grown := tree{{Threshold: 0.1000000001, Left: 1, Right: 2}, {Leaf: []float64{1, 0}}, {Leaf: []float64{0, 1}}}
	m := &Model{Kind: "forest", Classes: []string{"left", "right"}, Trees: []tree{grown}}
	if class, _ := m.Predict([]float64{0.1}); m.Classes[class] != "right" {
		t.Error("0.1 went left; scikit-learn rounds it to 0.10000000149 and goes right")
	}
}

func TestLoadUnknown(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
	_, err := LoadModel("wine")
	f(err, `there is no model "wine"; there are digits.1, digits.2, iris.1, iris.1-int4, iris.2`)
	_, err = LoadModel("iris.rows")
	f(err, `there is no model "iris.rows"; there are digits.1, digits.2, iris.1, iris.1-int4, iris.2`)
	_, err = Samples("wine")
	f(err, `there are no rows for "wine"; there are rows for iris and digits`)
}

type answers struct {
	Classes       []int       `json:"classes"`
	Probabilities [][]float64 `json:"probabilities"`
}

func sklearnAnswers(t *testing.T, build string) (a answers) {
	t.Helper()
	src, err := os.ReadFile("testdata/" + build + ".json")
	if err == nil {
		err = json.Unmarshal(src, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustLoad(t *testing.T, build string) *Model {
	t.Helper()
	m, err := LoadModel(build)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustSamples(t *testing.T, model string) []Sample {
	t.Helper()
	s, err := Samples(model)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
