package protocol

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
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
