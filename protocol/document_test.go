package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// plain is a value as the standard library would have it, and what it has no word for as a string.
func plain(v value) any {
	switch v.kind() {
	case object:
		all := map[string]any{}
		for name, member := range v.members {
			called := string(name.text()) // before the next text takes its place
			all[called] = plain(member)
		}
		return all
	case array:
		all := []any{}
		for e := range v.elements {
			all = append(all, plain(e))
		}
		return all
	case plainString, escapedString:
		return string(v.text())
	case truth:
		return string(v.raw()) == "true"
	case null:
		return nil
	}
	x, ok := v.number()
	if !ok {
		return "absent"
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Sprint(x)
	}
	return x
}

func TestDocument(t *testing.T) {
	var d document
	f := func(body string, want any) {
		t.Helper()
		if err := d.read([]byte(body)); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if got := plain(d.root()); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %#v; want %#v", body, got, want)
		}
	}
	f(`[1,-2.5,3e2,"a\n",true,false,null,{},[]]`, []any{1.0, -2.5, 300.0, "a\n", true, false, nil, map[string]any{}, []any{}})
	f(`[NaN,nan,-NaN,+nan]`, []any{"NaN", "NaN", "NaN", "NaN"})
	f(`[Infinity,inf,+Infinity,-Infinity,-inf,+inf]`, []any{"+Inf", "+Inf", "+Inf", "-Inf", "-Inf", "+Inf"})
	f(" {\"a\" : {\"b\":[1,\r\n2]} , \"c\":\t\"\" }\n", map[string]any{"a": map[string]any{"b": []any{1.0, 2.0}}, "c": ""})
	f(`{"a":1,"a":2}`, map[string]any{"a": 2.0})
	f("\xef\xbb\xbf[1]", []any{1.0})
	f(`7`, 7.0)
	f(`"x"`, "x")

	if err := d.read([]byte(`{"k":1,"\u006b":[2,3],"l":0}`)); err != nil {
		t.Fatal(err)
	}
	if k := d.root().member("k"); k.len() != 2 || k.element(1).i == 0 {
		t.Errorf("of equal members the last counts: %v", plain(k))
	}
	if m := d.root().member("none"); m.kind() != absent || m.len() != 0 || m.member("x").kind() != absent || m.element(0).text() != nil {
		t.Error("what is absent has nothing in it")
	}
}

func TestDocumentRefuses(t *testing.T) {
	var d document
	f := func(want error, body string) {
		t.Helper()
		if err := d.read([]byte(body)); !errors.Is(err, want) {
			t.Errorf("%.40s: %v; want %v", body, err, want)
		}
	}
	for _, body := range []string{``, ` `, `{`, `[1,]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{1:2}`, `[1]]`, `tru`, `"a`, `[1 2]`, `nope`, `<html>`} {
		f(ErrSyntax, body)
	}
	f(ErrDepth, strings.Repeat("[", 1<<20))
	f(errTooLarge, "["+strings.Repeat("0,", maxNodes)+"0]")
	f(errTooLarge, `"`+strings.Repeat(" ", maxDocument)+`"`)
}

// Of a document that is cut, all that is whole is there, and what is not says so.
func TestDocumentIsCut(t *testing.T) {
	whole := `{"a":[1,22,{"b":"x\u0041","c":null}],"d":true}`
	var d document
	for n := range len(whole) {
		if err := d.read([]byte(whole[:n])); !errors.Is(err, ErrSyntax) {
			t.Fatalf("%s: %v", whole[:n], err)
		}
		if r := d.root(); n > 0 && !r.partial() {
			t.Errorf("%s is taken for whole", whole[:n])
		}
	}
	_ = d.read([]byte(`{"a":[1,22,{"b":"x","c`))
	a := d.root().member("a")
	if !a.partial() || a.len() != 3 || a.element(1).partial() || !a.element(2).partial() || string(a.element(2).member("b").text()) != "x" {
		t.Errorf("%v", plain(d.root()))
	}
	_ = d.read([]byte(`[1,22`))
	if n := d.root().len(); n != 1 {
		t.Errorf("a number at the cut may go on, yet there are %d", n)
	}
}

func TestParseNumber(t *testing.T) {
	for _, s := range []string{
		"0", "-0", "1", "-1", "0.1", "-0.1", "123456789012345", "1234567890123456", "0.123456789012345", "9007199254740993", "1e5", "-2.5E-3",
		"1e400", "-1e400", "1e-400", "0.000000000000001", "3.141592653589793", "12345678901234567890123", strings.Repeat("9", 400),
	} {
		want, _ := strconv.ParseFloat(s, 64)
		if got := parseNumber([]byte(s)); got != want || math.Signbit(got) != math.Signbit(want) {
			t.Errorf("%s is %v; want %v", s, got, want)
		}
	}
}

func TestDocumentAllocatesNothing(t *testing.T) {
	var d document
	body := []byte(`{"inputs":[{"name":"x\u0041","data":[1,2.5,null,NaN,[0.12345678901234567]]}],"b":true}`)
	sum := 0.0
	if n := testing.AllocsPerRun(100, func() {
		_ = d.read(body)
		for e := range d.root().member("inputs").element(0).member("data").elements {
			x, _ := e.number()
			sum += x
		}
		_ = d.root().member("inputs").element(0).member("name").text()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDocument(f *testing.F) {
	for _, seed := range []string{
		`{"inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","data":[1,2,3,4,null,6]}]}`, `{"instances":[[1.0,NaN,-Infinity]]}`,
		`{"a":"\ud83d\ude00\"","a":{"b":[]}}`, `[[[[[]]]]]`, `{"a":[1,2,{"b":`, "\xef\xbb\xbf-12.5e+3", chat(300),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var d document
		before := bytes.Clone(body)
		err := d.read(body)
		got := plain(d.root())
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		if s := newScanner(body); !s.ended() {
			s.skip()
			if skipped := s.err == nil && s.ended(); skipped != (err == nil) && len(d.nodes) < maxNodes {
				t.Fatalf("one reader says %v, the other %v", err, s.err)
			}
		}
		if !json.Valid(body) || err != nil {
			if err == nil || !json.Valid(body) {
				return
			}
			t.Fatalf("valid JSON is refused: %v", err)
		}
		var want any
		if json.Unmarshal(body, &want) != nil || !bytes.Equal(body, bytes.ToValidUTF8(body, []byte("?"))) {
			return // beyond a float64's range; or mended by the library
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%#v; the library has %#v", got, want)
		}
	})
}

func BenchmarkHowLongDoesATensorInJSONTake(b *testing.B) {
	body := []byte(`{"inputs":[{"name":"x","data":[` + strings.Repeat("0.12345678,", 20<<10) + `0]}]}`)
	var d document
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.read(body); err != nil {
			b.Fatal(err)
		}
		sum := 0.0
		for e := range d.root().member("inputs").element(0).member("data").elements {
			x, _ := e.number()
			sum += x
		}
	}
}
