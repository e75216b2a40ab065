package protocol

import (
	"bytes"
	"math"
	"unicode/utf8"
)

// predictions reads what was predicted, row by row, from the shapes that handlers are wont to give it.
type predictions struct {
	output string // the one of several outputs that is read; empty: what looks like the prediction
	scores string // what numbers that are no probabilities are: softmax or sigmoid of them is taken; empty: nothing is
}

// longestClass bounds a string that is taken for a label, in bytes; longer ones are text.
const longestClass = 64

// output is room for the prediction of one more row; beyond MaxRows it is always the same.
func (f *Facts) output() *Output {
	if len(f.Outputs) >= MaxRows {
		f.room.spare.reset()
		return &f.room.spare
	}
	if n := len(f.Outputs); n < cap(f.Outputs) {
		f.Outputs = f.Outputs[:n+1]
	} else {
		f.Outputs = append(f.Outputs, Output{})
	}
	o := &f.Outputs[len(f.Outputs)-1]
	o.reset()
	return o
}

func (o *Output) reset() { *o = Output{Text: o.Text[:0], Probs: o.Probs[:0]} }

// miss notes why there is no prediction.
func (o *Output) miss(why MissingReason) {
	if o.Missing == MissingNone {
		o.Missing = why
	}
}

// settle counts a row's prediction as missing, if it is.
func (f *Facts) settle(o *Output) {
	if o.Missing != MissingNone {
		f.OutputsMissing[o.Missing]++
	}
}

// rows reads an array with one prediction a row, or one prediction. Those that the cut goes through are not counted.
func (p *predictions) rows(f *Facts, v value) {
	if v.kind() != array {
		p.row(f, v)
		return
	}
	if v.len() == 0 && !v.partial() {
		f.noOutputs(MissingEmpty)
		return
	}
	n := 0
	for e := range v.elements {
		p.row(f, e)
		n++
	}
	if !v.partial() {
		f.tooFew(n)
	}
}

// tooFew notes how many rows have no prediction among n.
func (f *Facts) tooFew(n int) { f.OutputsMissing[MissingTooFewRows] += max(0, f.Rows-n) }

func (p *predictions) row(f *Facts, v value) {
	if v.partial() {
		return
	}
	o := f.output()
	p.read(f, o, v)
	f.settle(o)
}

// columns reads an object with an array of predictions for each of several outputs: {"labels": [..], "scores": [..]}.
func (p *predictions) columns(f *Facts, v value) {
	n := 0
	for _, column := range v.members {
		n = max(n, column.len())
	}
	first := len(f.Outputs)
	for range min(n, MaxRows-first) {
		f.output()
	}
	for name, column := range v.members {
		i := first
		for e := range column.elements {
			if i == len(f.Outputs) || e.partial() {
				break
			}
			p.part(f, &f.Outputs[i], roleOf(name, e), e)
			i++
		}
	}
	for i := first; i < len(f.Outputs); i++ {
		f.settle(&f.Outputs[i])
	}
	if !v.partial() {
		f.tooFew(n)
	}
}

// read reads the prediction of one row.
func (p *predictions) read(f *Facts, o *Output, v value) {
	switch v.kind() {
	case absent:
		o.miss(MissingAbsent)
	case null:
		o.miss(MissingNull)
	case notNumber, infinite:
		o.miss(MissingNaN)
	case numeral:
		p.number(f, o, v)
	case truth:
		o.Class = f.name(v)
	case plainString, escapedString:
		o.say(f, v.text())
	case array:
		p.list(f, o, v)
	case object:
		p.object(f, o, v)
	}
}

// number takes a whole number for a class, and one within 0 and 1 for the probability of one of two.
func (p *predictions) number(f *Facts, o *Output, v value) {
	o.Value, o.HasValue = parseNumber(v.raw()), true
	if v.whole() {
		if o.Class == "" {
			o.Class = f.name(v)
		}
		return
	}
	if o.ConfidenceKind == NoConfidence {
		o.binary(p.squash(o.Value))
	}
}

// squash makes a probability of a logit, if such the route has.
func (p *predictions) squash(x float64) float64 {
	if p.scores == "sigmoid" {
		return 1 / (1 + math.Exp(-x))
	}
	return x
}

// binary takes x for the probability of one of two classes, if it can be one.
func (o *Output) binary(x float64) {
	if x >= 0 && x <= 1 {
		o.Confidence, o.ConfidenceKind = max(x, 1-x), Probability
	}
}

// say takes a string for a text and, if it is short, for a label.
func (o *Output) say(f *Facts, s []byte) {
	if len(s) == 0 {
		o.miss(MissingEmpty)
		return
	}
	if len(s) <= longestClass && bytes.IndexByte(s, '\n') < 0 && o.Class == "" {
		o.Class = f.room.names.intern(s)
	}
	o.Text = appendCut(o.Text[:0], s, maxText)
}

