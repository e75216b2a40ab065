package protocol

import (
	"math"
	"strconv"
	"time"
)

func init() {
	register("open_inference", extractsValues, func(x *Extract) Adapter { return &openInference{extract: newExtract(x)} })
}

// openInference reads the Open Inference Protocol (KServe V2) with the extensions of Triton: binary tensors, classification, generate.
type openInference struct {
	*extract
}

// v2Path finds the model in /v2/models/MODEL[/versions/VERSION]/VERB, wherever in the path it begins.
func v2Path(path string) (model, version string) {
	model, rest, _ := segment(path, "/v2/models/", "/")
	version, _, _ = segment(rest, "/versions/", "/")
	return model, version
}

// parts divides a body into its JSON and the binary tensors that follow it. Without JSON the body is one tensor, whole.
func (a *openInference) parts(f *Facts, m *Message) (json, rest []byte, ok bool) {
	body, ok := f.open(m)
	if !ok {
		return nil, nil, false
	}
	if m.Header == nil {
		return body, nil, true
	}
	header := m.Header("Inference-Header-Content-Length")
	if header == "" {
		return body, nil, true
	}
	n, err := strconv.Atoi(header)
	if err != nil || n < 0 || n > len(body) {
		if !m.Cut {
			f.Fault(BinaryShort)
		}
		return body, nil, true
	}
	return body[:n], body[n:], true
}

func (a *openInference) Request(m *Message, f *Facts) {
	f.Model, f.Version = v2Path(m.Path)
	json, rest, ok := a.parts(f, m)
	if !ok || len(json) == 0 && len(rest) == 0 {
		return
	}
	if len(json) == 0 {
		t := f.table(nil, &a.missing)
		t.begin()
		t.blob(rest)
		t.finish(false)
		return
	}
	root, ok := f.parse(json, m.Cut)
	if !ok {
		return
	}
	f.ID = f.name(root.member("id"))
	switch {
	case root.member("inputs").kind() == array:
		a.tensors(f, f.tensors(root.member("inputs"), rest, m.Cut))
	case root.member("text_input").kind() != absent:
		a.words(f, root.member("text_input"))
	case !m.Cut:
		f.Fault(UnknownShape)
	}
}

// words reads what the generate extension is asked: a string, or several.
func (a *openInference) words(f *Facts, v value) {
	t := f.table(nil, &a.missing)
	if v.kind() == array {
		t.all(v)
		return
	}
	t.row(v)
}

// tensors reads the inputs as columns: each has a value, or several, for each row.
func (a *openInference) tensors(f *Facts, all []tensor) {
	rows := 0
	for i := range all {
		switch n := all[i].rows(); {
		case i == 0:
			rows = n
		case n != rows: // there is no batch
			rows = 1
		}
	}
	t := f.table(nil, &a.missing)
	for i := range all {
		t.tensor(&all[i], rows)
	}
	t.end(nil)
}

// tensor reads one input.
func (t *table) tensor(of *tensor, rows int) {
	slot := t.find(of.name)
	if slot != unnamed {
		t.present[slot].rows = rows
	}
	if rows == 0 {
		return
	}
	each, i := max(of.count/rows, 1), 0
	picture, isPicture := of.images(rows)
	t.begin()
	t.first = true
	for e := range of.elements {
		t.element(slot, e, of.base64)
		if isPicture {
			picture.add(e.number())
		}
		if i++; i%each == 0 && i/each <= rows {
			if isPicture {
				t.f.addImage(picture.image())
			}
			t.at(i/each - 1)
			t.begin()
			t.first = false
		}
	}
}

func (t *table) element(slot int, e element, base64 bool) {
	switch {
	case e.isText && isPicture(e.s):
		t.blob(e.s)
	case e.isText:
		t.text(slot, e.s, false)
	case e.kind() == absent:
		t.number(slot, e.x, math.IsNaN(e.x) || t.missing.hasNumber(e.x))
	case base64 && e.isString():
		t.text(slot, e.text(), true)
	default:
		t.cell(slot, e.value)
	}
}

func (a *openInference) Response(m *Message, f *Facts) {
	if !m.answered() {
		return
	}
	json, rest, ok := a.parts(f, m)
	if !ok {
		return
	}
	if len(json) == 0 && !m.Cut {
		f.noOutputs(MissingEmpty)
		return
	}
	root, ok := f.parse(json, m.Cut)
	if !ok {
		f.noOutputs(MissingUnparseable)
		return
	}
	f.ServedModel, f.ServedVersion = f.name(root.member("model_name")), f.name(root.member("model_version"))
	if f.ID == "" {
		f.ID = f.name(root.member("id"))
	}
	switch {
	case root.member("outputs").kind() == array:
		a.outputs(f, f.tensors(root.member("outputs"), rest, m.Cut), m.Cut)
	case root.member("text_output").kind() != absent:
		a.predictions.rows(f, root.member("text_output"))
	case !m.Cut:
		f.noOutputs(MissingAbsent)
	}
}

// outputs reads the outputs side by side: one may hold the classes, another the probabilities.
func (a *openInference) outputs(f *Facts, all []tensor, cut bool) {
	rows := 0
	for i := range all {
		if a.reads(&all[i]) {
			rows = max(rows, answersIn(&all[i], f.Rows))
		}
	}
	if rows == 0 {
		if !cut {
			f.noOutputs(MissingEmpty)
		}
		return
	}
	first := len(f.Outputs)
	for range min(rows, MaxRows) {
		f.output()
	}
	judged := false
	for i := range all {
		if a.reads(&all[i]) && all[i].count > 0 {
			a.predictions.tensor(f, f.Outputs[first:], &all[i], rows, !judged)
			judged = true
		}
	}
	for i := first; i < len(f.Outputs); i++ {
		f.settle(&f.Outputs[i])
	}
	if !cut {
		f.tooFew(rows)
	}
}

func (a *openInference) reads(t *tensor) bool {
	return a.predictions.output == "" || t.name.equal(a.predictions.output)
}

// answersIn is how many rows an output has; all of it is for one row, if but one was asked for.
func answersIn(t *tensor, asked int) int {
	if asked == 1 {
		return min(t.count, 1)
	}
	return t.rows()
}

// Event reads one object of the stream that generate_stream answers with. The protocol marks no end.
func (a *openInference) Event(data []byte, at time.Duration, s *Stream) {
	t := &s.talk
	s.unmarked, t.heard, t.answered = true, false, false
	if t.doc.read(data) != nil {
		t.fault(BadEvent)
		return
	}
	root := t.doc.root()
	if k := root.member("error").kind(); k != absent && k != null {
		s.failed = true
		return
	}
	t.id = t.word(root.member("id"), t.id)
	t.model = t.word(root.member("model_name"), t.model)
	t.version = t.word(root.member("model_version"), t.version)
	t.say(t.choice(0), root.member("text_output"))
	if t.heard {
		s.token(at, true)
	}
}
