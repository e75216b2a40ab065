package config

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var standardShadow = Shadow{
	Sample: 0.1, Timeout: 2 * time.Second, MaxInFlight: 64, MaxBody: 1 << 20, MaxBytes: 16 << 20,
	Compare: Compare{Mode: "exact", Ignore: []string{}, Unordered: []string{}, K: 5, Keep: 10, Bodies: "excerpt"},
}

func TestValuesOfKeys(t *testing.T) {
	f := func(parse func(string, []byte) (Override, error), src string, want Override) {
		t.Helper()
		got, err := parse("k", []byte(src))
		want.Key = "k"
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", src, err, diff)
		}
	}
	split := Override{Split: Weights{"iris-stable": 90, "iris-canary": 10}}
	f(ParseSplit, "{iris-stable: 90, iris-canary: 10}", split)
	f(ParseSplit, "# from the runbook\niris-stable: 90 # was 95\niris-canary: 10\n", split)
	f(ParseSplit, `{"iris-stable":90,"iris-canary":1e1}`, split)
	f(ParseSplit, "{\n\t\"iris-stable\": 90,\n\t\"iris-canary\": 10\n}\n", split)
	f(ParseActive, "green", Override{Active: "green"})
	f(ParseActive, "# tonight\r\nblue\r\n", Override{Active: "blue"})
	f(ParseActive, `"green"`, Override{Active: "green"})
	f(ParseActive, "{active: green, force: true}", Override{Active: "green", Forced: true})
	f(ParseActive, `{"active": "blue"}`, Override{Active: "blue"})
	half := standardShadow
	half.Sample = 0.5
	f(ParseShadow, "iris-next: {sample: 50%}", Override{Shadow: map[string]*Shadow{"iris-next": &half}})
	f(ParseShadow, `{"iris-next": {}, "b": {"sample": 0.5}}`, Override{Shadow: map[string]*Shadow{"iris-next": &standardShadow, "b": &half}})
	f(ParseShadow, "{}", Override{Shadow: map[string]*Shadow{}})
	f(ParseOverride, "active: green", Override{Active: "green"})
	f(ParseOverride, "{split: {a: 1}, reason: x, expires: 2030-01-02T03:19:05+01:00}",
		Override{Split: Weights{"a": 1}, Reason: "x", Expires: time.Date(2030, 1, 2, 2, 19, 5, 0, time.UTC)})
}

