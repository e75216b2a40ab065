package shadow

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/protocol"
	"mlproxy/router"
)

// by makes criteria of a config.
func by(c config.Compare) *criteria {
	made := newCriteria(&router.Shadow{Config: &config.Shadow{Compare: c}})
	return &made
}

// read is an answer as a comparison sees it.
func read(status int, rows int, body string, outputs ...protocol.Output) *answer {
	var sum Sum
	sum.Reset()
	sum.Add([]byte(body))
	return &answer{
		status: status, sum: sum.Hash(), length: sum.Len(), whole: true, rows: rows, body: []byte(body), facts: &protocol.Facts{Outputs: outputs},
	}
}

// said is a finding in words: its result, the rows that differ, the fields that do and how often they were compared.
func said(f *finding) string {
	if f.result == monitor.Failed {
		return "error " + f.why.String()
	}
	words := []string{f.result.String()}
	for row, differs := range f.rows {
		if differs {
			words = append(words, fmt.Sprint("row", row))
		}
	}
	var fields []string
	for name, r := range f.fields {
		if r.differed > 0 {
			fields = append(fields, fmt.Sprintf("%s:%d/%d", name, r.differed, r.compared))
		}
	}
	slices.Sort(fields)
	return strings.Join(append(words, fields...), " ")
}

func TestCompareJSON(t *testing.T) {
	c := by(config.Compare{
		Mode: "json", Tolerance: 0.01, RelativeTolerance: 0.001,
		Ignore: []string{"id", "outputs.#.parameters", "outputs.noise", "a.*.b", `dotted\.name`}, Unordered: []string{"set", "outputs.tags.data"},
	})
	var found finding
	f := func(live, shadow, want string) {
		t.Helper()
		c.judge(read(200, 0, live), read(200, 0, shadow), &found)
		if got := said(&found); got != want {
			t.Errorf("%s and %s: %s, want %s", live, shadow, got, want)
		}
	}
	f(`{"a":1,"b":"x"}`, ` {"b":"x","a":1.0} `, "agree")
	f(`{"a":1}`, `{"a":1.009}`, "agree")
	f(`{"a":1}`, `{"a":1.02}`, "differ row0 a:1/1")
	f(`{"a":100000}`, `{"a":100099}`, "agree")
	f(`{"a":100000}`, `{"a":100102}`, "differ row0 a:1/1")
	f(`[NaN,Infinity,-Infinity]`, `[nan,inf,-Infinity]`, "agree")
	f(`[NaN,Infinity]`, `[1,-Infinity]`, "differ row0 #:2/2")
	f(`{"a":null}`, `{"a":false}`, "differ row0 a:1/1")
	f(`{"a":null}`, `{}`, "differ row0 a:1/1")
	f(`{}`, `{"a":null}`, "differ row0 a:1/1")
	f(`{"a":{"x":1}}`, `{"a":[1]}`, "differ row0 a:1/1")
	f(`{"a":[1,2]}`, `{"a":[1,2,3]}`, "differ row0 a.#:1/3")
	f(`{"id":"1","a":{"x":{"b":1},"y":{"b":2}}}`, `{"id":"2","a":{"x":{"b":3},"y":{}}}`, "agree")
	f(`{"dotted.name":1}`, `{"dotted.name":2}`, "agree")
	f(`{"set":[3,1,{"k":"v"}]}`, `{"set":[{"k":"v"},3.001,1]}`, "agree")
	f(`{"set":[1,2,2]}`, `{"set":[2,1,1]}`, "differ row0 set.#:1/3")
	f(`{"list":[1,2]}`, `{"list":[2,1]}`, "differ row0 list.#:2/2")
	f(`{"outputs":[{"name":"p","data":[1]},{"name":"tags","data":["a","b"]}]}`,
		`{"outputs":[{"name":"tags","data":["b","a"]},{"name":"p","data":[1],"parameters":{"x":1}},{"name":"noise","data":[5]}]}`, "agree")
	f(`{"outputs":[{"name":"p","data":[1]}]}`, `{"outputs":[{"name":"p","data":[2]}]}`, "differ row0 outputs.p.data.#:1/1")
	f(`"x"`, `"y"`, "differ row0 (answer):1/1")
	f(`{"a":1}`, `<html>`, "error unreadable")
	f(``, `{}`, "error unreadable")
	f(`[`+strings.Repeat("1,", mostValues)+`1]`, `[]`, "error too_large")
}

