package protocol

import (
	"reflect"
	"strings"
	"testing"
)

func TestPath(t *testing.T) {
	doc := `{"a":{"b":[{"c":1},{"d":2},{"c":3}],"x.y":{"#":4}},"0":5,"e":[[1,2],[3]]}`
	f := func(path string, want ...any) {
		t.Helper()
		p, err := compile(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var d document
		if err := d.read([]byte(doc)); err != nil {
			t.Fatal(err)
		}
		got := []any{}
		p.values(d.root(), func(v value) { got = append(got, plain(v)) })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v; want %v", path, got, want)
		}
		if first := plain(p.first(d.root())); !reflect.DeepEqual(first, want[0]) {
			t.Errorf("the first of %s is %v; want %v", path, first, want[0])
		}
	}
	f("a.b.#.c", 1.0, "absent", 3.0)
	f("a.b.1.d", 2.0)
	f("a.b.9.d", "absent")
	f("a.b.d", "absent")
	f(`a.x\.y.\#`, 4.0)
	f("0", 5.0)
	f("e.#.#", 1.0, 2.0, 3.0)
	f("e.#.0", 1.0, 3.0)
	f("e.0", []any{1.0, 2.0})
	f("nothing", "absent")
}

func TestPathIsRefused(t *testing.T) {
	f := func(path, says string) {
		t.Helper()
		if _, err := compile(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
	f(".", "a name is missing")
	f("a.", "a name is missing")
	f("a..b", "a name is missing")
	f(`a\b`, "a backslash stands")
	f(`a\`, "a backslash stands")
	f("a.#(b==1)", `"(" has no place`)
	f("a|b", `"|" has no place`)
	f("a.*", `"*" has no place`)
	f("@reverse", `"@" has no place`)
}

func TestConditions(t *testing.T) {
	f := func(condition, doc string, want bool) {
		t.Helper()
		c, err := compileCondition(condition)
		if err != nil {
			t.Fatalf("%s: %v", condition, err)
		}
		var d document
		if err := d.read([]byte(doc)); err != nil {
			t.Fatal(err)
		}
		if got := c.holds(c.path.first(d.root())); got != want {
			t.Errorf("%s of %s is %t", condition, doc, got)
		}
	}
	f("result==null", `{"result":null}`, true)
	f("result==null", `{}`, true)
	f("result==null", `{"result":0}`, false)
	f("result != null", `{"result":0}`, true)
	f("s=='no_match'", `{"s":"no_\u006datch"}`, true)
	f("s=='no_match'", `{"s":"match"}`, false)
	f(`s==""`, `{"s":""}`, true)
	f("s=='null'", `{"s":null}`, false)
	f("n==1", `{"n":1.0}`, true)
	f("n==-1", `{"n":1}`, false)
	f("n==1", `{"n":true}`, false)
	f("ok==false", `{"ok":false}`, true)
	f("x==nan", `{"x":NaN}`, true)
	for _, condition := range []string{"", "a", "a=1", "==1", "a==", "a==b", "a.==1", "a=='b"} {
		if _, err := compileCondition(condition); err == nil {
			t.Errorf("%q is taken", condition)
		}
	}
}

func TestOptionsAreRefused(t *testing.T) {
	f := func(protocol, options, says string) {
		t.Helper()
		if _, err := New(protocol, extraction(t, options)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %q", options, err, says)
		}
	}
	f("json", `{"request":{"rows":"a..b"}}`, `request.rows is "a..b": a name is missing before or after a dot; write names`)
	f("json", `{"request":{"rows":"a|b"}}`, `request.rows is "a|b": "|" has no place in a path; write names`)
	f("json", `{"response":{"missing_when":["a==1","x"]}}`, `response.missing_when[1] is "x": it compares nothing; write a path`)
	f("json", `{"request":{"text":"."},"response":{"scores":"soft"}}`, "request.text is \".\": a name is missing before or after a dot; "+pathRemedy+
		"\nresponse.scores is \"soft\": it is no function of scores; write softmax or sigmoid, or leave it out")
	f("mlflow", `{"response":{"scores":"soft"}}`, "response.scores is \"soft\"")
	f("mlflow", `{"request":{"rows":"x"}}`, "request.rows is a place, and protocol mlflow knows its own; remove it, or write protocol: json")
	f("mlflow", `{"response":{"missing_when":["x==1"]}}`, "response.missing_when is a place")
	f("openai", `{"request":{"missing":["NA"]}}`, "request.missing is nothing that protocol openai needs to be told; remove it")
	f("none", `{"response":{"scores":"softmax"}}`, "response.scores is nothing that protocol none needs to be told; remove it")
}
