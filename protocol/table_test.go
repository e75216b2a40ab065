package protocol

import (
	"fmt"
	"strings"
	"testing"
)

// asking reads one request after another with one adapter, and returns the facts of the last.
func asking(t *testing.T, a Adapter, bodies ...string) *Facts {
	t.Helper()
	var f Facts
	for _, body := range bodies {
		f.Reset()
		a.Request(&Message{Path: "/v1/models/m:predict", Body: []byte(body)}, &f)
	}
	return &f
}

func tfs(t *testing.T, options string) Adapter {
	t.Helper()
	a, err := New("tf_serving", extraction(t, options))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Rows beyond those that are kept in detail count in every total.
func TestTotalsAreExactBeyondTheDetails(t *testing.T) {
	rows := make([]string, 1000)
	answers := make([]string, 990)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"a":%d,"b":"x"}`, i)
		switch i % 4 {
		case 0:
			rows[i] = `{"a":null,"b":"x"}`
		case 1:
			rows[i] = `{"b":"y"}`
		}
	}
	for i := range answers {
		answers[i] = "0.5"
		if i%3 == 0 {
			answers[i] = "null"
		}
	}
	f := asking(t, tfs(t, ""), `{"instances":[`+strings.Join(rows, ",")+`]}`)
	if f.Rows != 1000 || f.RowsMissing != 500 || f.Values != 2000 || f.ValuesMissing != 500 || len(f.Lengths) != MaxRows {
		t.Errorf("%d rows, %d with gaps, %d values, %d missing, %d lengths", f.Rows, f.RowsMissing, f.Values, f.ValuesMissing, len(f.Lengths))
	}
	tfs(t, "").Response(&Message{Status: 200, Body: []byte(`{"predictions":[` + strings.Join(answers, ",") + `]}`)}, f)
	if f.OutputsMissing[MissingNull] != 330 || f.OutputsMissing[MissingTooFewRows] != 10 || len(f.Outputs) != MaxRows {
		t.Errorf("missing outputs %v, %d in detail", f.OutputsMissing, len(f.Outputs))
	}
	oip, _ := New("open_inference", nil)
	var g Facts
	g.Rows = 990
	oip.Response(&Message{Status: 200, Body: []byte(`{"outputs":[{"name":"y","datatype":"FP32","shape":[990,1],"data":[` + strings.Join(answers, ",") + `]}]}`)}, &g)
	if g.OutputsMissing[MissingNull] != 330 || len(g.Outputs) != MaxRows {
		t.Errorf("missing outputs %v, %d in detail", g.OutputsMissing, len(g.Outputs))
	}
}

// A feature that most rows had is missing from a row without it, though nothing in the request says so.
func TestWhatIsAbsentIsLearned(t *testing.T) {
	whole, without := `{"instances":[{"a":1,"b":2}]}`, `{"instances":[{"a":1}]}`
	f := asking(t, tfs(t, ""), whole, whole, without)
	if f.RowsMissing != 1 || f.ValuesMissing != 1 || len(f.Features) != 2 || f.Features[1].Name != "b" || f.Features[1].Missing != 1 {
		t.Errorf("%s", told(f))
	}
	if f := asking(t, tfs(t, ""), without, without, without, whole, without); f.ValuesMissing != 0 {
		t.Errorf("what few rows had need not be there:\n%s", told(f))
	}
	if f := asking(t, tfs(t, `{"request":{"features":["a","b"]}}`), without); f.ValuesMissing != 1 {
		t.Errorf("what the config says is not missed:\n%s", told(f))
	}
}

func TestSentinels(t *testing.T) {
	a := tfs(t, `{"request":{"missing":["NA",-999,0.5,null]}}`)
	f := asking(t, a, `{"instances":[{"a":"NA"},{"a":-999},{"a":-999.0},{"a":0.5},{"a":999},{"a":"NAN"}]}`)
	if f.ValuesMissing != 4 || f.RowsMissing != 4 {
		t.Errorf("%s", told(f))
	}
}

// "NaN" and its like stand for a missing number, but may be words in a column of text.
func TestWordsThatStandForNumbers(t *testing.T) {
	a := tfs(t, "")
	if f := asking(t, a, `{"instances":[{"n":1,"t":"word"}]}`, `{"instances":[{"n":"NaN","t":"null"}]}`); f.ValuesMissing != 1 || f.Features[0].Missing != 1 {
		t.Errorf("%s", told(f))
	}
	if f := asking(t, tfs(t, ""), `{"instances":[[1,"NaN"],[2,"nan"]]}`); f.ValuesMissing != 2 {
		t.Errorf("%s", told(f))
	}
}

func TestFeaturesAreBounded(t *testing.T) {
	var row strings.Builder
	for i := range 100 {
		fmt.Fprintf(&row, `,"f%d":null`, i)
	}
	f := asking(t, tfs(t, ""), `{"instances":[{`+row.String()[1:]+`},{`+row.String()[1:]+`}]}`)
	if len(f.Features) != MaxFeatures || f.Values != 200 || f.ValuesMissing != 200 || f.RowsMissing != 2 {
		t.Errorf("%d features, %d values, %d missing, %d rows", len(f.Features), f.Values, f.ValuesMissing, f.RowsMissing)
	}
}

// What clients make up does not push out what the route's rows have.
func TestLearnedColumnsAreBounded(t *testing.T) {
	var c columns
	for i := range 1000 {
		c.learn(1, []column{{name: "real", rows: 1}, {name: fmt.Sprint(i), rows: 1}})
	}
	rows, known := c.recall(nil)
	if len(known) != MaxFeatures || known[0].name != "real" || known[0].rows != 1000 || rows != 1000 {
		t.Errorf("%d columns, first %+v of %d rows", len(known), known[0], rows)
	}
	c.learn(fading, []column{{name: "real", rows: fading}})
	if rows, known = c.recall(nil); rows != (fading+1000)/2 || known[0].rows > rows {
		t.Errorf("old rows do not fade: %d, %+v", rows, known[0])
	}
}