func TestValuesOfKeysAreRefused(t *testing.T) {
	f := func(parse func(string, []byte) (Override, error), src, want string) {
		t.Helper()
		o, err := parse("k", []byte(src))
		if _, are := err.(Faults); !are || err.Error() != want || o.Split != nil || o.Shadow != nil || o.Active != "" {
			t.Errorf("%q\n got %v, %+v\nwant %s", src, err, o, want)
		}
	}
	f(ParseSplit, "", "k:1:1: the value is empty; write one such as {iris-stable: 95, iris-canary: 5}, or delete the key")
	f(ParseSplit, "# nothing\n", "k:1:1: the value is empty; write one such as {iris-stable: 95, iris-canary: 5}, or delete the key")
	f(ParseSplit, "null", "k:1:1: the value is empty; write one such as {iris-stable: 95, iris-canary: 5}, or delete the key")
	f(ParseSplit, "{}", "k:1:1: split names no pool; write at least one, such as {iris-stable: 100}")
	f(ParseSplit, "90", "k:1:1: split is a single value; write a mapping of numbers such as {name: 1.5}")
	f(ParseSplit, "{a: 90, b: 10%}", `k:1:12: split.b is "10%", not a finite number; write a number such as 5 or 0.5, without a unit`)
	f(ParseSplit, "a: 90\nb: -1\nB: 2", "k:2:4: split.b is -1, a negative number; write 0 or more\n"+
		"k:3:1: split.B is not a name; use at most 63 of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit")
	f(ParseSplit, "{a: 0, b: 0}", "k:1:1: split gives every pool the weight 0; give at least one pool a weight above 0")
	f(ParseSplit, "{a: 1, a: 2}", `k:1:8: "a" is written twice, first at 1:2; keep one of them`)
	f(ParseSplit, "{a: 1", "k:2:1: not valid YAML: did not find expected ',' or '}' while parsing a flow mapping that began at 1:1; close the bracket, or put a comma before this")
	f(ParseSplit, "{a: 1}\n---\n{a: 2}", "k:2:1: a second document begins here; keep one document, without a --- line between parts")
	f(ParseSplit, "a: ${WEIGHT:-1}", `k:1:4: "${WEIGHT:-1}" would be a variable of this machine, and a key of Consul has none; write the value out, or $${ for a plain ${`)
	f(ParseSplit, "\xff\xfe", "k:1:1: a byte that is not printable UTF-8 text; save the file as UTF-8 and remove the byte")
	f(ParseActive, "gren", `k:1:1: active is "gren"; did you mean "green"?`)
	f(ParseActive, "[green]", "k:1:1: active is a list; write blue or green")
	f(ParseActive, "{active: green, forced: true}", `k:1:17: unknown key active.forced; did you mean "force"?`)
	f(ParseActive, "{force: true}", "k:1:1: active.active is missing; write active: blue")
	f(ParseShadow, "{b: {sampel: 5%}}", `k:1:6: unknown key shadow.b.sampel; did you mean "sample"?`)
	f(ParseShadow, "b", "k:1:1: shadow is a single value; write a mapping of shadows such as {name: {sample: ...}}")
	f(ParseOverride, "{author: ann}", "k:1:1: override is to say exactly one of split, active and shadow; write one such as {active: green}")
	f(ParseOverride, "{active: blue, split: {a: 1}}", "k:1:1: override is to say exactly one of split, active and shadow; write one such as {active: green}")
	f(ParseOverride, "{active: blue, expires: tomorrow}", `k:1:25: override.expires is "tomorrow", not a time; write one such as 2030-01-02T03:04:05Z`)
}

// What is written as JSON is read as the same.
func TestOverridesAreReadBack(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 678, time.UTC)
	f := func(o Override) {
		t.Helper()
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		o.Key = "k"
		if got, err := ParseOverride("k", text); err != nil || cmp.Diff(o, got) != "" {
			t.Errorf("%s: %v\n%s", text, err, cmp.Diff(o, got))
		}
	}
	f(Override{Active: "green", Author: "ann@example.org", Reason: "canary \"fails\"\n<again> \u2028 ünd", Time: at, Expires: at.Add(time.Hour), Forced: true})
	f(Override{Split: Weights{"a": 0, "b": 0.1, "c": 1e21}, Time: at})
}

// FuzzKeys: nothing that stands in a key makes its reader panic, and every fault has a place and a remedy.
func FuzzKeys(f *testing.F) {
	seeds := maps.Collect(maps.All(files(f, "testdata/consul/good/*.yaml")))
	for _, src := range seeds {
		f.Add(src)
	}
	for _, src := range []string{"{a: 1}", "green", "{active: blue, force: true}", "{a: {sample: 5%}}", `{"split":{"a":1},"author":"x","time":"2030-01-02T03:04:05Z"}`, "version: 1", "&a [*a]", "<<: {a: 1}"} {
		f.Add([]byte(src))
	}
	base := mustParse(f, twoRoutes)
	f.Fuzz(func(t *testing.T, src []byte) {
		checkFaults := func(err error) {
			faults, _ := err.(Faults)
			if err != nil && len(faults) == 0 {
				t.Errorf("not faults: %v", err)
			}
			for _, fault := range faults {
				if fault.At.Line < 1 || fault.At.Col < 1 || fault.What == "" || fault.Remedy == "" {
					t.Errorf("a fault says too little: %q", fault)
				}
			}
		}
		for _, parse := range []func(string, []byte) (Override, error){ParseSplit, ParseActive, ParseShadow, ParseOverride} {
			o, err := parse("k", src)
			checkFaults(err)
			if err == nil {
				_, _ = MergeFitting(base, Layer{FromConsul, map[string]Override{"split": o, "colour": o}})
			}
		}
		fleet, err := ParseFleet("k", src)
		checkFaults(err)
		if err == nil {
			_, err := base.WithFleet(fleet)
			checkFaults(err)
		}
	})
}
