package protocol

import (
	"bytes"
	"math"
	"unicode/utf8"
)

// table counts what the rows of a request hold, as they are read one by one, or column by column. Its totals go to the facts at once, but
// for what is absent, which only end knows.
type table struct {
	f       *Facts
	columns *columns // of the route; nil where rows have no names
	missing *sentinels
	past    []column // what the columns were before
	rows    int      // how many rows that was learned from

	present [MaxFeatures]column
	hint    int      // where the next name may be, since rows are much alike
	masks   []uint64 // for every row by names without a missing value: the set of features it has
	gaps    []bool   // for every row by columns: whether a value is missing

	// Of the row being read.
	mask                   uint64
	first, gap, worded     bool
	chars, elements, blobs int
	preferred              bool // the query has the name of one
}

// unnamed stands for a value whose feature has no name, or is beyond those that are told apart.
const unnamed = -1

// table begins to read a request.
func (f *Facts) table(c *columns, missing *sentinels) *table {
	t := &f.room.table
	*t = table{f: f, columns: c, missing: missing, past: t.past, masks: t.masks[:0], gaps: t.gaps[:0]}
	if c != nil {
		t.rows, t.past = c.recall(t.past)
	}
	return t
}

// all reads an array of rows. One that the cut goes through is none.
func (t *table) all(rows value) {
	for r := range rows.elements {
		if !r.partial() {
			t.row(r)
		}
	}
}

// row reads an object of features, or values without names.
func (t *table) row(v value) {
	t.begin()
	if v.kind() == object && !isBlob(v) {
		for name, member := range v.members {
			t.cell(t.slot(name.written(), member), member)
		}
		t.finish(true)
		return
	}
	t.cell(unnamed, v)
	t.finish(false)
}

// named reads an array whose values have the names of the columns, in their order.
func (t *table) named(v, names value) {
	t.begin()
	i := v.i + 1
	for name := range names.elements {
		member := value{}
		if v.kind() == array && i < v.node().next {
			member = value{v.d, i}
			i = v.d.nodes[i].next
		}
		if slot := t.slot(name.written(), member); member.kind() != absent {
			t.cell(slot, member)
		}
	}
	t.finish(true)
}

func (t *table) begin() {
	t.first = t.f.Rows == 0
	t.hint, t.mask, t.gap, t.worded, t.chars, t.elements, t.blobs = 0, 0, false, false, 0, 0, 0
}

func (t *table) finish(named bool) {
	t.f.Rows++
	switch {
	case t.gap:
		t.f.RowsMissing++
	case named:
		t.masks = append(t.masks, t.mask)
	}
	t.length()
}

// length notes how much the row holds.
func (t *table) length() {
	if len(t.f.Lengths) == MaxRows {
		return
	}
	l := Length{Elements, t.elements}
	if t.worded {
		l = Length{Chars, t.chars}
	} else if t.blobs > 0 {
		l = Length{Bytes, t.blobs}
	}
	t.f.Lengths = append(t.f.Lengths, l)
}

// slot is the place of the feature with a name, in the order in which they came, and notes that the row has it.
func (t *table) slot(name text, v value) int {
	slot := t.find(name)
	if slot == unnamed || v.kind() == absent {
		return slot
	}
	if bit := uint64(1) << slot; t.mask&bit == 0 {
		t.mask |= bit
		t.present[slot].rows++
	}
	return slot
}

func (t *table) find(name text) int {
	features := t.f.Features
	if t.hint < len(features) && name.equal(features[t.hint].Name) {
		t.hint++
		return t.hint - 1
	}
	for i := range features {
		if name.equal(features[i].Name) {
			t.hint = i + 1
			return i
		}
	}
	return t.add(name.value())
}

// add makes room for one more feature.
func (t *table) add(name []byte) int {
	slot := len(t.f.Features)
	if slot == MaxFeatures {
		return unnamed
	}
	t.f.Features = append(t.f.Features, Feature{Name: t.f.room.names.intern(name)})
	t.present[slot].name = t.f.Features[slot].Name
	return slot
}

// cell reads a value, or all values within it.
func (t *table) cell(slot int, v value) {
	switch v.kind() {
	case array:
		t.f.imageIn(v)
		for e := range v.elements {
			t.cell(slot, e)
		}
	case object:
		if isBlob(v) {
			t.text(slot, v.member("b64").text(), true)
			return
		}
		for _, member := range v.members {
			t.cell(slot, member)
		}
	case plainString, escapedString:
		t.text(slot, v.text(), false)
	case numeral:
		x := parseNumber(v.raw())
		t.number(slot, x, t.missing.hasNumber(x))
	case infinite:
		t.number(slot, math.Inf(1), false)
	case null, notNumber:
		t.number(slot, 0, true)
	case truth:
		t.number(slot, 0, false)
	}
}

// isBlob says that an object is one of TF Serving's binary values.
func isBlob(v value) bool { return v.kind() == object && v.len() == 1 && v.member("b64").isString() }

