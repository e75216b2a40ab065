package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	maxDocument = 1 << 20 // bytes of one file
	maxValues   = 200_000 // values of one file, every alias and merge key written out
)

const minimalFile = `{version: 1, pools: {a: {endpoints: ["http://127.0.0.1:9001"]}}, routes: {all: {match: {path: /}, split: {a: 1}}}}`

// node is one value of the document with its aliases followed, its merge keys merged and its variables expanded.
// Values behind an alias are shared, not copied.
type node struct {
	at       Position
	kind     nodeKind
	text     string // of a scalar, as written
	tag      string // of a scalar: !!str, !!int, !!float, !!bool, ...
	expanded bool   // text came from the environment: what it may be is decided by who reads it
	broken   bool   // already a fault: nothing more is said of it
	items    []*node
	entries  []entry
}

type nodeKind int

const (
	nothing nodeKind = iota // null, or a key with no value behind it
	scalar
	list
	mapping
)

func (k nodeKind) String() string {
	return [...]string{"empty", "a single value", "a list", "a mapping"}[k]
}

// entry is one key of a mapping and what stands behind it.
type entry struct {
	key   string
	at    Position // of the key
	place Position // what a fault about the whole value should point at
	value *node
}

func (n *node) get(key string) *node {
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// tree turns what the YAML library read into nodes, and notes what it meets that no config may have.
type tree struct {
	file    string
	env     func(string) (string, bool) // nil = there are no variables
	foreign string                      // "" = file is one; else it is a key of Consul, and this is how to mend an empty one
	faults  Faults
	done    map[*yaml.Node]*node // a nil node is still being built: an alias to it would be a circle
	merged  int                  // entries that merge keys brought
}

func (t *tree) fault(at Position, what, remedy string) {
	t.faults = append(t.faults, Fault{at, what, remedy})
}

// parse reads the one document of src; nil when there is none to go on with.
func (t *tree) parse(src []byte) *node {
	if len(src) > maxDocument {
		t.fault(Position{t.file, 1, 1}, fmt.Sprintf("%s has %d bytes", wholeOf(t.foreign != ""), len(src)), "write at most 1 MiB")
		return nil
	}
	if at, bad := t.strangeByte(src); bad {
		t.fault(at, "a byte that is not printable UTF-8 text", "save the file as UTF-8 and remove the byte")
		return nil
	}
	root := t.onlyDocument(src)
	if root == nil || len(t.faults) > 0 {
		return nil
	}
	return t.node(root)
}

// strangeByte finds what the library would refuse without saying where.
func (t *tree) strangeByte(src []byte) (Position, bool) {
	line, col := 1, 1
	for len(src) > 0 {
		c, n := utf8.DecodeRune(src)
		control := c < ' ' && c != '\n' && c != '\r' && c != '\t' || c >= 0x7f && c < 0xa0 && c != 0x85
		if c == utf8.RuneError && n == 1 || control || c == 0xfffe || c == 0xffff {
			return Position{t.file, line, col}, true
		}
		src, col = src[n:], col+1
		if c == '\n' {
			line, col = line+1, 1
		}
	}
	return Position{}, false
}

// onlyDocument is the top of the first document, nil when src is not exactly one that says something.
func (t *tree) onlyDocument(src []byte) *yaml.Node {
	loader, err := yaml.NewLoader(strings.NewReader(string(src)), yaml.WithAllDocuments())
	if err != nil {
		t.syntax(src, err)
		return nil
	}
	var first, second yaml.Node
	if err := loader.Load(&first); err != nil && !errors.Is(err, io.EOF) {
		t.syntax(src, err)
		return nil
	}
	if len(first.Content) == 0 || first.Content[0].Tag == "!!null" {
		t.fault(Position{t.file, 1, 1}, wholeOf(t.foreign != "")+" is empty", cmp.Or(t.foreign, "a minimal file is "+minimalFile))
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		t.fault(t.at(&second), "a second document begins here", "keep one document, without a --- line between parts")
	case !errors.Is(err, io.EOF):
		t.syntax(src, err)
	}
	return first.Content[0]
}

// syntax makes a fault of what the library says.
func (t *tree) syntax(src []byte, err error) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		t.fault(Position{t.file, 1, 1}, err.Error(), "write valid YAML")
		return
	}
	at := Position{t.file, max(1, e.Mark.Line), max(1, e.Mark.Column)}
	what := e.Message
	if e.ContextMsg != "" {
		what = fmt.Sprintf("%s %s that began at %d:%d", what, e.ContextMsg, e.ContextMark.Line, e.ContextMark.Column)
	}
	remedy := syntaxRemedy(e.Message)
	if strings.HasPrefix(strings.TrimLeft(line(src, at.Line), " "), "\t") {
		remedy = "indent with spaces, not with tabs"
	}
	t.fault(at, "not valid YAML: "+what, remedy)
}

