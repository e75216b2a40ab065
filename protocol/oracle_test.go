package protocol

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// The exchanges of testdata/oracle were counted by another program; PROVENANCE.md there says which.
func TestRequestsOfTheOracle(t *testing.T) {
	var want struct {
		Rows            int            `json:"rows"`
		RowsWithMissing int            `json:"rows_with_missing"`
		MissingByColumn map[string]int `json:"missing_by_column"`
		MeanTextLength  float64        `json:"mean_text_length"`
		MeanAge         float64        `json:"mean_age"`
		MissingOutputs  int            `json:"missing_outputs"`
	}
	read(t, "testdata/oracle/requests_expected.json", &want)
	lines, err := os.ReadFile("testdata/oracle/requests.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tf_serving", "mlflow"} {
		a, err := New(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		var f Facts
		rows, missing, outputs := 0, 0, 0
		columns := map[string]Feature{}
		for line := range bytes.Lines(lines) {
			var exchange struct{ Request, Response json.RawMessage }
			if err := json.Unmarshal(line, &exchange); err != nil {
				t.Fatal(err)
			}
			f.Reset()
			a.Request(&Message{Path: "/v1/models/m:predict", Body: exchange.Request}, &f)
			a.Response(&Message{Status: 200, Body: exchange.Response}, &f)
			if f.Faults != [ExtractReasons]int{} {
				t.Errorf("%s: %s: faults %v", name, line, f.Faults)
			}
			rows, missing = rows+f.Rows, missing+f.RowsMissing
			for _, n := range f.OutputsMissing {
				outputs += n
			}
			for _, g := range f.Features {
				sum := columns[g.Name]
				columns[g.Name] = Feature{
					Missing: sum.Missing + g.Missing, Numbers: sum.Numbers + g.Numbers, Sum: sum.Sum + g.Sum, Chars: sum.Chars + g.Chars,
				}
			}
		}
		equal := func(what string, got, want float64) {
			t.Helper()
			if math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: %s is %v; want %v", name, what, got, want)
			}
		}
		equal("rows", float64(rows), float64(want.Rows))
		equal("rows with missing values", float64(missing), float64(want.RowsWithMissing))
		equal("missing outputs", float64(outputs), float64(want.MissingOutputs))
		equal("mean text length", float64(columns["text"].Chars)/float64(rows), want.MeanTextLength)
		equal("mean age", columns["age"].Sum/float64(columns["age"].Numbers), want.MeanAge)
		for column, n := range want.MissingByColumn {
			equal("missing values of "+column, float64(columns[column].Missing), float64(n))
		}
		if len(columns) != len(want.MissingByColumn) {
			t.Errorf("%s: columns %v", name, columns)
		}
	}
}

// The lengths of texts are those that the oracle found: in the mean, and as far as they tell one set of texts from another.
func TestTextsOfTheOracle(t *testing.T) {
	for _, set := range []string{"longer", "null"} {
		var want struct {
			MeanChars [2]float64 `json:"mean_chars"`
			KS        float64    `json:"length_ks"`
			AUC       float64    `json:"auc_length_only"`
		}
		read(t, "testdata/oracle/text_"+set+"_expected.json", &want)
		before, after := lengths(t, "text_"+set+"_reference.jsonl"), lengths(t, "text_"+set+"_current.jsonl")
		for what, pair := range map[string][2]float64{
			"mean length before": {mean(before), want.MeanChars[0]}, "mean length after": {mean(after), want.MeanChars[1]},
			"KS": {furthest(before, after), want.KS}, "AUC": {above(before, after), want.AUC},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-9 {
				t.Errorf("%s: %s is %v; want %v", set, what, pair[0], pair[1])
			}
		}
	}
}

// lengths are those of the rows of a file with a JSON object a line, sent as requests of 100 rows.
func lengths(t *testing.T, name string) (all []float64) {
	t.Helper()
	content, err := os.ReadFile("testdata/oracle/" + name)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New("json", nil)
	if err != nil {
		t.Fatal(err)
	}
	for batch := range slices.Chunk(slices.Collect(bytes.Lines(content)), 100) {
		var f Facts
		a.Request(&Message{ContentType: "application/x-ndjson", Body: slices.Concat(batch...)}, &f)
		for _, l := range f.Lengths {
			if l.Kind != Chars {
				t.Fatalf("%s: a length in %s", name, l.Kind)
			}
			all = append(all, float64(l.N))
		}
	}
	return all
}

func mean(all []float64) (m float64) {
	for _, v := range all {
		m += v / float64(len(all))
	}
	return m
}

// furthest is how far apart the shares of a and b are that do not exceed a number, at most (Kolmogorov and Smirnov).
func furthest(a, b []float64) (most float64) {
	share := func(of []float64, limit float64) (n float64) {
		for _, v := range of {
			if v <= limit {
				n += 1 / float64(len(of))
			}
		}
		return n
	}
	for _, v := range slices.Concat(a, b) {
		most = max(most, math.Abs(share(a, v)-share(b, v)))
	}
	return most
}

// above is the probability that one of b is greater than one of a; equal ones count half. It is the AUC.
func above(a, b []float64) (p float64) {
	for _, x := range a {
		for _, y := range b {
			switch {
			case y > x:
				p++
			case x == y:
				p += 0.5
			}
		}
	}
	return p / float64(len(a)*len(b))
}

// read decodes a JSON file.
func read(t *testing.T, name string, to any) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
