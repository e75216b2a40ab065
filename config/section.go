package config

import (
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// about is what is known of one key, but for its place in Go.
type about struct {
	key      string
	doc      string // a sentence for the reference page and the schema
	initial  string // the default, as one would write it; "" = none
	required bool
	off      bool // nothing acts on it yet
	shape    *shape
}

// field is one key of a section that is read into a T.
type field[T any] struct {
	about
	read   func(r *reader, n *node, path string, into *T)
	absent func(r *reader, path string, into *T) // fills in the default; nil = the value is left alone
	show   func(from *T, all bool) *yaml.Node    // nil, or a nil node = the key is left out
}

// key describes a key: its kind, the place of its value, its default as one would write it ("" = none; then the value is
// left alone when the key is absent), and a sentence.
func key[T, V any](name string, k kind[V], place func(*T) *V, initial, doc string) field[T] {
	read := func(r *reader, n *node, path string, into *T) { *place(into), _ = k.read(r, n, path) }
	f := field[T]{about: about{key: name, doc: doc, initial: initial, shape: &k.shape}, read: read}
	var standard V
	if n := literal(initial); n != nil {
		f.absent = func(r *reader, path string, into *T) { read(r, n, path, into) }
		standard, _ = k.read(&reader{where: map[string]Position{}}, n, "")
	}
	f.show = func(from *T, all bool) *yaml.Node {
		v := *place(from)
		if (initial == "" || !all) && reflect.DeepEqual(v, standard) {
			return nil
		}
		return k.show(v, all)
	}
	return f
}

// required is a key that has to be there.
func required[T any](f field[T]) field[T] {
	f.required = true
	return f
}

// offTexts are the single values that switch any feature off.
var offTexts = []string{"", "0", "0%", "0s", "false", "none"}

func isAbsent(n *node) bool {
	return n.kind == nothing || n.kind == scalar && n.text == "false"
}

func isOff(n *node) bool {
	switch n.kind {
	case scalar:
		return slices.Contains(offTexts, n.text)
	case list:
		return len(n.items) == 0
	case mapping:
		for _, e := range n.entries {
			if e.value.kind == mapping || !isOff(e.value) {
				return false
			}
		}
	}
	return true
}

// section is a mapping with known keys that is read into a T. check, if any, sees which keys are there.
func section[T any](name string, check func(r *reader, n *node, path string), fields ...field[T]) kind[T] {
	s := shape{name: name, example: "{" + fields[0].key + ": ...}", schema: object{"type": "object"}}
	names := make([]string, len(fields))
	for i, f := range fields {
		s.keys = append(s.keys, f.about)
		names[i] = f.key
	}
	read := func(r *reader, n *node, path string) (T, bool) {
		var v T
		if !r.wants(mapping, n, path, s) {
			return v, false
		}
		before := len(r.faults)
		r.unknownKeys(n, path, names)
		for _, f := range fields {
			if value := r.value(n, f.about, path); value != nil {
				f.read(r, value, join(path, f.key), &v)
			} else if f.absent != nil {
				f.absent(r, join(path, f.key), &v)
			}
		}
		if check != nil {
			check(r, n, path)
		}
		return v, len(r.faults) == before
	}
	return kind[T]{s, read, func(v T, all bool) *yaml.Node { return showSection(&v, all, fields) }}
}

// needsOne tells the schema that one of these keys has to be there; that the reader sees it is left to the section's check.
func needsOne[T any](k kind[T], keys ...string) kind[T] {
	var each []object
	for _, name := range keys {
		each = append(each, object{"required": []string{name}})
	}
	k.schema = object{"type": "object", "anyOf": each}
	return k
}

func showSection[T any](v *T, all bool, fields []field[T]) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fields {
		if f.show == nil {
			continue
		}
		if value := f.show(v, all); value != nil {
			m.Content = append(m.Content, single("!!str", f.key), value)
		}
	}
	return m
}

// literal is the node of a default. It panics on a slip in the description; every run of every test would see it.
func literal(initial string) *node {
	if initial == "" {
		return nil
	}
	t := &tree{file: ofDefaults, done: map[*yaml.Node]*node{}}
	n := t.parse([]byte(initial))
	if len(t.faults) > 0 {
		panic(t.faults.Error())
	}
	return n
}

// reader goes through the nodes along a description and collects what is wrong and where everything stands.
type reader struct {
	faults Faults
	where  map[string]Position
	values int // read so far, aliases written out
	// foreign says that a key of Consul is read, who may not look around on this machine.
	foreign bool
}

func (r *reader) fault(at Position, what, remedy string) {
	r.faults = append(r.faults, Fault{at, what, remedy})
}

// wants says whether n is of the kind that s is made of, and faults it if not.
func (r *reader) wants(k nodeKind, n *node, path string, s shape) bool {
	r.values++
	if r.values == maxValues {
		r.fault(n.at, "with every alias written out "+wholeOf(r.foreign)+" has too many values", "use fewer aliases")
	}
	if r.values >= maxValues || n.broken {
		return false
	}
	if n.kind == k {
		return true
	}
	what, right := path+" is "+n.kind.String(), "write "+s.wanted()
	switch {
	case n.kind == nothing:
		r.fault(r.where[path], path+" has no value", right+", or remove the key")
	case path == "":
		r.fault(n.at, wholeOf(r.foreign)+what, right)
	default:
		r.fault(n.at, what, right)
	}
	return false
}

// wanted names a value of this shape and shows one.
func (s *shape) wanted() string {
	if strings.Contains(s.name, " | ") {
		return strings.ReplaceAll(s.name, " | ", " or ")
	}
	name, article := s.name, "a "
	if s.keys != nil {
		name = "mapping"
	}
	if strings.ContainsAny(name[:1], "aeio") {
		article = "an "
	}
	return article + name + " such as " + s.example
}

// value is what the section says of a key, nil when it is absent.
func (r *reader) value(n *node, a about, path string) *node {
	for _, e := range n.entries {
		if e.key == a.key {
			r.stands(join(path, a.key), e.place)
			return e.value
		}
	}
	if a.required {
		r.fault(r.where[path], join(path, a.key)+" is missing", "write "+a.key+": "+a.shape.example)
	}
	return nil
}

// ofDefaults stands for the file in the places of default values, which nobody should be sent to.
const ofDefaults = "default"

func (r *reader) stands(path string, at Position) {
	if at.File != ofDefaults {
		r.where[path] = at
	}
}

func (r *reader) unknownKeys(n *node, path string, known []string) {
	for _, e := range n.entries {
		if !slices.Contains(known, e.key) {
			r.unknownKey(e, path, known)
		}
	}
}

func (r *reader) unknownKey(e entry, path string, known []string) {
	r.fault(e.at, "unknown key "+join(path, e.key), didYouMean(e.key, known))
}
