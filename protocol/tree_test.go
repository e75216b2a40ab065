package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// written is a value as it would be written without escapes.
func written(v *Value) string {
	var parts []string
	for i := range v.Items {
		part := written(&v.Items[i])
		if v.Kind == Object {
			part = fmt.Sprintf("%s:%s", v.Items[i].Name, part)
		}
		parts = append(parts, part)
	}
	switch v.Kind {
	case Object:
		return "{" + strings.Join(parts, ",") + "}"
	case List:
		return "[" + strings.Join(parts, ",") + "]"
	case Text:
		return "'" + string(v.Raw) + "'"
	}
	return string(v.Raw)
}

func TestParse(t *testing.T) {
	f := func(document, want string) {
		t.Helper()
		v, err := Parse([]byte(document), 100)
		if got := written(&v); err != nil || got != want {
			t.Errorf("Parse(%s) = %s, %v; want %s", document, got, err, want)
		}
	}
	f(` {"a" : [1, -2.5e3, NaN, -Infinity, null, true], "b\u0041":{"c":"x\"y"}, "d":[], "e":{}} `,
		`{a:[1,-2.5e3,NaN,-Infinity,null,true],bA:{c:'x"y'},d:[],e:{}}`)
	f(`{"a":1,"b":2,"a":3}`, `{a:3,b:2}`)
	f(`false`, `false`)
	f(`""`, `''`)
}

func TestParseRefuses(t *testing.T) {
	f := func(want error, document string, values int) {
		t.Helper()
		if _, err := Parse([]byte(document), values); !errors.Is(err, want) {
			t.Errorf("Parse(%.40s) says %v; want %v", document, err, want)
		}
	}
	f(ErrSyntax, ``, 9)
	f(ErrSyntax, `{"a":1`, 9)
	f(ErrSyntax, `{} {}`, 9)
	f(ErrSyntax, `[1,]`, 9)
	f(ErrSyntax, `hello`, 9)
	f(ErrDepth, strings.Repeat("[", 600), 1000)
	f(ErrValues, `[1,2,3,4]`, 4)
	f(nil, `[1,2,3]`, 4)
}

func TestFloat(t *testing.T) {
	f := func(document string, want float64) {
		t.Helper()
		v, _ := Parse([]byte(document), 9)
		if got := v.Float(); got != want && (got == got || want == want) {
			t.Errorf("Float(%s) = %v, want %v", document, got, want)
		}
	}
	f(`1.50`, 1.5)
	f(`-Infinity`, math.Inf(-1))
	f(`1e999`, math.Inf(1))
	f(`nan`, math.NaN())
	f(`"1"`, math.NaN())
	f(`null`, math.NaN())
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5e-3,NaN,-Infinity],"b":{"c":"\u0041\n"}}`, `[[[[]]]]`, `{"a":1,"a":2}`, `"\ud83d"`, `tru`, `{"a":`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		v, err := Parse(document, 1000)
		if json.Valid(document) && errors.Is(err, ErrSyntax) {
			t.Fatalf("valid JSON was refused")
		}
		if count := values(&v); count > 1000 {
			t.Fatalf("%d values were read", count)
		}
	})
}

func values(v *Value) int {
	n := 1
	for i := range v.Items {
		n += values(&v.Items[i])
	}
	return n
}
