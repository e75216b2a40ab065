package config

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// object is a piece of JSON Schema.
type object = map[string]any

// shape is what the schema and the reference page know of a value.
type shape struct {
	name    string // as people call it: "a duration"
	example string // one as it is written in the file
	schema  object // of scalars; the others are made from keys and each
	keys    []about
	each    *shape // the values of a list or a map
	orFalse bool   // false is taken, too: it means absent
	nearby  bool   // a file, which a key of Consul may name within the folder of the config file only
}

// kind is one sort of value: what it looks like, how it is read, and how it is written. read reports its own faults and
// says whether the value can be used. show leaves defaults out unless it is asked for all.
type kind[T any] struct {
	shape
	read func(r *reader, n *node, path string) (T, bool)
	show func(v T, all bool) *yaml.Node
}

// scalarOf makes a kind of single values from a function that judges one and a function that writes one.
func scalarOf[T any](s shape, judge func(n *node) (T, problem), write func(T) *yaml.Node) kind[T] {
	read := func(r *reader, n *node, path string) (T, bool) {
		var zero T
		if !r.wants(scalar, n, path, s) {
			return zero, false
		}
		v, p := judge(n)
		if !p.none() {
			r.fault(n.at, path+" "+p.what, p.remedy)
			return zero, false
		}
		return v, true
	}
	return kind[T]{s, read, func(v T, _ bool) *yaml.Node { return write(v) }}
}

// convert makes one kind from another by a function that judges further, and one that leads back.
func convert[A, B any](k kind[A], judge func(A) (B, problem), back func(B) A) kind[B] {
	read := func(r *reader, n *node, path string) (B, bool) {
		var zero B
		a, ok := k.read(r, n, path)
		if !ok {
			return zero, false
		}
		b, p := judge(a)
		if !p.none() {
			r.fault(n.at, path+" "+p.what, p.remedy)
			return zero, false
		}
		return b, true
	}
	return kind[B]{k.shape, read, func(v B, all bool) *yaml.Node { return k.show(back(v), all) }}
}

// narrow is convert for a kind that only takes fewer values.
func narrow[T any](k kind[T], judge func(T) (T, problem)) kind[T] {
	return convert(k, judge, func(v T) T { return v })
}

// orVariable lets a schema also take a reference to the environment, which only the program can resolve.
func orVariable(o object) object {
	return object{"anyOf": []any{o, object{"$ref": "#/$defs/variable"}}}
}

// whole is a whole number from least to most.
func whole(least, most int) kind[int] {
	return wholeOr(least, most, "write "+wholeRange(least, most))
}

// wholeOr is whole with a remedy of its own.
func wholeOr(least, most int, right string) kind[int] {
	s := shape{name: "whole number", example: strconv.Itoa(max(1, least)), schema: orVariable(object{"type": "integer", "minimum": least, "maximum": most})}
	return scalarOf(s, func(n *node) (int, problem) {
		v, err := strconv.Atoi(n.text)
		switch {
		case err != nil:
			return 0, problem{"is " + quote(n) + ", not a whole number", right}
		case n.tag == "!!str" && !n.expanded:
			return 0, problem{"is " + quote(n) + ", a text", "write " + n.text + " without quotes"}
		case v < least || v > most:
			return 0, problem{"is " + n.text, right}
		}
		return v, problem{}
	}, showWhole)
}

func wholeRange(least, most int) string {
	switch most {
	case least:
		return strconv.Itoa(least)
	case mostInts:
		return fmt.Sprintf("a whole number of %d or more", least)
	}
	return fmt.Sprintf("a whole number from %d to %d", least, most)
}

// amount is any finite number that is not negative.
var amount = scalarOf(
	shape{name: "number", example: "1.5", schema: orVariable(object{"type": "number", "minimum": 0})},
	func(n *node) (float64, problem) {
		v, err := strconv.ParseFloat(n.text, 64)
		switch {
		case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
			return 0, problem{"is " + quote(n) + ", not a finite number", "write a number such as 5 or 0.5, without a unit"}
		case n.tag == "!!str" && !n.expanded:
			return 0, problem{"is " + quote(n) + ", a text", "write " + n.text + " without quotes"}
		case v < 0 || math.Signbit(v):
			return 0, problem{"is " + n.text + ", a negative number", "write 0 or more"}
		}
		return v, problem{}
	}, showAmount)

