package protocol

import (
	"errors"
	"math"
	"slices"
	"strconv"
)

// Bounds of what is read of one document: its bytes, and the values and names in it.
const (
	maxDocument = 64 << 20
	maxNodes    = 1 << 20
)

var errTooLarge = errors.New("JSON of more than 64 MiB or 1,048,576 values; send less at once")

// document is JSON that was read once, from front to back, as a list of its values in the order they stand. It keeps its memory
// from one document to the next, and aliases the bytes it was made from. Of a document that is cut short it has all that was whole.
type document struct {
	scanner
	nodes   []node
	scratch []byte // an unescaped string
}

// node is a value, or a member's name, which stands before its value.
type node struct {
	kind    kind
	partial bool   // the document ends, or is faulty, within it
	at, end uint32 // where it stands, strings without their quotes; of containers, end is how many elements or members there are
	next    uint32 // the node after it and all that is in it
}

type kind uint8

const (
	absent kind = iota
	object
	array
	plainString
	escapedString
	numeral
	truth // true or false
	null
	notNumber
	infinite
)

// read takes a document in, and reports what is wrong with it: [ErrSyntax], [ErrDepth] or that it is too large.
func (d *document) read(body []byte) error {
	d.nodes = d.nodes[:0]
	d.scanner = *newScanner(body[:min(len(body), maxDocument)])
	d.value()
	if !d.ended() {
		d.fail(ErrSyntax)
	}
	if len(body) > maxDocument {
		return errTooLarge
	}
	return d.err
}

// root is the whole document.
func (d *document) root() value {
	if len(d.nodes) == 0 {
		return value{}
	}
	return value{d, 0}
}

func (d *document) value() {
	switch n := len(d.nodes); {
	case n >= maxNodes:
		d.fail(errTooLarge)
		return
	case n == cap(d.nodes): // doubled: append would leave several times as much behind on the way to a large document
		d.nodes = slices.Grow(d.nodes, min(max(n, 64), maxNodes-n))
	}
	switch d.peek() {
	case '{':
		d.object()
	case '[':
		d.array()
	case '"':
		d.string()
	default:
		d.token()
	}
}

func (d *document) object() {
	i, n := d.open(object), uint32(0)
	for more := d.enter('}'); more; more = d.next('}') {
		name := len(d.nodes)
		d.string()
		if d.peek() != ':' {
			d.fail(ErrSyntax)
		} else {
			d.at++
		}
		if d.err == nil {
			d.value()
		}
		if len(d.nodes) < name+2 { // a name without a value
			d.nodes = d.nodes[:name]
			break
		}
		n++
	}
	d.close(i, n)
}

func (d *document) array() {
	i, n := d.open(array), uint32(0)
	for more := d.enter(']'); more; more = d.next(']') {
		before := len(d.nodes)
		d.value()
		if len(d.nodes) > before {
			n++
		}
	}
	d.close(i, n)
}

func (d *document) open(k kind) int {
	d.nodes = append(d.nodes, node{kind: k, at: uint32(d.at)})
	return len(d.nodes) - 1
}

func (d *document) close(i int, n uint32) {
	c := &d.nodes[i]
	c.end, c.next, c.partial = n, uint32(len(d.nodes)), d.err != nil
}

func (d *document) string() {
	t := d.text()
	if d.err != nil {
		return
	}
	k := plainString
	if t.escaped {
		k = escapedString
	}
	end := d.at - 1
	d.leaf(k, end-len(t.raw), end)
}

func (d *document) token() {
	end := d.at + leadingNumber(d.data[d.at:])
	if end > d.at && end < len(d.data) && ends[d.data[end]] { // what most tokens are, and it is whole
		d.leaf(numeral, d.at, end)
		d.at = end
		return
	}
	token := d.bare()
	if d.at == len(d.data) && d.depth > 0 { // perhaps it would go on
		d.fail(ErrSyntax)
	}
	if d.err == nil {
		d.leaf(kindOf(token), d.at-len(token), d.at)
	}
}

func (d *document) leaf(k kind, at, end int) {
	d.nodes = append(d.nodes, node{kind: k, at: uint32(at), end: uint32(end), next: uint32(len(d.nodes) + 1)})
}

// kindOf tells by a token's first letters what it is.
func kindOf(token []byte) kind {
	c := token[0]
	if c == '+' || c == '-' {
		c = token[1]
	}
	switch c {
	case 't', 'f':
		return truth
	case 'N':
		return notNumber
	case 'I', 'i':
		return infinite
	case 'n':
		if token[len(token)-1] == 'n' {
			return notNumber
		}
		return null
	}
	return numeral
}

