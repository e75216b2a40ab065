package protocol

import (
	"bytes"
	"errors"
	"math"
	"strconv"
)

// ErrValues says that a document has more values than were wanted.
var ErrValues = errors.New("JSON with more values than are read")

// Kind says what a [Value] is.
type Kind uint8

// The kinds of values. A Word is true, false or null; NaN and the infinities are numbers.
const (
	Word Kind = iota
	Number
	Text
	List
	Object
)

// Value is one value of a document that [Parse] read. It aliases the document.
type Value struct {
	Kind Kind
	// Name is that of a member of an object, as it reads without its escapes.
	Name []byte
	// Raw is a word or a number as written, or a text without its escapes.
	Raw []byte
	// Items are what a list or an object holds, in the document's order.
	Items []Value
}

// Parse reads a whole document of at most so many values, written as tolerantly as [Field] reads it. Of two members of one
// name the last counts, as for Python's readers. The error is [ErrSyntax], [ErrDepth] or [ErrValues].
func Parse(document []byte, values int) (Value, error) {
	p := parser{scanner: newScanner(document), left: values}
	v := p.value()
	if !p.ended() {
		p.fail(ErrSyntax)
	}
	return v, p.err
}

type parser struct {
	*scanner
	left int // values that may still be read
}

func (p *parser) value() (v Value) {
	if p.left--; p.left < 0 {
		p.fail(ErrValues)
		return v
	}
	switch p.peek() {
	case '{':
		v.Kind = Object
		for more := p.enter('}'); more; more = p.next('}') {
			name := p.name().value()
			member := p.value()
			member.Name = name
			v.put(member)
		}
	case '[':
		v.Kind = List
		for more := p.enter(']'); more; more = p.next(']') {
			v.Items = append(v.Items, p.value())
		}
	case '"':
		v.Kind, v.Raw = Text, p.text().value()
	default:
		if v.Raw = p.bare(); len(v.Raw) > 0 && v.Raw[0] != 't' && v.Raw[0] != 'f' && string(v.Raw) != "null" {
			v.Kind = Number
		}
	}
	return v
}

// put adds a member. Only small objects are searched for an earlier one of its name: those of large ones are no fields.
func (v *Value) put(member Value) {
	const small = 64
	for i := range v.Items[:min(small, len(v.Items))] {
		if bytes.Equal(v.Items[i].Name, member.Name) {
			v.Items[i] = member
			return
		}
	}
	v.Items = append(v.Items, member)
}

// Member is the object's member of that name; nil when it has none.
func (v *Value) Member(name []byte) *Value {
	if v.Kind != Object {
		return nil
	}
	for i := range v.Items {
		if bytes.Equal(v.Items[i].Name, name) {
			return &v.Items[i]
		}
	}
	return nil
}

// Float is a number's value, infinite where it is too large for 64 bits; NaN for everything that is no number.
func (v *Value) Float() float64 {
	if v.Kind != Number {
		return math.NaN()
	}
	f, _ := strconv.ParseFloat(string(v.Raw), 64) // an error leaves the infinity, or zero, that comes nearest
	return f
}