// Answers of several rows are compared row by row: what lies in one row says nothing of the others.
func TestCompareJSONByRows(t *testing.T) {
	c := by(config.Compare{Mode: "json"})
	var found finding
	f := func(rows int, live, shadow, want string) {
		t.Helper()
		c.judge(read(200, rows, live), read(200, 0, shadow), &found)
		if got := said(&found); got != want {
			t.Errorf("%s and %s: %s, want %s", live, shadow, got, want)
		}
	}
	f(3, `{"predictions":[1,2,3]}`, `{"predictions":[1,9,3]}`, "differ row1 predictions.#:1/3")
	f(3, `{"predictions":[[1,2],[3,4],[5,6]]}`, `{"predictions":[[1,2],[3,4],[5,7]]}`, "differ row2 predictions.#.#:1/6")
	f(2, `{"outputs":[{"name":"p","data":[1,2,3,4]}]}`, `{"outputs":[{"name":"p","data":[1,2,9,9]}]}`, "differ row1 outputs.p.data.#:2/4")
	f(2, `{"model":"a","predictions":[1,2]}`, `{"model":"b","predictions":[1,2]}`, "differ row0 row1 model:1/1")
	f(2, `{"predictions":[1,2]}`, `{"predictions":[1]}`, "differ row1 predictions.#:1/2")
}

func TestCompareStatuses(t *testing.T) {
	var found finding
	f := func(mode string, live, shadow *answer, want string) {
		t.Helper()
		by(config.Compare{Mode: mode}).judge(live, shadow, &found)
		if got := said(&found); got != want {
			t.Errorf("%s: %s, want %s", mode, got, want)
		}
	}
	f("json", read(200, 2, `{}`), read(500, 0, `{}`), "differ row0 row1 status:1/1")
	f("argmax", read(200, 0, `x`), read(503, 0, `x`), "differ row0 status:1/1")
	f("argmax", read(400, 0, `x`), read(400, 0, `y`), "agree")
	f("json", read(400, 0, `{"error":"x"}`), read(400, 0, `{"error":"y"}`), "differ row0 error:1/1")
	f("exact", read(200, 0, `x`), read(200, 0, `y`), "differ row0")
	f("exact", read(200, 0, `x`), read(200, 0, `x`), "agree")
}