// Weights of endpoints stay so far from the ends of what a number can be that neither a sum nor a quotient is infinite.
const leastWeight, mostWeight = 1e-6, 1e6

// endpointWeight is how much an endpoint bears, compared to others.
var endpointWeight = narrow(
	kind[float64]{
		shape{name: "number", example: "2", schema: orVariable(object{"type": "number", "minimum": leastWeight, "maximum": mostWeight})},
		amount.read, amount.show,
	},
	func(v float64) (float64, problem) {
		if v < leastWeight || v > mostWeight {
			return 0, problem{fmt.Sprintf("is %g", v), "write a number from 0.000001 to 1000000, such as 2; remove an endpoint that shall get nothing"}
		}
		return v, problem{}
	})

// Rates stay where the time between two requests can be counted in nanoseconds, and a burst of them in an int64.
const leastRate, mostRate = 0.001, 1e6

// rate is a number of requests a second.
var rate = narrow(
	kind[float64]{
		shape{name: "number", example: "50", schema: orVariable(object{"type": "number", "minimum": leastRate, "maximum": mostRate})},
		amount.read, amount.show,
	},
	func(v float64) (float64, problem) {
		if v < leastRate || v > mostRate {
			return 0, problem{fmt.Sprintf("is %g", v), "write a number from 0.001 to 1000000, such as 50; 0.1 is one in ten seconds"}
		}
		return v, problem{}
	})

// extraTries are the times a request may be sent again.
var extraTries = wholeOr(0, 2, "write 0, 1 or 2: a request is tried at most 3 times in all")

// status is that of a finished HTTP answer.
var status = whole(200, 599)

// jsonValue is a single value of a JSON document, as text.
var jsonValue = scalarOf(
	shape{name: "value", example: "ok", schema: object{"type": []string{"string", "number", "boolean"}}},
	func(n *node) (string, problem) { return n.text, problem{} }, showText)

const sharePattern = `^0*(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%$`

// share is a part of a whole, 0 to 1.
var share = scalarOf(
	shape{name: "share", example: `10%`, schema: orVariable(object{"anyOf": []any{
		object{"type": "string", "pattern": sharePattern},
		object{"type": "number", "minimum": 0, "maximum": 1},
	}})},
	func(n *node) (float64, problem) {
		percent, isPercent := strings.CutSuffix(n.text, "%")
		v, err := strconv.ParseFloat(percent, 64)
		if err != nil || math.IsNaN(v) || n.tag == "!!str" && !n.expanded && !isPercent {
			return 0, problem{"is " + quote(n) + ", not a share", `write a percentage such as 10%, or a number from 0 to 1`}
		}
		if isPercent {
			v /= 100
		}
		if v < 0 || v > 1 {
			return 0, problem{"is " + n.text + ", which is not between nothing and the whole", shareRemedy(v, isPercent)}
		}
		return v, problem{}
	}, showShare)

func shareRemedy(v float64, isPercent bool) string {
	if v > 1 && v <= 100 && !isPercent {
		return fmt.Sprintf("write %g%% if a percentage is meant", v)
	}
	return "write 0% to 100%, or a number from 0 to 1"
}

const durationPattern = `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`

// duration is a time span of at least least.
func duration(least time.Duration) kind[time.Duration] {
	s := shape{name: "duration", example: "500ms", schema: orVariable(object{"type": "string", "pattern": durationPattern})}
	return scalarOf(s, func(n *node) (time.Duration, problem) {
		if _, err := strconv.ParseFloat(n.text, 64); err == nil {
			return 0, problem{"is " + n.text + ", a number without a unit", fmt.Sprintf("write %ss if seconds are meant", n.text)}
		}
		v, err := time.ParseDuration(n.text)
		switch {
		case err != nil:
			return 0, problem{"is " + quote(n) + ", not a duration", `write one such as 500ms, 30s or 5m`}
		case v < least && least == 1:
			return 0, problem{"is " + n.text + ", which would leave no time at all", "write a duration above 0s"}
		case v < 0:
			return 0, problem{"is " + n.text + ", a negative duration", "write " + durationText(least) + " or more"}
		case v < least:
			return 0, problem{"is " + n.text + ", which is too short", "write " + durationText(least) + " or more"}
		}
		return v, problem{}
	}, showDuration)
}

