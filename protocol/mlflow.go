package protocol

import "bytes"

func init() {
	register("mlflow", extractsValues, func(x *Extract) Adapter { return &mlflow{extract: newExtract(x)} })
}

// mlflow reads the /invocations of MLflow's scoring server.
type mlflow struct {
	*extract
}

func (a *mlflow) Request(m *Message, f *Facts) {
	if isType(m.ContentType, "text/csv") {
		if body, ok := f.open(m); ok {
			a.csv(f, body, m.Cut)
		}
		return
	}
	root := f.request(m)
	if root.kind() == absent {
		return
	}
	t := f.table(&a.columns, &a.missing)
	switch {
	case root.member("dataframe_split").kind() == object:
		split := root.member("dataframe_split")
		t.split(split.member("columns"), split.member("data"))
	case root.member("dataframe_records").kind() == array:
		t.all(root.member("dataframe_records"))
	case root.member("instances").kind() == array:
		t.all(root.member("instances"))
	case root.member("inputs").kind() == array:
		t.all(root.member("inputs"))
	case root.member("inputs").kind() == object:
		a.inputs(f, root.member("inputs"))
		return
	case root.kind() == object && (root.member("messages").kind() == array || root.member("prompt").kind() != absent || root.member("input").kind() != absent):
		a.words(f, root)
		return
	case !m.Cut:
		f.Fault(UnknownShape)
		return
	}
	t.end(a.features)
}

// split reads rows without names, whose columns are named once.
func (t *table) split(columns, rows value) {
	for r := range rows.elements {
		if !r.partial() {
			t.named(r, columns)
		}
	}
}

// words reads what agents and language models are asked, which MLflow passes straight through.
func (a *mlflow) words(f *Facts, root value) {
	t := f.table(nil, &a.missing)
	for _, name := range [...]string{"messages", "prompt", "input"} {
		v := root.member(name)
		if v.kind() == array && name != "messages" && v.element(0).isString() {
			t.all(v)
			return
		}
		if v.kind() == absent {
			continue
		}
		t.begin()
		t.said(v)
		t.finish(false)
		return
	}
}

// said counts the words of messages, not their roles.
func (t *table) said(v value) {
	switch v.kind() {
	case array:
		for e := range v.elements {
			t.said(e)
		}
	case object:
		for _, name := range [...]string{"content", "text"} {
			t.said(v.member(name))
		}
	case absent:
	default:
		t.cell(unnamed, v)
	}
}

// csv reads a table with a line of names. The last row of a table that is cut does not count.
func (a *extract) csv(f *Facts, body []byte, cut bool) {
	t := f.table(&a.columns, &a.missing)
	if cut {
		body = body[:bytes.LastIndexByte(body, '\n')+1]
	}
	names := newCells(body)
	for names.next() && names.row == 0 {
		t.add(names.value)
	}
	t.begin()
	for c := newCells(body); c.next(); {
		if c.row == 0 {
			continue
		}
		t.field(&c)
		if c.last {
			t.finish(true)
			t.begin()
		}
	}
	t.end(a.features)
}

// field reads one cell of a row.
func (t *table) field(c *cells) {
	slot := unnamed
	if c.column < len(t.f.Features) {
		slot = c.column
		t.mask |= 1 << slot
		t.present[slot].rows++
	}
	switch s := c.value; {
	case !c.quoted && number(s):
		x := parseNumber(s)
		t.number(slot, x, t.missing.hasNumber(x))
	case len(s) == 0 && (slot == unnamed || t.present[slot].strings == 0):
		t.number(slot, 0, true)
	case c.quoted && bytes.Contains(s, []byte(`""`)):
		t.text(slot, t.f.unquote(s), false)
	default:
		t.text(slot, s, false)
	}
}

// unquote makes one of two quotes that follow each other.
func (f *Facts) unquote(s []byte) []byte {
	to := f.room.blob[:0]
	for i := 0; i < len(s); i++ {
		to = append(to, s[i])
		if s[i] == '"' {
			i++
		}
	}
	f.room.blob = to
	return to
}

func (a *mlflow) Response(m *Message, f *Facts) {
	if !m.answered() {
		return
	}
	root, ok := f.answer(m)
	if !ok {
		return
	}
	predictions := root.member("predictions")
	switch {
	case predictions.kind() != absent:
		a.answers(f, predictions)
	case root.kind() == array:
		a.answers(f, root)
	case root.member("choices").kind() == array:
		a.choices(f, root)
	case root.kind() == object && root.len() > 0 && root.member("error").kind() == absent && f.Rows == 1:
		a.predictions.row(f, root) // what a language model says is not wrapped
	case !m.Cut:
		f.noOutputs(MissingAbsent)
	}
}

// choices reads what a language model says in OpenAI's manner.
func (a *mlflow) choices(f *Facts, root value) {
	for c := range root.member("choices").elements {
		content := c.member("message").member("content")
		if content.kind() == absent {
			content = c.member("text")
		}
		a.predictions.row(f, content)
	}
}
