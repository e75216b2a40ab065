package config

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const twoRoutes = `
version: 1
pools:
  a: {endpoints: [http://127.0.0.1:9001]}
  b: {endpoints: [http://127.0.0.1:9002]}
routes:
  split: {match: {path: /s}, split: {a: 95, b: 5}}
  colour: {match: {path: /c}, blue_green: {blue: a, green: b, active: blue}}
`

func TestMerge(t *testing.T) {
	base := mustParse(t, twoRoutes)
	untouched := mustParse(t, twoRoutes)
	merged, err := Merge(base,
		Layer{"rollout", map[string]Override{"split": {Split: Weights{"a": 50, "b": 50}}}},
		Layer{"operator", map[string]Override{"split": {Split: Weights{"a": 0, "b": 1}}, "colour": {Active: "green"}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Weights{"a": 0, "b": 1}, merged.Routes["split"].Split); diff != "" {
		t.Errorf("the later layer does not win:\n%s", diff)
	}
	if got := merged.Routes["colour"].BlueGreen.ActivePool(); got != "b" {
		t.Errorf("active pool is %q, not b", got)
	}
	for _, r := range merged.Routes {
		if r.Origin != "operator" {
			t.Errorf("origin of %s is %q", r.Name, r.Origin)
		}
	}
	if diff := cmp.Diff(untouched, base, cmpopts.IgnoreUnexported(Config{}), cmpopts.EquateComparable()); diff != "" {
		t.Errorf("base was changed:\n%s", diff)
	}
	if base.Routes["split"].Origin != "file" {
		t.Error("a route of the file does not say so")
	}
	if at := merged.At("routes.split.split.b"); at.Line != 7 {
		t.Errorf("places are lost: %v", at)
	}
}

func TestDrain(t *testing.T) {
	base := mustParse(t, strings.Replace(twoRoutes, "b: {endpoints: [", "b: {endpoints: [http://127.0.0.1:9001, ", 1))
	drained := Drain(base, map[string]bool{"http://127.0.0.1:9001": true})
	if a, b := drained.Pools["a"].Endpoints, drained.Pools["b"].Endpoints; !a[0].Drained || !b[0].Drained || b[1].Drained {
		t.Errorf("drained: %v, %v", a, b)
	}
	if base.Pools["a"].Endpoints[0].Drained || base.Digest() == drained.Digest() {
		t.Error("base was changed, or nothing was")
	}
	if Drain(base, nil).Digest() != base.Digest() {
		t.Error("nothing is drained, but something changed")
	}
}

func TestAnOverrideLeavesTheForceOfTheFile(t *testing.T) {
	base := mustParse(t, strings.Replace(twoRoutes, "active: blue", "active: blue, force: true", 1))
	merged, err := Merge(base, Layer{"operator", map[string]Override{"colour": {Active: "green"}}})
	if err != nil || !merged.Routes["colour"].BlueGreen.Force {
		t.Errorf("force is lost: %v", err)
	}
	readBack(t, merged)
}

// What an override says about itself survives being stored, and changes nothing that is in force.
func TestOverridesAreStored(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	f := func(o Override, want string) {
		t.Helper()
		text, err := json.Marshal(o)
		if err != nil || string(text) != want {
			t.Errorf("got %s (%v), want %s", text, err, want)
		}
		var again Override
		if err := json.Unmarshal(text, &again); err != nil || cmp.Diff(o, again) != "" {
			t.Errorf("read back: %v\n%s", err, cmp.Diff(o, again))
		}
	}
	f(Override{Active: "green"}, `{"active":"green"}`)
	f(Override{Split: Weights{"a": 0, "b": 1.5}, Author: "ann", Reason: "canary fails", Time: at, Expires: at.Add(15 * time.Minute)},
		`{"split":{"a":0,"b":1.5},"author":"ann","reason":"canary fails","time":"2030-01-02T03:04:05Z","expires":"2030-01-02T03:19:05Z"}`)

	base := mustParse(t, twoRoutes)
	merged, err := Merge(base, Layer{"operator", map[string]Override{"colour": {Active: "blue", Author: "ann", Time: at, Expires: at}}})
	if err != nil || merged.Digest() != base.Digest() {
		t.Errorf("author and time change what is in force: %v", err)
	}
}

func TestMergeCopiesWeights(t *testing.T) {
	w := Weights{"a": 1, "b": 1}
	merged, err := Merge(mustParse(t, twoRoutes), Layer{"operator", map[string]Override{"split": {Split: w}}})
	if err != nil {
		t.Fatal(err)
	}
	w["a"] = 7
	if merged.Routes["split"].Split["a"] != 1 {
		t.Error("the config shares its weights with the layer")
	}
}

func TestMergeRefuses(t *testing.T) {
	base := mustParse(t, twoRoutes)
	f := func(route string, o Override, want string) {
		t.Helper()
		c, err := Merge(base, Layer{"operator", map[string]Override{route: o}})
		if _, ok := err.(Faults); !ok || c != nil || err.Error() != "operator: "+want {
			t.Errorf("%s %+v:\n got %v\nwant operator: %s", route, o, err, want)
		}
	}
	f("splt", Override{Active: "blue"}, `there is no route "splt"; did you mean "split"?`)
	f("split", Override{}, `routes.split is to get a split and an active pool, or neither; give exactly one of both`)
	f("split", Override{Split: Weights{"a": 1, "b": 1}, Active: "blue"}, `routes.split is to get a split and an active pool, or neither; give exactly one of both`)
	f("split", Override{Active: "blue"}, `routes.split is a split route and has no active pool; give it a split instead`)
	f("colour", Override{Split: Weights{"a": 1}}, `routes.colour is a blue/green route and has no split; switch it to blue or green instead`)
	f("colour", Override{Active: "a"}, `routes.colour cannot be switched to "a"; write blue or green`)
	f("split", Override{Split: Weights{}}, `routes.split is to get a split without a, b; name every pool; 0 takes one out`)
	f("split", Override{Split: Weights{"a": 1}}, `routes.split is to get a split without b; name every pool; 0 takes one out`)
	f("split", Override{Split: Weights{"a": 1, "b": 1, "c": 1}}, `routes.split has no pool "c" in its split; known are a, b`)
	f("split", Override{Split: Weights{"a": 0, "b": 0}}, `routes.split is to get a split that gives every pool the weight 0; give at least one pool a weight above 0`)
	f("split", Override{Split: Weights{"a": 1, "b": -1}}, `routes.split is to get a split that has the weight -1; write finite numbers of 0 or more`)
	f("split", Override{Split: Weights{"a": 1, "b": math.NaN()}}, `routes.split is to get a split that has the weight NaN; write finite numbers of 0 or more`)
	f("split", Override{Split: Weights{"a": 1, "b": math.Inf(1)}}, `routes.split is to get a split that has weights with an infinite sum; write smaller numbers`)
}

func TestMergeNamesAllFaults(t *testing.T) {
	_, err := Merge(mustParse(t, twoRoutes), Layer{"operator", map[string]Override{"x": {Active: "blue"}, "split": {Active: "blue"}}})
	if faults, _ := err.(Faults); len(faults) != 2 {
		t.Errorf("not both faults are named: %v", err)
	}
}

func TestDigest(t *testing.T) {
	base := mustParse(t, twoRoutes)
	f := func(what, src string, same bool) {
		t.Helper()
		if got := mustParse(t, src).Digest() == base.Digest(); got != same {
			t.Errorf("%s: the same digest: %v, want %v", what, got, same)
		}
	}
	f("itself", twoRoutes, true)
	f("a comment and a default written out", "# hello\n"+twoRoutes+"limits: {max_connections: 20000}\n", true)
	f("another weight", strings.Replace(twoRoutes, "b: 5", "b: 6", 1), false)
	f("another active pool", strings.Replace(twoRoutes, "active: blue", "active: green", 1), false)

	merged, err := Merge(base, Layer{"operator", map[string]Override{"colour": {Active: "blue"}}})
	if err != nil || merged.Digest() != base.Digest() {
		t.Error("who said it changes the digest")
	}
}

func TestRestartNeeded(t *testing.T) {
	base := mustParse(t, twoRoutes)
	f := func(extra, want string) {
		t.Helper()
		got := ""
		if faults := base.RestartNeeded(mustParse(t, twoRoutes+extra)); len(faults) > 0 {
			got = faults.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", extra, got, want)
		}
	}
	const remedy = "; restart needed: restart mlproxy, or put the old value back"
	f("", "")
	f("limits: {max_body: 1MiB}\n", "")
	f("listen: [127.0.0.1:8080]\n", "")
	f("listen: 127.0.0.1:8081\n", "config.yaml:9:9: listen changes from 127.0.0.1:8080 to 127.0.0.1:8081"+remedy)
	f("admin: {listen: 127.0.0.1:8081}\n", "config.yaml:9:17: admin.listen changes from 127.0.0.1:9090 to 127.0.0.1:8081"+remedy)
	f("state_dir: /var/lib/mlproxy\n", "config.yaml:9:12: state_dir changes from state to /var/lib/mlproxy"+remedy)
}