// appendCut appends at most limit bytes of s, and no half character.
func appendCut(to, s []byte, limit int) []byte {
	if len(s) > limit {
		s = s[:limit]
		for n := 0; n < utf8.UTFMax && len(s) > 0 && !utf8.Valid(s[len(s)-1-n:]); n++ {
			if utf8.RuneStart(s[len(s)-1-n]) {
				s = s[:len(s)-1-n]
				break
			}
		}
	}
	return append(to, s...)
}

// list reads one number or string, a vector of numbers, a class by rank, or pairs of label and score.
func (p *predictions) list(f *Facts, o *Output, v value) {
	first := v.element(0)
	switch {
	case v.len() == 0:
		o.miss(MissingEmpty)
	case v.len() == 1:
		p.read(f, o, first)
	case first.isString():
		o.say(f, first.text())
	case first.kind() == array && first.len() == 2 && first.element(0).isString():
		p.pairs(f, o, v)
	case first.kind() == object:
		p.ranked(f, o, v)
	case first.kind() == array:
		if hasGap(v) {
			o.miss(MissingNaN)
		}
	default:
		p.vector(f, o, v, value{})
	}
}

// hasGap says that anything within v is null or no finite number.
func hasGap(v value) bool {
	for i := v.i; i < v.node().next; i++ {
		if k := v.d.nodes[i].kind; k == null || k == notNumber || k == infinite {
			return true
		}
	}
	return false
}

// vector reads one number a class; labels may name them.
func (p *predictions) vector(f *Facts, o *Output, v, labels value) {
	best, at := math.Inf(-1), 0
	all := f.room.floats[:0]
	for e := range v.elements {
		x, ok := e.number()
		if !ok || math.IsNaN(x) || math.IsInf(x, 0) {
			o.miss(MissingNaN)
			return
		}
		if x > best {
			best, at = x, len(all)
		}
		all = append(all, x)
	}
	f.room.floats = all
	p.judge(f, o, all)
	if labels.kind() == array && at < labels.len() {
		o.Class = f.name(labels.element(at))
	}
}

// judge takes numbers, one a class, for probabilities if they can be such, and for scores else. It changes all.
func (p *predictions) judge(f *Facts, o *Output, all []float64) {
	if len(all) == 0 {
		o.miss(MissingEmpty)
		return
	}
	kind := p.normalise(all)
	best := 0
	for i, x := range all {
		if x > all[best] {
			best = i
		}
	}
	o.Probs = append(o.Probs[:0], all[:min(len(all), maxProbs)]...)
	o.Confidence, o.ConfidenceKind = all[best], kind
	if kind == Probability && o.Class == "" {
		o.Class = f.room.names.index(best)
	}
}

// normalise says what the numbers are, once the route's function is applied to them.
func (p *predictions) normalise(all []float64) ConfidenceKind {
	if isDistribution(all, 0.01) {
		return Probability
	}
	switch p.scores {
	case "softmax":
		softmax(all)
		return Probability
	case "sigmoid":
		for i := range all {
			all[i] = p.squash(all[i])
		}
		return Probability
	}
	return Score
}

// isDistribution says that all are at least 0, and their sum is 1 give or take the tolerance.
func isDistribution(all []float64, tolerance float64) bool {
	sum := 0.0
	for _, x := range all {
		if x < 0 {
			return false
		}
		sum += x
	}
	return math.Abs(sum-1) <= tolerance+1e-9
}

func softmax(all []float64) {
	top, sum := math.Inf(-1), 0.0
	for _, x := range all {
		top = max(top, x)
	}
	for i, x := range all {
		all[i] = math.Exp(x - top)
		sum += all[i]
	}
	for i := range all {
		all[i] /= sum
	}
}

// pairs reads [["tabby", 0.83], ["lynx", 0.1]].
func (p *predictions) pairs(f *Facts, o *Output, v value) {
	var label value
	best := math.Inf(-1)
	for e := range v.elements {
		x, ok := e.element(1).number()
		if !ok || math.IsNaN(x) || math.IsInf(x, 0) {
			o.miss(MissingNaN)
			return
		}
		if x > best {
			best, label = x, e.element(0)
		}
	}
	o.Class = f.name(label)
	o.trust(best)
}

// trust takes the score of the best class for a confidence.
func (o *Output) trust(x float64) {
	o.Confidence, o.ConfidenceKind = x, Score
	if x >= 0 && x <= 1 {
		o.ConfidenceKind = Probability
	}
}

// ranked reads [{"label": "tabby", "score": 0.83}, ..]: the best of them.
func (p *predictions) ranked(f *Facts, o *Output, v value) {
	best, at := math.Inf(-1), v.element(0)
	for e := range v.elements {
		for name, member := range e.members {
			if x, ok := member.number(); ok && roleOf(name, member) == confidenceRole && x > best {
				best, at = x, e
			}
		}
	}
	p.read(f, o, at)
}