func TestCompareClasses(t *testing.T) {
	var found finding
	f := func(c config.Compare, live, shadow []protocol.Output, want string) {
		t.Helper()
		by(c).judge(read(200, 0, "", live...), read(200, 0, "x", shadow...), &found)
		if got := said(&found); got != want {
			t.Errorf("%s %v and %v: %s, want %s", c.Mode, live, shadow, got, want)
		}
	}
	probs := func(p ...float64) protocol.Output {
		return protocol.Output{Probs: p, Confidence: slices.Max(p), ConfidenceKind: protocol.Probability}
	}
	class := func(c string) protocol.Output { return protocol.Output{Class: c} }
	value := func(v float64) protocol.Output { return protocol.Output{Value: v, HasValue: true} }
	missing := protocol.Output{Missing: protocol.MissingNaN}
	outputs := func(o ...protocol.Output) []protocol.Output { return o }

	argmax := config.Compare{Mode: "argmax", Tolerance: 0.05}
	f(argmax, outputs(probs(.7, .2, .1)), outputs(probs(.68, .3, .02)), "agree")
	f(argmax, outputs(probs(.7, .2, .1)), outputs(probs(.5, .4, .1)), "agree confidence:1/1")
	f(argmax, outputs(probs(.7, .2, .1), probs(.1, .9)), outputs(probs(.2, .7, .1), probs(.1, .9)), "differ row0 class:1/2")
	f(argmax, outputs(class("cat"), class("dog")), outputs(class("cat"), class("cat")), "differ row1 class:1/2")
	f(argmax, outputs(class("cat"), class("dog")), outputs(class("cat")), "differ row1 class:1/2")
	f(argmax, outputs(class("cat")), outputs(missing), "differ row0 class:1/1")
	f(argmax, outputs(class("cat"), missing), outputs(class("cat"), missing), "agree")
	f(argmax, outputs(missing), outputs(class("cat")), "error no_prediction")
	f(argmax, nil, outputs(class("cat")), "error no_prediction")
	f(argmax, outputs(value(1)), outputs(value(1.04)), "agree")
	f(argmax, outputs(value(1)), outputs(value(1.06)), "differ row0 value:1/1")

	top := config.Compare{Mode: "top_k", K: 2, Tolerance: 1}
	f(top, outputs(probs(.5, .3, .2)), outputs(probs(.3, .5, .2)), "agree class:1/1")
	f(top, outputs(probs(.5, .3, .2)), outputs(probs(.5, .2, .3)), "differ row0 top_k:1/1")
	f(top, outputs(class("cat")), outputs(class("dog")), "differ row0 class:1/1")
}

// The surer both models were, the worse they disagree.
func TestSeverityOfClasses(t *testing.T) {
	var found finding
	o := func(class string, confidence float64) protocol.Output {
		return protocol.Output{Class: class, Confidence: confidence, ConfidenceKind: protocol.Probability}
	}
	by(config.Compare{Mode: "argmax"}).judge(
		read(200, 0, "", o("a", .4), o("a", .9), o("a", 1)), read(200, 0, "x", o("b", .4), o("b", .7), o("a", 1)), &found)
	if math.Abs(found.severity-.8) > 1e-9 || found.row != 1 {
		t.Errorf("severity %v of row %d, want 0.8 of row 1", found.severity, found.row)
	}
	if want := []pair{{"a", "b"}, {"a", "b"}, {"a", "a"}}; !slices.Equal(found.pairs, want) {
		t.Errorf("classes %v, want %v", found.pairs, want)
	}
}

func TestCompareTexts(t *testing.T) {
	var found finding
	f := func(tolerance float64, live, shadow, want string) {
		t.Helper()
		by(config.Compare{Mode: "text", Tolerance: tolerance}).judge(read(200, 0, live), read(200, 0, shadow), &found)
		if got := said(&found); got != want {
			t.Errorf("%q and %q: %s, want %s", live, shadow, got, want)
		}
	}
	f(0, "the cat  sat", " the cat\nsat", "agree")
	f(0, "the cat sat", "the dog sat", "differ row0 text:1/1")
	f(.34, "the cat sat", "the dog sat", "agree")
	f(.34, "the cat sat", "sat the cat down here", "differ row0 text:1/1")
	f(0, "", "", "agree")
	f(.99, "a", "", "differ row0 text:1/1")
}

func TestDistance(t *testing.T) {
	f := func(a, b string, want float64) {
		t.Helper()
		split := func(s string) (words [][]byte) {
			for w := range strings.FieldsSeq(s) {
				words = append(words, []byte(w))
			}
			return words
		}
		if got := distance(split(a), split(b)); math.Abs(got-want) > 1e-9 {
			t.Errorf("%.40q and %.40q are %v apart, want %v", a, b, got, want)
		}
	}
	f("", "", 0)
	f("a b c", "a b c", 0)
	f("a b c", "a c", 1./3)
	f("a b c d", "b c d a", 2./4)
	f("a b", "c d", 1)
	long := strings.Repeat("x ", 2*mostWords)
	f("y "+long, "z "+long, 1./(2*mostWords+1))
	f("y "+long+"a", "z "+long+"b", 2./(2*mostWords+2))
	f("y "+long+"a", "z "+long, 2./(2*mostWords+2))
}