// shortestInterval keeps probes from becoming a load.
const shortestInterval = 10 * time.Millisecond

const sizePattern = `^[0-9]+(\.[0-9]+)? ?(B|kB|MB|GB|KiB|MiB|GiB)?$`

var (
	sizeParts = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)$`)
	sizeUnits = map[string]float64{
		"": 1, "B": 1,
		"kB": 1e3, "MB": 1e6, "GB": 1e9,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	}
)

// size is a number of bytes from least to most.
func size[N int | int64](least, most N) kind[N] {
	s := shape{name: "size", example: "1MiB", schema: orVariable(object{"type": "string", "pattern": sizePattern})}
	return scalarOf(s, func(n *node) (N, problem) {
		if n.tag != "!!str" && !n.expanded {
			return 0, problem{"is " + n.text + ", a number without a unit", "write " + n.text + "B if bytes are meant, or a size such as 1MiB"}
		}
		v, p := parseSize(n.text)
		switch {
		case !p.none():
			return 0, p
		case v < float64(least) || v > float64(most):
			return 0, problem{"is " + n.text, fmt.Sprintf("write a size from %s to %s", sizeText(int64(least)), sizeText(int64(most)))}
		}
		return N(v), problem{}
	}, showSize)
}

func parseSize(text string) (float64, problem) {
	parts := sizeParts.FindStringSubmatch(text)
	if parts == nil {
		return 0, problem{fmt.Sprintf("is %q, not a size", text), "write one such as 64KiB or 1MiB"}
	}
	unit, known := sizeUnits[parts[2]]
	if !known {
		return 0, problem{fmt.Sprintf("has the unknown unit %q", parts[2]), "use B, KiB, MiB, GiB, kB, MB or GB"}
	}
	v, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return 0, problem{fmt.Sprintf("is %q, not a size", text), "write one such as 64KiB or 1MiB"}
	}
	return v * unit, problem{}
}

// yesOrNo is true or false.
var yesOrNo = scalarOf(
	shape{name: "true or false", example: "true", schema: orVariable(object{"type": "boolean"})},
	func(n *node) (bool, problem) {
		if (n.tag == "!!bool" || n.expanded) && (n.text == "true" || n.text == "false") {
			return n.text == "true", problem{}
		}
		return false, problem{"is " + quote(n), "write true or false"}
	}, showBool)

// text is a string that judge takes; judge may give it back in another form. The pattern is what the schema says of it.
func text(name, example, pattern string, judge func(string) (string, problem)) kind[string] {
	o := object{"type": "string"}
	if pattern != "" {
		o = orVariable(object{"type": "string", "pattern": pattern})
	}
	return scalarOf(shape{name: name, example: example, schema: o}, func(n *node) (string, problem) {
		if n.tag != "!!str" && !n.expanded {
			return "", problem{"is " + n.text + ", which YAML does not read as text", fmt.Sprintf("write %q with quotes", n.text)}
		}
		return judge(n.text)
	}, showText)
}

// word is one of a few.
func word(available []string) kind[string] {
	s := shape{name: strings.Join(available, " | "), example: available[0], schema: orVariable(object{"enum": asWritten(available)})}
	return scalarOf(s, func(n *node) (string, problem) {
		if slices.Contains(available, n.text) {
			return n.text, problem{}
		}
		if near := nearest(n.text, available); near != "" && strings.Trim(n.text, "0123456789") != "" {
			return "", problem{"is " + quote(n), fmt.Sprintf("did you mean %q?", near)}
		}
		return "", problem{"is " + quote(n), "write " + strings.Join(available, " or ")}
	}, showText)
}

// asWritten are words as YAML reads them without quotes and with.
func asWritten(words []string) (values []any) {
	for _, w := range words {
		values = append(values, w)
		if number, err := strconv.Atoi(w); err == nil {
			values = append(values, number)
		}
	}
	return values
}

// listOf is a list of at least least values. A value that cannot be used stays in as its zero.
func listOf[T any](k kind[T], least int) kind[[]T] {
	s := shape{name: "list of " + plural(k.name), example: "[" + k.example + "]", each: &k.shape, schema: object{"type": "array", "minItems": least}}
	read := func(r *reader, n *node, path string) ([]T, bool) {
		if !r.wants(list, n, path, s) {
			return nil, false
		}
		if len(n.items) < least {
			r.fault(n.at, path+" is empty", "write at least one, such as "+s.example)
			return nil, false
		}
		all, sound := make([]T, len(n.items)), true
		for i, item := range n.items {
			at := fmt.Sprintf("%s[%d]", path, i)
			r.stands(at, item.at)
			v, ok := k.read(r, item, at)
			all[i], sound = v, sound && ok
		}
		return all, sound
	}
	return kind[[]T]{s, read, func(v []T, all bool) *yaml.Node { return showList(v, all, k) }}
}

// plural leaves words that stand for themselves alone.
func plural(name string) string {
	if strings.Contains(name, "|") {
		return name
	}
	return name + "s"
}

// oneOrMore is a list that may be written without brackets when it has one value.
func oneOrMore[T any](k kind[T]) kind[[]T] {
	many := listOf(k, 1)
	s := shape{
		name: k.name + ", or a list of them", example: k.example,
		schema: object{"anyOf": []any{k.asSchema(), many.asSchema()}},
	}
	read := func(r *reader, n *node, path string) ([]T, bool) {
		if n.kind == list {
			return many.read(r, n, path)
		}
		v, ok := k.read(r, n, path)
		return []T{v}, ok
	}
	return kind[[]T]{s, read, many.show}
}

// mapOf is a mapping whose keys are names that judge takes, perhaps in another form. A value that cannot be used stays
// in as its zero.
func mapOf[T any](k kind[T], names string, judge func(string) (string, problem)) kind[map[string]T] {
	s := shape{
		name: "mapping of " + plural(k.name), example: "{name: " + k.example + "}", each: &k.shape,
		schema: object{"type": "object", "propertyNames": object{"pattern": names}},
	}
	read := func(r *reader, n *node, path string) (map[string]T, bool) {
		if !r.wants(mapping, n, path, s) {
			return nil, false
		}
		all, sound := make(map[string]T, len(n.entries)), true
		for _, e := range n.entries {
			name, p := judge(e.key)
			if _, twice := all[name]; twice && p.none() {
				p = problem{"is there twice", "keep one of them; upper and lower case mean the same here"}
			}
			if !p.none() {
				r.fault(e.at, join(path, e.key)+" "+p.what, p.remedy)
				sound = false
				continue
			}
			r.stands(join(path, name), e.place)
			v, ok := k.read(r, e.value, join(path, name))
			all[name], sound = v, sound && ok
		}
		return all, sound
	}
	return kind[map[string]T]{s, read, func(v map[string]T, all bool) *yaml.Node { return showMap(v, all, k) }}
}

// pointer is for what is nil when absent.
func pointer[T any](k kind[T]) kind[*T] {
	read := func(r *reader, n *node, path string) (*T, bool) {
		v, ok := k.read(r, n, path)
		return &v, ok
	}
	return kind[*T]{k.shape, read, func(v *T, all bool) *yaml.Node { return k.show(*v, all) }}
}

// orOff takes false for what is nil when absent, so that what a merge key brought can be switched off again.
func orOff[T any](k kind[*T]) kind[*T] {
	on := k.read
	k.read = func(r *reader, n *node, path string) (*T, bool) {
		if n.kind == scalar && n.text == "false" {
			return nil, true
		}
		return on(r, n, path)
	}
	k.orFalse = true
	return k
}

// orNothing takes a key without a value for one that is absent.
func orNothing(k kind[string]) kind[string] {
	read := k.read
	k.read = func(r *reader, n *node, path string) (string, bool) {
		if n.kind == nothing {
			return "", true
		}
		return read(r, n, path)
	}
	k.schema = object{"anyOf": []any{k.schema, object{"type": "null"}}}
	return k
}

func quote(n *node) string { return shorten(n.text) }

// shorten quotes what a file says wrongly, as far as it helps to recognise it.
func shorten(text string) string {
	const most = 60
	if len(text) > most {
		return strconv.Quote(text[:most]) + "..."
	}
	return strconv.Quote(text)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