// value is one value of a document. The zero value is one that is absent.
type value struct {
	d *document
	i uint32
}

func (v value) node() *node { return &v.d.nodes[v.i] }

func (v value) kind() kind {
	if v.d == nil {
		return absent
	}
	return v.node().kind
}

// partial says that the document ends within the value.
func (v value) partial() bool { return v.d != nil && v.node().partial }

func (v value) isString() bool { return v.kind() == plainString || v.kind() == escapedString }

// len is how many elements or members there are.
func (v value) len() int {
	if k := v.kind(); k != object && k != array {
		return 0
	}
	return int(v.node().end)
}

// elements are those of an array. That the compiler can inline it is worth a tenth of the time that a tensor takes.
func (v value) elements(yield func(value) bool) {
	if v.d != nil && v.node().kind == array {
		for i := v.i + 1; i < v.node().next && yield(value{v.d, i}); i = v.d.nodes[i].next {
		}
	}
}

// members are those of an object, as they stand; a name may occur twice.
func (v value) members(yield func(name, member value) bool) {
	if v.kind() != object {
		return
	}
	end := v.node().next
	for i := v.i + 1; i < end; i = v.d.nodes[i+1].next {
		if !yield(value{v.d, i}, value{v.d, i + 1}) {
			return
		}
	}
}

// member is that of an object with a name; of several the last, as Python's readers have it.
func (v value) member(name string) (found value) {
	for n, m := range v.members {
		if n.written().equal(name) {
			found = m
		}
	}
	return found
}

// element is one of an array, counted from 0.
func (v value) element(i int) value {
	for e := range v.elements {
		if i == 0 {
			return e
		}
		i--
	}
	return value{}
}

// raw is a scalar as it is written, a string without its quotes.
func (v value) raw() []byte {
	n := v.node()
	return v.d.data[n.at:n.end]
}

func (v value) written() text { return text{v.raw(), v.kind() == escapedString} }

// quoted is a string as it stands between its quotes; empty of all else.
func (v value) quoted() text {
	if !v.isString() {
		return text{}
	}
	return v.written()
}

// text is what a string says, valid until the next call; nil of all else.
func (v value) text() []byte {
	switch v.kind() {
	case plainString:
		return v.raw()
	case escapedString:
		v.d.scratch = v.written().appendTo(v.d.scratch[:0])
		return v.d.scratch
	}
	return nil
}

// scalar is what a string says, or a number or truth as it is written; nil of all else. It is valid until the next call.
func (v value) scalar() []byte {
	if k := v.kind(); k == numeral || k == truth {
		return v.raw()
	}
	return v.text()
}

// number is that of a numeral, NaN or infinity.
func (v value) number() (x float64, ok bool) {
	switch v.kind() {
	case numeral:
		return parseNumber(v.raw()), true
	case notNumber:
		return math.NaN(), true
	case infinite:
		if v.raw()[0] == '-' {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	}
	return 0, false
}

// integer is that of a numeral without fraction that an int can hold.
func (v value) integer() (n int, ok bool) {
	x, ok := v.number()
	if !ok || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, false
	}
	return int(x), true
}

// whole says that a numeral is written without fraction and exponent.
func (v value) whole() bool {
	return v.kind() == numeral && !slices.ContainsFunc(v.raw(), func(c byte) bool { return c == '.' || c == 'e' || c == 'E' })
}

// tens are the powers of ten that a float64 holds exactly.
var tens = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// parseNumber reads a number of RFC 8259. One of 15 digits or less, divided by a power of ten that a float64 holds exactly, is
// exact (Clinger, How to Read Floating Point Numbers Accurately, 1990); all others are left to strconv.
func parseNumber(token []byte) float64 {
	digits, fraction, mantissa := 0, 0, uint64(0)
	point := false
	for i, c := range token {
		switch {
		case c-'0' <= 9:
			digits++
			mantissa = mantissa*10 + uint64(c-'0')
			if point {
				fraction++
			}
		case c == '.':
			point = true
		case c != '-' || i > 0:
			digits = len(tens) // an exponent
		}
	}
	if digits > 15 {
		x, _ := strconv.ParseFloat(string(token), 64) // beyond its range it is infinite, as it should be
		return x
	}
	x := float64(mantissa) / tens[fraction]
	if token[0] == '-' {
		return -x
	}
	return x
}