func TestWilson(t *testing.T) {
	f := func(hits, n int64, low, high float64) { // the roots of (p - hits/n)^2 = z^2 p (1-p) / n
		t.Helper()
		if l, h := wilson(hits, n); math.Abs(l-low) > 5e-5 || math.Abs(h-high) > 5e-5 {
			t.Errorf("%d of %d: [%.5f, %.5f], want [%.4f, %.4f]", hits, n, l, h, low, high)
		}
	}
	f(0, 10, 0, 0.2775)
	f(10, 10, 0.7225, 1)
	f(5, 10, 0.2366, 0.7634)
	f(41, 1000, 0.03036, 0.05515)
}

func TestQuantiles(t *testing.T) {
	var l latencies
	if q := l.quantile(.5); q != 0 {
		t.Errorf("the median of nothing is %v", q)
	}
	for i := range 1000 {
		l.add(time.Duration(i+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{.5: 500 * time.Millisecond, .99: 990 * time.Millisecond, 1: time.Second} {
		if got := l.quantile(q); math.Abs(float64(got-want)) > .09*float64(want) {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	l.add(0)
	l.add(time.Hour)
}

func TestRedacted(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		if got := redacted([]byte(body)); got != want {
			t.Errorf("%.60q is kept as %.60q, want %.60q", body, got, want)
		}
	}
	f(`{"text":"hello","api_key":"abc\"d","max_tokens":5}`, `{"text":"hello","api_key":"redacted","max_tokens":5}`)
	f(`{"Password" : 12345, "x":1}`, `{"Password" : "redacted", "x":1}`)
	f(`{"access_token":"cut of`, `{"access_token":"redacted"`)
	f("\xff\xfe\x00", "")
	f(strings.Repeat("é", excerpt), strings.Repeat("é", excerpt/2))
	f("x"+strings.Repeat("é", excerpt), "x"+strings.Repeat("é", excerpt/2-1))
}

// The worst are kept, and of equally bad ones the latest.
func TestTheWorstAreKept(t *testing.T) {
	a := account{keep: 3}
	for i, severity := range []float64{.1, .5, .5, .9, .2, .5, .05} {
		if a.wants(severity) {
			a.put(&Disagreement{Time: time.Unix(int64(i), 0), Severity: severity})
		}
	}
	var got []int64
	for _, d := range a.worst {
		got = append(got, d.Time.Unix())
	}
	if want := []int64{3, 5, 2}; !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	if none := (&account{}); none.wants(1) {
		t.Error("one is wanted where none is kept")
	}
}

// Neither answers with ever new fields nor with ever new classes make the report grow.
func TestAccountsAreBounded(t *testing.T) {
	a := open(&router.Shadow{Config: &config.Shadow{Compare: config.Compare{Mode: "json"}}, Kept: new(atomic.Value)})
	var f finding
	for i := range 1000 {
		f.reset()
		f.see(1)
		for j := range 100 {
			f.count(fmt.Appendf(nil, "f%d.%d", i, j), true)
		}
		f.pairs = append(f.pairs, pair{fmt.Sprint(i), fmt.Sprint(-i)})
		a.add(&f)
	}
	total := int64(0)
	for _, r := range a.fields {
		total += r.compared
	}
	if len(a.fields) > mostFields+1 || total != 100_000 {
		t.Errorf("%d fields with %d values, want at most %d with 100000", len(a.fields), total, mostFields+1)
	}
	if len(a.classes) > mostClasses || len(a.confusion) > mostClasses*mostClasses {
		t.Errorf("%d classes, %d pairs", len(a.classes), len(a.confusion))
	}
}
