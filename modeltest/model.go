package modeltest

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
)

//go:embed models/*.json
var files embed.FS

// Model is one trained classifier. It is read-only: any number of goroutines may use it.
type Model struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`  // what answers call it; two builds of a version say the same
	Features []string `json:"features"` // one column of a row each
	Classes  []string `json:"classes"`

	Kind   string    `json:"kind"` // network | forest
	Mean   []float64 `json:"mean"` // of each feature in training: stands in for a missing value
	Layers []layer   `json:"layers"`
	Trees  []tree    `json:"trees"`
}

// layer of a network, fully connected: weights are [output][input].
type layer struct {
	Weights [][]float64 `json:"weights"`
	Bias    []float64   `json:"bias"`
}

// tree holds its nodes by number; the root is node 0.
type tree []node

// node is a leaf when it has probabilities.
type node struct {
	Feature   int       `json:"feature"`
	Threshold float64   `json:"threshold"`
	Left      int       `json:"left"`
	Right     int       `json:"right"`
	Leaf      []float64 `json:"leaf"`
}

// LoadModel reads an embedded model: "iris.1", "iris.1-int4" (the same in a build with 4-bit weights), "iris.2", "digits.1" or "digits.2".
func LoadModel(build string) (*Model, error) {
	src, err := files.ReadFile("models/" + build + ".json")
	if err != nil || strings.HasSuffix(build, ".rows") {
		return nil, fmt.Errorf("there is no model %q; there are %s", build, strings.Join(builds(), ", "))
	}
	m := &Model{}
	if err := json.Unmarshal(src, m); err != nil {
		return nil, fmt.Errorf("model %s: %w", build, err)
	}
	return m, nil
}

func builds() []string {
	var names []string
	found, _ := fs.Glob(files, "models/*.json") // the pattern is well formed
	for _, f := range found {
		name := strings.TrimSuffix(strings.TrimPrefix(f, "models/"), ".json")
		if !strings.HasSuffix(name, ".rows") {
			names = append(names, name)
		}
	}
	slices.Sort(names) // the files come as "iris.1-int4.json" before "iris.1.json"
	return names
}

// Sample is one held-out example: the model never saw it in training.
type Sample struct {
	Row   []float64
	Label int // index of the true class
}

// Samples are the held-out examples of "iris" or "digits", always in the same order.
func Samples(model string) ([]Sample, error) {
	src, err := files.ReadFile("models/" + model + ".rows.json")
	if err != nil {
		return nil, fmt.Errorf("there are no rows for %q; there are rows for iris and digits", model)
	}
	var held struct {
		Rows   [][]float64 `json:"rows"`
		Labels []int       `json:"labels"`
	}
	if err := json.Unmarshal(src, &held); err != nil {
		return nil, fmt.Errorf("rows of %s: %w", model, err)
	}
	samples := make([]Sample, len(held.Rows))
	for i := range samples {
		samples[i] = Sample{Row: held.Rows[i], Label: held.Labels[i]}
	}
	return samples, nil
}

// Predict classifies one row of len(Features) values, of which NaN stands for missing. It returns the index of the class
// and the probability of every class.
func (m *Model) Predict(row []float64) (class int, probabilities []float64) {
	row = m.impute(row)
	if m.Kind == "forest" {
		probabilities = m.vote(row)
	} else {
		probabilities = m.feed(row)
	}
	return argmax(probabilities), probabilities
}

// impute puts the training mean where a value is missing; the caller's row stays as it is.
func (m *Model) impute(row []float64) []float64 {
	copied := false
	for i, v := range row {
		if !math.IsNaN(v) {
			continue
		}
		if !copied {
			row, copied = append([]float64(nil), row...), true
		}
		row[i] = m.Mean[i]
	}
	return row
}

// feed sends a row through the layers: ReLU between them, softmax after the last.
func (m *Model) feed(row []float64) []float64 {
	for i, l := range m.Layers {
		row = l.apply(row)
		if i < len(m.Layers)-1 {
			relu(row)
		}
	}
	softmax(row)
	return row
}

func (l *layer) apply(in []float64) []float64 {
	out := make([]float64, len(l.Bias))
	for o, weights := range l.Weights {
		sum := l.Bias[o]
		for i, w := range weights {
			sum += w * in[i]
		}
		out[o] = sum
	}
	return out
}

func relu(v []float64) {
	for i := range v {
		v[i] = max(v[i], 0)
	}
}

func softmax(v []float64) {
	top, sum := v[argmax(v)], 0.0
	for i := range v {
		v[i] = math.Exp(v[i] - top)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
}

// vote averages what the trees say.
func (m *Model) vote(row []float64) []float64 {
	mean := make([]float64, len(m.Classes))
	for _, t := range m.Trees {
		for class, p := range t.leaf(row) {
			mean[class] += p / float64(len(m.Trees))
		}
	}
	return mean
}

// leaf walks down. scikit-learn compares values rounded to 32 bits, and so must we.
func (t tree) leaf(row []float64) []float64 {
	n := &t[0]
	for n.Leaf == nil {
		if float64(float32(row[n.Feature])) <= n.Threshold {
			n = &t[n.Left]
		} else {
			n = &t[n.Right]
		}
	}
	return n.Leaf
}

// argmax is the index of the largest value, of several equal ones the first.
func argmax(v []float64) int {
	best := 0
	for i := range v {
		if v[i] > v[best] {
			best = i
		}
	}
	return best
}
