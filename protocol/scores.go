package protocol

import (
	"bytes"
	"math"
)

// tensor reads one output, row by row. Of rows beyond those that are kept in detail, only the first output is judged.
func (p *predictions) tensor(f *Facts, outputs []Output, of *tensor, rows int, first bool) {
	each, i := max(of.count/rows, 1), 0
	o := &f.room.spare
	r := tensorRow{of: of, all: f.room.floats[:0]}
	for e := range of.elements {
		row := i / each
		if row == rows {
			break
		}
		if i%each == 0 {
			if o = &f.room.spare; row < len(outputs) {
				o = &outputs[row]
			} else {
				o.reset()
			}
			r.all, r.n = r.all[:0], 0
		}
		r.add(f, o, e)
		if i++; i%each == 0 {
			p.finish(f, o, &r)
			if first && row >= len(outputs) {
				f.settle(o)
			}
		}
	}
	f.room.floats = r.all
}

// tensorRow is what one output says of one row.
type tensorRow struct {
	of  *tensor
	n   int       // elements
	all []float64 // those that are numbers
}

func (r *tensorRow) add(f *Facts, o *Output, e element) {
	r.n++
	x, isNumber := e.x, !e.isText
	if e.kind() != absent {
		x, isNumber = e.value.number()
	}
	switch {
	case isNumber && (math.IsNaN(x) || math.IsInf(x, 0)):
		o.miss(MissingNaN)
	case isNumber:
		r.all = append(r.all, x)
	case e.kind() == null:
		o.miss(MissingNull)
	case e.kind() == truth && r.n == 1:
		o.Class = f.name(e.value)
	case r.n == 1 && e.isText:
		o.rank(f, e.s)
	case r.n == 1 && e.isString():
		o.rank(f, e.text())
	}
}

// finish judges the numbers of a row: one is a class or a value, several are one number a class, unless they have dimensions of
// their own, as boxes have.
func (p *predictions) finish(f *Facts, o *Output, r *tensorRow) {
	whole := r.of.kind.kind == wholeNumber || r.of.kind.kind == unsigned
	switch {
	case o.Missing != MissingNone || len(r.all) == 0:
	case len(r.all) == 1 && whole:
		o.Value, o.HasValue = r.all[0], true
		o.Class = f.room.names.index(int(r.all[0]))
	case len(r.all) == 1:
		o.Value, o.HasValue = r.all[0], true
		if o.ConfidenceKind == NoConfidence {
			o.binary(p.squash(o.Value))
		}
	case !whole && r.of.rank <= 2 && len(o.Probs) == 0:
		p.judge(f, o, r.all)
	}
}

// rank reads a string: of the classification extension, "0.83:281:tabby", value, index and perhaps a label that may hold colons
// itself; or any other. The best is the first of its row.
func (o *Output) rank(f *Facts, s []byte) {
	score, rest, _ := bytes.Cut(s, []byte(":"))
	index, label, labelled := bytes.Cut(rest, []byte(":"))
	o.Class = "" // which may have been a mere index
	if !number(score) || len(index) == 0 || digits(index) != len(index) {
		o.say(f, s)
		return
	}
	if !labelled {
		label = index
	}
	o.Class = f.room.names.intern(label)
	o.trust(parseNumber(score))
}