// line is the n-th line of src, counted from 1.
func line(src []byte, n int) string {
	lines := strings.SplitN(string(src), "\n", n+1)
	if n > len(lines) {
		return ""
	}
	return lines[n-1]
}

// syntaxRemedy knows the usual slips.
func syntaxRemedy(message string) string {
	for _, slip := range [][2]string{
		{"mapping values are not allowed", `put quotes around a value that contains ": ", or mend the indentation`},
		{"unknown anchor", "define it as &name before it is used as *name"},
		{"expected ',' or", "close the bracket, or put a comma before this"},
		{"expected key", "indent this line like the other keys of its section"},
		{"cannot start any token", "put quotes around the value"},
		{"unexpected end of stream", "close the quotes"},
	} {
		if strings.Contains(message, slip[0]) {
			return slip[1]
		}
	}
	return "mend indentation, quotes or brackets here"
}

func (t *tree) at(n *yaml.Node) Position {
	return Position{t.file, max(1, n.Line), max(1, n.Column)}
}

func (t *tree) node(y *yaml.Node) *node {
	if y.Kind == yaml.AliasNode {
		return t.alias(y)
	}
	n := &node{at: t.at(y)}
	t.done[y] = nil
	switch y.Kind {
	case yaml.ScalarNode:
		t.scalar(n, y)
	case yaml.SequenceNode:
		n.kind = list
		for _, item := range y.Content {
			n.items = append(n.items, t.node(item))
		}
	case yaml.MappingNode:
		n.kind = mapping
		t.mapping(n, y)
	}
	t.done[y] = n
	return n
}

func (t *tree) alias(y *yaml.Node) *node {
	if n := t.done[y.Alias]; n != nil {
		return n
	}
	t.fault(t.at(y), fmt.Sprintf("*%s stands inside of what it refers to", y.Value), "write the value out")
	return &node{at: t.at(y), broken: true}
}

func (t *tree) scalar(n *node, y *yaml.Node) {
	if strings.HasPrefix(y.Tag, "!") && !strings.HasPrefix(y.Tag, "!!") || y.Tag == "!!binary" {
		t.fault(n.at, fmt.Sprintf("the tag %s means nothing here", y.Tag), "remove it")
	}
	if y.Tag == "!!null" {
		return
	}
	n.kind, n.tag = scalar, y.Tag
	text, p := expand(y.Value, t.env)
	if !p.none() {
		t.fault(n.at, p.what, p.remedy)
	}
	n.text, n.expanded, n.broken = text, text != y.Value, !p.none()
}

// mapping reads the entries; those of merge keys come last and give way to what is written out.
func (t *tree) mapping(n *node, y *yaml.Node) {
	seen := map[string]Position{}
	var merges []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		value := t.node(v)
		switch first, twice := seen[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			t.fault(t.at(k), "a key that is not a single value", "write a name")
		case k.Tag == "!!merge":
			merges = append(merges, t.mergeable(value)...)
		case twice:
			t.fault(t.at(k), fmt.Sprintf("%q is written twice, first at %d:%d", k.Value, first.Line, first.Col), "keep one of them")
		default:
			seen[k.Value] = t.at(k)
			n.entries = append(n.entries, entry{k.Value, t.at(k), t.place(k, v), value})
		}
	}
	for _, m := range merges {
		t.merge(n, m, seen)
	}
}

// place is the value when it begins on the key's line, else the key.
func (t *tree) place(key, value *yaml.Node) Position {
	if value.Line == key.Line && value.Tag != "!!null" {
		return t.at(value)
	}
	return t.at(key)
}

// mergeable is what stands behind a merge key: a mapping or a list of them.
func (t *tree) mergeable(n *node) []*node {
	from := []*node{n}
	if n.kind == list {
		from = n.items
	}
	for _, m := range from {
		if m.kind != mapping {
			t.fault(m.at, "<< takes over the keys of a mapping, and this is "+m.kind.String(), "write <<: *name of an anchored mapping")
			return nil
		}
	}
	return from
}

func (t *tree) merge(into, from *node, seen map[string]Position) {
	t.merged += len(from.entries)
	if t.merged > maxValues {
		if t.merged-len(from.entries) <= maxValues {
			t.tooMany(into.at)
		}
		return
	}
	for _, e := range from.entries {
		if _, own := seen[e.key]; !own {
			seen[e.key] = e.at
			into.entries = append(into.entries, e)
		}
	}
}

func (t *tree) tooMany(at Position) {
	t.fault(at, fmt.Sprintf("with every alias written out %s has more than %d values", wholeOf(t.foreign != ""), maxValues), "use fewer aliases")
}

// wholeOf names what is read as a whole.
func wholeOf(foreign bool) string {
	if foreign {
		return "the value"
	}
	return "the file"
}