// number counts a value that is no text.
func (t *table) number(slot int, x float64, missing bool) {
	t.elements++
	infinite := math.IsInf(x, 0)
	if infinite {
		t.f.NonFinite++
	}
	t.count(slot, missing)
	if slot == unnamed || missing || infinite {
		return
	}
	t.present[slot].numbers++
	feature := &t.f.Features[slot]
	feature.Numbers++
	feature.Sum += x
}

// text counts a string, which may be a picture.
func (t *table) text(slot int, s []byte, blob bool) {
	t.elements++
	if size, image := t.f.imageWithin(s, blob); image || blob {
		t.blobs += size
		t.count(slot, len(s) == 0)
		return
	}
	t.worded = true
	if len(s) == 0 || t.missing.has(s) || t.noNumber(slot, s) {
		t.count(slot, true)
		return
	}
	n := utf8.RuneCount(s)
	t.chars += n
	t.count(slot, false)
	t.query(slot, s)
	if slot != unnamed {
		t.present[slot].strings++
		t.f.Features[slot].Chars += n
	}
}

func (t *table) count(slot int, missing bool) {
	t.f.Values++
	if missing {
		t.f.ValuesMissing++
		t.gap = true
	}
	if slot == unnamed {
		return
	}
	t.f.Features[slot].Values++
	if missing {
		t.f.Features[slot].Missing++
	}
}

// noNumber says that a string stands for a missing number: it may, unless the column is one of text.
func (t *table) noNumber(slot int, s []byte) bool {
	if string(s) != "NaN" && string(s) != "nan" && string(s) != "null" {
		return false
	}
	if slot == unnamed {
		return true
	}
	seen := t.present[slot]
	for i := range t.past {
		if t.past[i].name == seen.name {
			seen.numbers += t.past[i].numbers
			seen.strings += t.past[i].strings
		}
	}
	return seen.numbers >= seen.strings
}

// query keeps the text of the first row that a user may have typed: what is named like one, else the longest.
func (t *table) query(slot int, s []byte) {
	f := t.f
	if !t.first || t.preferred {
		return
	}
	t.preferred = slot != unnamed && isQuery(f.Features[slot].Name)
	if !t.preferred && len(s) <= len(f.Query) {
		return
	}
	f.ask(s)
}

func isQuery(name string) bool {
	switch name {
	case "query", "q", "text", "prompt", "question", "text_input":
		return true
	}
	return false
}

// ask keeps what was asked in words, but no half character.
func (f *Facts) ask(s []byte) {
	if len(s) == 0 {
		return
	}
	if len(s) > maxQuery {
		s = bytes.ToValidUTF8(s[:maxQuery], nil)
	}
	f.Query = append(f.room.query[:0], s...)
	f.room.query = f.Query
}

// column reads one value, or array of values, for each row. Rows are as many as the longest column has.
func (t *table) column(name text, rows value) {
	slot := t.find(name)
	i := 0
	for r := range rows.elements {
		if r.partial() {
			break
		}
		t.begin()
		t.first = i == 0
		t.cell(slot, r)
		t.at(i)
		i++
	}
	if slot != unnamed {
		t.present[slot].rows = i
	}
}

// at notes in row i what its value in one column holds.
func (t *table) at(i int) {
	if i == len(t.gaps) {
		t.gaps = append(t.gaps, false)
		t.f.Rows++
		t.length()
		if t.gap {
			t.f.RowsMissing++
		}
		t.gaps[i] = t.gap
		return
	}
	if t.gap && !t.gaps[i] {
		t.gaps[i] = true
		t.f.RowsMissing++
	}
	if i < len(t.f.Lengths) {
		t.lengthen(&t.f.Lengths[i])
	}
}

// lengthen adds a further column to a row's length: text counts for more than numbers.
func (t *table) lengthen(l *Length) {
	switch {
	case t.worded && l.Kind == Chars:
		l.N += t.chars
	case t.worded:
		*l = Length{Chars, t.chars}
	case l.Kind == Elements && t.blobs > 0:
		*l = Length{Bytes, t.blobs}
	case l.Kind == Elements:
		l.N += t.elements
	case l.Kind == Bytes:
		l.N += t.blobs
	}
}

// end counts what is absent: of the features that any row of the request has, and those that most rows of the route had.
func (t *table) end(expected []string) {
	f := t.f
	if len(t.masks) == 0 && len(f.Features) == 0 {
		return
	}
	if t.columns != nil && f.Rows > 0 {
		t.columns.learn(f.Rows, t.present[:len(f.Features)])
		t.expect(expected)
	}
	whole := uint64(1)<<len(f.Features) - 1
	for _, mask := range t.masks {
		if mask != whole {
			f.RowsMissing++
		}
	}
	for i := range f.Features {
		n := f.Rows - t.present[i].rows
		f.Features[i].Values += n
		f.Features[i].Missing += n
		f.Values += n
		f.ValuesMissing += n
	}
}

// expect adds the features that no row has, but should.
func (t *table) expect(expected []string) {
	for _, name := range expected {
		t.find(text{raw: []byte(name)})
	}
	if expected != nil {
		return
	}
	for i := range t.past {
		if t.past[i].rows*2 > t.rows {
			t.find(text{raw: []byte(t.past[i].name)})
		}
	}
}
