package config

import (
	"time"

	"go.yaml.in/yaml/v4"
)

// The values of single keys in Consul. Each is one document, YAML or JSON, and comments are allowed. What is wrong with one comes as
// [Faults], placed in the key: mlproxy/routes/iris/split:1:15. Whether a value fits its route is for [Merge] to say.

// ParseSplit reads the value of a key such as mlproxy/routes/iris/split: {iris-stable: 90, iris-canary: 10}.
func ParseSplit(key string, src []byte) (Override, error) {
	split, err := parseKey(key, src, "split", weights)
	return Override{Split: split, Key: key}, err
}

// ParseActive reads the value of a key such as mlproxy/routes/search/active: green, or {active: green, force: true}.
func ParseActive(key string, src []byte) (Override, error) {
	o, err := parseKey(key, src, "active", colour)
	o.Key = key
	return o, err
}

// ParseShadow reads the value of a key such as mlproxy/routes/iris/shadow: what would stand at the route's `shadow` in the file.
func ParseShadow(key string, src []byte) (Override, error) {
	shadow, err := parseKey(key, src, "shadow", shadows)
	return Override{Shadow: shadow, Key: key}, err
}

// ParseOverride reads the value of a key such as mlproxy/overrides/iris: an [Override] as JSON has it.
func ParseOverride(key string, src []byte) (Override, error) {
	o, err := parseKey(key, src, "override", overrideDocument)
	o.Key = key
	return o, err
}

// parseKey reads the value of a key; path is what faults call it.
func parseKey[T any](key string, src []byte, path string, k kind[T]) (T, error) {
	var none T
	t := treeOfKey(key, k.example)
	root := t.parse(src)
	if root == nil {
		return none, t.faults.orNil()
	}
	r := &reader{faults: t.faults, where: map[string]Position{path: root.at}, foreign: true}
	v, _ := k.read(r, root, path)
	if err := r.faults.orNil(); err != nil {
		return none, err
	}
	return v, nil
}

// treeOfKey reads the value of a key, in which no variables are.
func treeOfKey(key, example string) *tree {
	return &tree{file: key, done: map[*yaml.Node]*node{}, foreign: "write one such as " + example + ", or delete the key"}
}

var activeDocument = section("active", nil,
	required(key("active", word([]string{"blue", "green"}), func(o *Override) *string { return &o.Active }, "", "")),
	key("force", yesOrNo, func(o *Override) *bool { return &o.Forced }, "false", ""),
)

// colour is the active pool of a route: blue or green alone, or a mapping with more to say.
var colour = kind[Override]{
	shape: shape{name: "colour", example: "green"},
	read: func(r *reader, n *node, path string) (Override, bool) {
		if n.kind == mapping {
			return activeDocument.read(r, n, path)
		}
		active, ok := word([]string{"blue", "green"}).read(r, n, path)
		return Override{Active: active}, ok
	},
}

var overrideDocument = section("override", oneWord,
	key("split", weights, func(o *Override) *Weights { return &o.Split }, "", ""),
	key("active", word([]string{"blue", "green"}), func(o *Override) *string { return &o.Active }, "", ""),
	key("shadow", shadows, func(o *Override) *map[string]*Shadow { return &o.Shadow }, "", ""),
	key("author", anything, func(o *Override) *string { return &o.Author }, `""`, ""),
	key("reason", anything, func(o *Override) *string { return &o.Reason }, `""`, ""),
	key("time", instant, func(o *Override) *time.Time { return &o.Time }, "", ""),
	key("expires", instant, func(o *Override) *time.Time { return &o.Expires }, "", ""),
	key("forced", yesOrNo, func(o *Override) *bool { return &o.Forced }, "false", ""),
)

// oneWord sees to it that an override says one thing.
func oneWord(r *reader, n *node, path string) {
	said := 0
	for _, name := range []string{"split", "active", "shadow"} {
		if n.get(name) != nil {
			said++
		}
	}
	if said != 1 {
		r.fault(r.where[path], path+" is to say exactly one of split, active and shadow", "write one such as {active: green}")
	}
}

// instant is a point in time (RFC 3339).
var instant = scalarOf(
	shape{name: "time", example: "2030-01-02T03:04:05Z"},
	func(n *node) (time.Time, problem) {
		t, err := time.Parse(time.RFC3339, n.text)
		if err != nil {
			return t, problem{"is " + quote(n) + ", not a time", "write one such as 2030-01-02T03:04:05Z"}
		}
		return t, problem{}
	},
	func(t time.Time) *yaml.Node { return single("!!str", t.Format(time.RFC3339Nano)) })
