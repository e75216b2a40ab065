package protocol

import (
	"unicode/utf8"
)

func init() {
	register("json", extractsPaths, func(x *Extract) Adapter { return newGeneric(x) })
}

// generic reads JSON by the paths that the config gives; without paths an array is taken for rows, and all else for one. Images, texts, CSV
// and lines of JSON are read for what they are.
type generic struct {
	*extract
	rows, text, image                       path // of a request
	prediction, confidence, probs           path // of an answer, a value each row
	failure, id, servedModel, servedVersion path // of an answer
	missingWhen                             []condition
}

// newGeneric compiles paths that are known to be right.
func newGeneric(x *Extract) *generic {
	path := func(s string) path {
		p, _ := compile(s)
		return p
	}
	q, r := &x.Request, &x.Response
	a := &generic{
		extract: newExtract(x),
		rows:    path(q.Rows), text: path(q.Text), image: path(q.Image),
		prediction: path(r.Prediction), confidence: path(r.Confidence), probs: path(r.Probabilities),
		failure: path(r.Error), id: path(r.RequestID), servedModel: path(r.Model), servedVersion: path(r.Version),
	}
	for _, s := range r.MissingWhen {
		c, _ := compileCondition(s)
		a.missingWhen = append(a.missingWhen, c)
	}
	return a
}

func (a *generic) Request(m *Message, f *Facts) {
	body, ok := f.open(m)
	if !ok || len(body) == 0 || a.raw(f, m, body) {
		return
	}
	root, ok := f.parse(body, m.Cut)
	if !ok {
		return
	}
	if a.rows == nil && a.text == nil && a.image == nil {
		a.asked(f, root)
		return
	}
	t := f.table(&a.columns, &a.missing)
	if a.rows != nil {
		a.tabulate(t, root)
	}
	if a.text != nil {
		a.texts(t, root)
	}
	if a.image != nil {
		a.images(t, root)
	}
	t.end(a.features)
	if f.Rows == 0 && !m.Cut {
		f.Fault(UnknownShape)
	}
}

// asked reads an array of rows, or one row. A row that the cut goes through is none.
func (a *extract) asked(f *Facts, v value) {
	t := f.table(&a.columns, &a.missing)
	switch {
	case v.kind() == array:
		t.all(v)
	case v.kind() != absent && !v.partial():
		t.row(v)
	}
	t.end(a.features)
}

func (a *generic) tabulate(t *table, root value) {
	if a.rows.many() {
		a.rows.values(root, func(v value) {
			if v.kind() != absent {
				t.row(v)
			}
		})
		return
	}
	switch v := a.rows.first(root); {
	case v.kind() == array:
		t.all(v)
	case v.kind() != absent && !v.partial():
		t.row(v)
	}
}

// texts reads one text a row. Where the rows have a path of their own, it only says how long they are.
func (a *generic) texts(t *table, root value) {
	i := 0
	a.text.values(root, func(v value) {
		switch {
		case v.kind() == array && a.rows == nil:
			t.all(v)
		case a.rows == nil && v.kind() != absent:
			t.row(v)
		case i < len(t.f.Lengths) && v.isString():
			s := v.text()
			t.f.Lengths[i] = Length{Chars, utf8.RuneCount(s)}
			if i == 0 {
				t.f.ask(s)
			}
		}
		i++
	})
}

func (a *generic) images(t *table, root value) {
	alone := a.rows == nil && a.text == nil
	a.image.values(root, func(v value) {
		switch {
		case !alone:
			t.f.imageWithin(v.text(), true)
		case v.kind() == absent:
		default:
			t.begin()
			t.text(unnamed, v.text(), true)
			t.finish(false)
		}
	})
}

