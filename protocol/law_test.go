package protocol

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// The laws that every adapter keeps, whatever it is given: it never panics, changes no body, keeps its facts within their bounds, and
// says so when a body is cut. New adapters are held to them by being registered.
func TestLaws(t *testing.T) {
	bodies := lawBodies(t)
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			a, err := New(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			var f Facts
			for _, m := range bodies {
				for _, cut := range []bool{false, true} {
					for n := 0; n <= len(m.Body); n += 1 + n/512 {
						f.Reset()
						half := m
						half.Body, half.Cut = m.Body[:n:n], cut
						before := string(half.Body)
						a.Request(&half, &f)
						faults := f.Faults[Truncated]
						a.Response(&half, &f)
						if string(half.Body) != before {
							t.Fatalf("%q was changed", before)
						}
						if cut && name != "none" && (faults == 0 || f.Faults[Truncated] < 2) {
							t.Fatalf("%q is cut, and the facts do not say so", before)
						}
						keepsBounds(t, &f)
					}
				}
			}
			f.Reset()
			if told(&f) != told(&Facts{}) {
				t.Errorf("Reset leaves %s", told(&f))
			}
		})
	}
}

// lawBodies are all requests and answers of testdata as messages that can be either, and some that are of no protocol.
func lawBodies(t testing.TB) (all []Message) {
	folders, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		files, _ := filepath.Glob("testdata/" + folder.Name() + "/*.txt")
		if len(files) == 0 || folder.Name() == "oracle" {
			continue
		}
		for _, g := range goldens(t, folder.Name()) {
			g.asked.Status = 200
			g.answered.Status = 200
			all = append(all, g.asked, g.answered)
		}
	}
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `7`, `"x"`, `{"instances":{}}`, `{"inputs":[[]]}`, `{"inputs":[{"shape":[-1,9e99],"data":[1]}]}`,
		`{"predictions":{}}`, `{"outputs":[1,{"shape":[0]},{"name":1,"shape":"x","data":{"a":[1]}}]}`, `{"dataframe_split":{"columns":[1,"a","a"],"data":[{},[1],3]}}`,
		`{"outputs":[{"shape":[1000000,1000000,1000000,1000000],"datatype":"BYTES","parameters":{"binary_data_size":1e300},"data":[]}]}`,
		`{"choices":[{"message":null},{}],"predictions":null}`, `{"inputs":{"a":1,"b":[1,2],"c":{}}}`,
	} {
		all = append(all, Message{Path: "/", Status: 200, ContentType: "application/json", Body: []byte(body)})
	}
	return all
}

func keepsBounds(t *testing.T, f *Facts) {
	t.Helper()
	switch {
	case len(f.Lengths) > MaxRows, len(f.Images) > MaxRows, len(f.Outputs) > MaxRows, len(f.Features) > MaxFeatures, len(f.Query) > maxQuery:
		t.Fatalf("beyond a bound: %s", told(f))
	case f.Rows < f.RowsMissing, f.Values < f.ValuesMissing, f.Rows < 0, f.RowsMissing < 0, f.ValuesMissing < 0:
		t.Fatalf("more are missing than there are: %s", told(f))
	}
	for i := range f.Features {
		if g := f.Features[i]; g.Missing < 0 || g.Missing > g.Values || len(g.Name) > maxName {
			t.Fatalf("a feature: %s", told(f))
		}
	}
	for i := range f.Outputs {
		o := &f.Outputs[i]
		if len(o.Text) > maxText || len(o.Probs) > maxProbs || len(o.Class) > maxName || math.IsNaN(o.Confidence) || math.IsNaN(o.Value) {
			t.Fatalf("an output: %s", told(f))
		}
		if o.ConfidenceKind == Probability && (o.Confidence < 0 || o.Confidence > 1.0101) {
			t.Fatalf("a probability: %s", told(f))
		}
	}
	for r, n := range f.OutputsMissing {
		if n < 0 || r == int(MissingNone) && n > 0 {
			t.Fatalf("missing outputs: %s", told(f))
		}
	}
}

// Once its memory has grown, an adapter allocates next to nothing, but for what pictures take to decode and multipart heads to parse.
func TestAllocationsOfAdapters(t *testing.T) {
	for _, protocol := range []string{"open_inference", "tf_serving", "mlflow", "torchserve", "json"} {
		for _, g := range goldens(t, protocol) {
			a := g.adapter(t, protocol)
			var f Facts
			run := func() {
				f.Reset()
				a.Request(&g.asked, &f)
				a.Response(&g.answered, &f)
			}
			run()
			if len(f.Images)+len(f.Audio) > 0 {
				continue
			}
			if n := testing.AllocsPerRun(100, run); n != 0 {
				t.Errorf("%s/%s: %v allocations", protocol, g.name, n)
			}
		}
	}
}

func FuzzAdapters(f *testing.F) {
	for _, m := range lawBodies(f) {
		f.Add(m.Body, m.Body, m.ContentType, false)
	}
	options := map[string]string{"json": `{"request":{"rows":"data.#.x","text":"t"},"response":{"prediction":"r.#.label","missing_when":["r.#.s!=1"]}}`}
	all := map[string]Adapter{}
	for _, name := range Names() {
		a, err := New(name, extraction(f, options[name]))
		if err != nil {
			f.Fatal(err)
		}
		all[name] = a
	}
	f.Fuzz(func(t *testing.T, asked, answered []byte, contentType string, cut bool) {
		for _, name := range Names() {
			var facts Facts
			all[name].Request(&Message{Path: "/v2/models/m/infer", ContentType: contentType, Body: asked, Cut: cut}, &facts)
			all[name].Response(&Message{Status: 200, ContentType: contentType, Body: answered, Cut: cut}, &facts)
			keepsBounds(t, &facts)
		}
	})
}

func FuzzBinaryTensors(f *testing.F) {
	f.Add([]byte(`{"inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","parameters":{"binary_data_size":24}}]}`), 94, []byte("123456789012345678901234"))
	for _, m := range goldens(f, "open_inference") {
		for _, m := range []Message{m.asked, m.answered} {
			n := len(m.Body)
			if h := m.Header("Inference-Header-Content-Length"); h != "" {
				n = min(n, must(strconv.Atoi(h)))
			}
			f.Add(m.Body[:n], n, m.Body[n:])
		}
	}
	a, err := New("open_inference", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, head []byte, n int, tensors []byte) {
		m := Message{Path: "/v2/models/m/infer", Status: 200, Body: slices.Concat(head, tensors)}
		m.Header = func(string) string { return strconv.Itoa(n) }
		var facts Facts
		a.Request(&m, &facts)
		a.Response(&m, &facts)
		keepsBounds(t, &facts)
	})
}

func must(n int, err error) int {
	if err != nil {
		panic(err)
	}
	return n
}
