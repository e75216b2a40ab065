package router

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mlproxy/config"
)

func TestUnknownPolicies(t *testing.T) {
	cfg := desired(map[string]*config.Route{"r": {Split: config.Weights{"a": 1, "b": 1}}})
	cfg.Pools["a"].Balance, cfg.Pools["b"].Balance = "fastest", ""
	_, err := Compile(cfg, nil)
	var faults config.Faults
	if !errors.As(err, &faults) || len(faults) != 2 {
		t.Fatalf("%v; want two faults", err)
	}
	f := func(i int, what string) {
		t.Helper()
		if faults[i].What != what || faults[i].Remedy != "write hash or least_request or peak_ewma or round_robin" {
			t.Errorf("%v; want %s", faults[i], what)
		}
	}
	f(0, `pools.a.balance is "fastest"`)
	f(1, `pools.b.balance is ""`)
}

// Every fault has its place in the file, and all are there at once, in the file's order.
func TestFaultsHavePlaces(t *testing.T) {
	const file = `version: 1
pools:
  a: {endpoints: [http://127.0.0.1:9001]}
routes:
  y: {match: {path: /x}, split: {a: 1}}
  x: {match: {path: /x}, split: {a: 1}}
  w:
    match: {path: /x}
    split: {a: 1}
`
	cfg, err := config.Parse("c.yaml", []byte(file), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"c.yaml:5", "c.yaml:6"}
	for range 10 { // maps have no order
		_, err = Compile(cfg, nil)
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%v", err)
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, want[i]+":") || !strings.Contains(line, "matches the same requests as route w") {
				t.Errorf("%s; want one at %s", line, want[i])
			}
		}
	}
}

func TestBlueGreenIsASplitWithOneWeight(t *testing.T) {
	f := func(active, want string) {
		t.Helper()
		r := compile(t, desired(map[string]*config.Route{"r": {BlueGreen: &config.BlueGreen{Blue: "b", Green: "g", Active: active}}})).Routes()[0]
		for _, key := range []string{"", "", "", "user-1", "user-2", "user-3"} {
			if got := r.Split.named(key); got != want {
				t.Errorf("active %s, key %q: %s; want %s", active, key, got, want)
			}
		}
		for _, name := range []string{"b", "g"} {
			if v := r.Force([]byte(name)); v == nil || v.Pool.Name != name || v.Share != map[bool]float64{true: 1}[name == want] {
				t.Errorf("active %s: forced to %s: %+v", active, name, v)
			}
		}
	}
	f("blue", "b")
	f("green", "g")
}

func TestForce(t *testing.T) {
	r := compile(t, desired(map[string]*config.Route{"r": {Split: config.Weights{"a": 3, "b": 0, "c": 1}}})).Routes()[0]
	f := func(name string, known bool, share float64) {
		t.Helper()
		v := r.Force([]byte(name))
		if (v != nil) != known {
			t.Errorf("%q: %+v", name, v)
		}
		if known && (v.Share != share || v.Route != "r" || v.Meter == nil) {
			t.Errorf("%q: %+v; want share %v", name, v, share)
		}
	}
	f("a", true, .75)
	f("b", true, 0)
	f("c", true, .25)
	f("d", false, 0)
	f("", false, 0)
	f("A", false, 0)
}

func TestSwap(t *testing.T) {
	var r Router
	one, two := &Table{}, &Table{}
	if r.Table() != nil || r.Swap(one) != nil || r.Swap(two) != one || r.Table() != two {
		t.Error("not what was put in")
	}
}

func TestTableIsSorted(t *testing.T) {
	route := func(path string) *config.Route {
		return &config.Route{Match: config.Match{Path: path}, Split: config.Weights{"q": 1, "p": 1, "r": 0}}
	}
	cfg := desired(map[string]*config.Route{"b": route("/b"), "a": route("/a"), "c": route("/c")})
	table := compile(t, cfg)
	var names []string
	for _, r := range table.Routes() {
		names = append(names, r.Name)
		for _, v := range r.Versions {
			names = append(names, v.Pool.Name)
		}
	}
	for _, p := range table.Pools() {
		names = append(names, p.Name)
	}
	if want := strings.Split("a p q r b p q r c p q r p q r", " "); !slices.Equal(names, want) {
		t.Errorf("%v; want %v", names, want)
	}
	if table.Config() != cfg {
		t.Error("another config")
	}
}

func TestHashIsSaltedAndZeroWithoutKey(t *testing.T) {
	one, two := newRoute("one", &config.Route{}), newRoute("two", &config.Route{})
	f := func(a, b uint64, same bool) {
		t.Helper()
		if (a == b) != same {
			t.Errorf("%x and %x", a, b)
		}
	}
	key := []byte("user-1")
	f(one.Hash(key), one.Hash(key), true)
	f(one.Hash(key), two.Hash(key), false)
	f(one.Hash(key), one.Hash([]byte("user-2")), false)
	f(one.Hash(key), 0, false)
	f(one.Hash(nil), 0, true)
	f(one.Hash([]byte{}), 0, true)
}

// How a key is balanced within a pool says nothing of the pool.
func TestHashIsIndependentOfTheAssignment(t *testing.T) {
	r := compile(t, desired(map[string]*config.Route{"r": {Split: config.Weights{"a": 1, "b": 3}}})).Routes()[0]
	joint := newJoint()
	for i := range uint64(users) {
		key := []byte{byte(i), byte(i >> 8), byte(i >> 16)}
		joint.see(r.Split.named(string(key)), r.Hash(key)%5)
	}
	joint.independent(t)
}