func (a *generic) Response(m *Message, f *Facts) {
	if !m.answered() {
		return
	}
	body, ok := f.open(m)
	if !ok {
		return
	}
	if len(body) == 0 && !m.Cut {
		f.noOutputs(MissingEmpty)
		return
	}
	if a.rawAnswer(f, m, body) {
		return
	}
	root, ok := f.parse(body, m.Cut)
	if !ok {
		f.noOutputs(MissingUnparseable)
		return
	}
	if id := f.name(a.id.first(root)); id != "" {
		f.ID = id
	}
	f.ServedModel, f.ServedVersion = f.name(a.servedModel.first(root)), f.name(a.servedVersion.first(root))
	if why, missing := a.lacks(root); missing {
		f.noOutputs(why)
		return
	}
	a.judged(f, root, m.Cut)
}

// lacks says that the answer as a whole has no prediction, by the conditions or an error.
func (a *generic) lacks(root value) (MissingReason, bool) {
	if k := a.failure.first(root).kind(); k != absent && k != null {
		return MissingErrorInStream, true
	}
	for i := range a.missingWhen {
		if c := &a.missingWhen[i]; !c.path.many() && c.holds(c.path.first(root)) {
			return c.reason(), true
		}
	}
	return MissingNone, false
}

// reason is what a prediction is for which the condition holds.
func (c *condition) reason() MissingReason {
	switch {
	case c.literal == "null" && !c.isText && !c.unequal:
		return MissingNull
	case c.literal == "" && c.isText:
		return MissingEmpty
	}
	return MissingAbsent
}

// answers reads a prediction a row, then what other paths say of the same rows.
func (a *generic) judged(f *Facts, root value, cut bool) {
	first := len(f.Outputs)
	n := a.predicted(f, root, cut)
	a.each(f, first, a.confidence, root, func(o *Output, v value) { a.predictions.part(f, o, confidenceRole, v) })
	a.each(f, first, a.probs, root, func(o *Output, v value) { a.predictions.part(f, o, confidenceRole, v) })
	for i := range a.missingWhen {
		if c := &a.missingWhen[i]; c.path.many() {
			a.each(f, first, c.path, root, func(o *Output, v value) {
				if c.holds(v) {
					o.miss(c.reason())
				}
			})
		}
	}
	for i := first; i < len(f.Outputs); i++ {
		f.settle(&f.Outputs[i])
	}
	if n >= 0 && !cut {
		f.tooFew(n)
	}
}

// predicted reads the predictions, and says how many there are; -1 when what is missing was counted already.
func (a *generic) predicted(f *Facts, root value, cut bool) int {
	n := 0
	one := func(v value) {
		if n++; n <= MaxRows {
			a.predictions.read(f, f.output(), v)
			return
		}
		o := f.output()
		a.predictions.read(f, o, v)
		f.settle(o)
	}
	target := root
	if a.prediction == nil && (a.confidence != nil || a.probs != nil) {
		target = value{}
	}
	if a.prediction.many() {
		a.prediction.values(root, one)
	} else {
		if a.prediction != nil {
			target = a.prediction.first(root)
		}
		switch {
		case target.partial():
		case target.kind() == array && f.Rows != 1:
			for e := range target.elements {
				one(e)
			}
		case target.kind() != absent:
			one(target)
		}
	}
	if n > 0 || a.prediction == nil && target.kind() == absent {
		return max(n, 1)
	}
	if !cut {
		why := MissingAbsent
		if target.kind() == array {
			why = MissingEmpty
		}
		f.noOutputs(why)
	}
	return -1
}

// each goes with what a path leads to over the rows' outputs, of which it makes those that are not there yet.
func (a *generic) each(f *Facts, first int, p path, root value, say func(*Output, value)) {
	if p == nil {
		return
	}
	i := first
	p.values(root, func(v value) {
		if v.kind() == array && !p.many() && f.Rows > 1 {
			for e := range v.elements {
				a.say(f, i, e, say)
				i++
			}
			return
		}
		a.say(f, i, v, say)
		i++
	})
}

func (a *generic) say(f *Facts, i int, v value, say func(*Output, value)) {
	if i == len(f.Outputs) && i < MaxRows && a.prediction == nil {
		f.output()
	}
	if i < len(f.Outputs) {
		say(&f.Outputs[i], v)
	}
}
