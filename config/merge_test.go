package config

import (
	"encoding/json"
	"fmt"
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

// Of the layers' values only those that fit are laid; a layer above sees the one below without the misfit.
func TestMergeFitting(t *testing.T) {
	base := mustParse(t, twoRoutes)
	merged, misfits := MergeFitting(base,
		Layer{FromConsul, map[string]Override{
			"split":  {Split: Weights{"a": 1}, Key: "mlproxy/routes/split/split", Index: 7},
			"colour": {Active: "green", Key: "mlproxy/routes/colour/active", Index: 8},
			"gone":   {Active: "green", Key: "mlproxy/routes/gone/active", Index: 9},
		}},
		Layer{FromOperator, map[string]Override{"colour": {Active: "purple"}}})
	got := []string{}
	for _, m := range misfits {
		got = append(got, fmt.Sprintf("%d %s %s", m.Layer, m.Route, m.Fault))
	}
	want := []string{
		`0 gone mlproxy/routes/gone/active: there is no route "gone"; known are colour, split`,
		`0 split mlproxy/routes/split/split: routes.split is to get a split without b; name every pool; 0 takes one out`,
		`1 colour operator: routes.colour cannot be switched to "purple"; write blue or green`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("misfits (-want +got):\n%s", diff)
	}
	if r := merged.Routes["colour"]; r.BlueGreen.Active != "green" || r.Words() != "consul mlproxy/routes/colour/active @8" || r.Base.Words() != "file" {
		t.Errorf("what fits is not laid, or not said whose it is: %+v", r)
	}
	if r := merged.Routes["split"]; r.Split["a"] != 95 || r.Words() != "file" {
		t.Errorf("what does not fit is laid: %+v", r)
	}
}

func TestMergeShadows(t *testing.T) {
	base := mustParse(t, strings.Replace(twoRoutes, "routes:", "  c: {endpoints: [http://127.0.0.1:9003]}\nroutes:", 1))
	lay := func(shadows map[string]*Shadow) (*Config, error) {
		return Merge(base, Layer{FromConsul, map[string]Override{"split": {Shadow: shadows, Key: "k", Index: 3}}})
	}
	merged, err := lay(map[string]*Shadow{"c": {Sample: 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	if r := merged.Routes["split"]; r.Shadow["c"].Sample != 0.5 || r.ShadowFrom != (Source{FromConsul, "k", 3}) || r.Origin != FromFile || r.Split["a"] != 95 {
		t.Errorf("got %+v", r)
	}
	if none, err := Merge(merged, Layer{FromConsul, map[string]Override{"split": {Shadow: map[string]*Shadow{}}}}); err != nil || len(none.Routes["split"].Shadow) > 0 {
		t.Errorf("an empty mapping leaves shadows: %v", err)
	}
	f := func(pool, want string) {
		t.Helper()
		if _, err := lay(map[string]*Shadow{pool: {}}); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", pool, err, want)
		}
	}
	f("a", `k: routes.split is to get the shadow "a", which also serves it; name a pool that clients get no answers from, or leave it out`)
	f("d", `k: routes.split is to get the shadow "d", and there is no such pool; known are a, b, c`)
}

// In a key of Consul force belongs to the colour beside it; what the file forces does not force what the key says.
func TestForceOfAKey(t *testing.T) {
	base := mustParse(t, strings.Replace(twoRoutes, "active: blue", "active: blue, force: true", 1))
	f := func(forced bool) {
		t.Helper()
		merged, err := Merge(base, Layer{FromConsul, map[string]Override{"colour": {Active: "green", Forced: forced, Key: "k"}}})
		if err != nil || merged.Routes["colour"].BlueGreen.Force != forced {
			t.Errorf("forced %v: %v", forced, err)
		}
	}
	f(true)
	f(false)
	if !base.Routes["colour"].BlueGreen.Force {
		t.Error("base was changed")
	}
}

// The digest tells whether replicas agree, which listen elsewhere and keep their state elsewhere.
func TestDigestOfReplicas(t *testing.T) {
	one := mustParse(t, "listen: :1\nadmin: {listen: 127.0.0.1:3, token_file: /a}\nlog: {level: debug}\nlimits: {max_connections: 7}\nstate_dir: /a\nconsul: {address: http://a:1}\n"+strings.TrimSpace(twoRoutes))
	two := mustParse(t, "listen: :2\nadmin: {listen: 127.0.0.1:4}\nstate_dir: /b\nconsul: {address: http://b:1}\n"+strings.TrimSpace(twoRoutes))
	if one.Digest() != two.Digest() {
		t.Error("replicas on two machines do not agree")
	}
	if Same(one, two) || !Same(one, one) {
		t.Error("what is not the same is, or what is the same is not")
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
	f("consul: false\n", "")
	f("consul: {}\n", "config.yaml:9:9: consul changes from nothing to {}"+remedy)
	f("consul: {prefix: ml, register: {name: mlproxy}}\n", "config.yaml:9:9: consul changes from nothing to {prefix: ml, register: {name: mlproxy}}"+remedy)
	f("listen: 127.0.0.1:8081\n", "config.yaml:9:9: listen changes from 127.0.0.1:8080 to 127.0.0.1:8081"+remedy)
	f("admin: {listen: 127.0.0.1:8081}\n", "config.yaml:9:17: admin.listen changes from 127.0.0.1:9090 to 127.0.0.1:8081"+remedy)
	f("state_dir: /var/lib/mlproxy\n", "config.yaml:9:12: state_dir changes from state to /var/lib/mlproxy"+remedy)
}
