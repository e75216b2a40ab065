package protocol

func init() {
	register("tf_serving", extractsValues, func(x *Extract) Adapter { return &tfServing{extract: newExtract(x)} })
}

// tfServing reads the REST API of TensorFlow Serving, and KServe's V1 protocol, which is much alike.
type tfServing struct {
	*extract
}

// tfPath finds the model in /v1/models/MODEL[/versions/N|/labels/L]:VERB, wherever in the path it begins.
func tfPath(path string) (model, version string) {
	model, rest, _ := segment(path, "/v1/models/", "/:")
	if v, _, found := segment(rest, "/versions/", "/:"); found {
		version = v
	} else if v, _, found := segment(rest, "/labels/", "/:"); found {
		version = v
	}
	return model, version
}

func (a *tfServing) Request(m *Message, f *Facts) {
	f.Model, f.Version = tfPath(m.Path)
	root := f.request(m)
	if root.kind() == absent {
		return
	}
	for _, name := range [...]string{"instances", "examples", "inputs"} {
		if v := root.member(name); v.kind() != absent {
			a.rows(f, v)
			return
		}
	}
	if !m.Cut {
		f.Fault(UnknownShape)
	}
}

// rows reads an array with one element a row, or an object with one array for each of the features.
func (a *tfServing) rows(f *Facts, v value) {
	switch v.kind() {
	case array:
		t := f.table(&a.columns, &a.missing)
		t.all(v)
		t.end(a.features)
	case object:
		a.inputs(f, v)
	default: // one value, of one row
		t := f.table(nil, &a.missing)
		t.row(v)
	}
}

// inputs reads {"a": [1, 2], "b": ["x", "y"]}. Columns of unequal length are no batch that a model server would take.
func (a *extract) inputs(f *Facts, v value) {
	t := f.table(nil, &a.missing)
	n := -1
	for name, column := range v.members {
		if column.kind() != array { // the value of one row
			t.begin()
			t.cell(t.find(name.written()), column)
			t.at(0)
			continue
		}
		t.column(name.written(), column)
		if n >= 0 && n != column.len() && !v.partial() {
			f.Fault(ShapeMismatch)
		}
		n = column.len()
	}
	t.end(nil)
}

func (a *tfServing) Response(m *Message, f *Facts) {
	if !m.answered() {
		return
	}
	root, ok := f.answer(m)
	if !ok {
		return
	}
	// Vertex AI says beside the predictions which model made them.
	f.ServedModel, f.ServedVersion = f.name(root.member("model")), f.name(root.member("modelVersionId"))
	for _, name := range [...]string{"predictions", "outputs", "results", "result"} {
		if v := root.member(name); v.kind() != absent {
			a.answers(f, v)
			return
		}
	}
	if !m.Cut {
		f.noOutputs(MissingAbsent)
	}
}

// answers reads an array with one prediction a row, or an object with one array for each of the outputs.
func (a *extract) answers(f *Facts, v value) {
	switch {
	case v.kind() == null:
		f.noOutputs(MissingNull)
	case v.kind() == object && a.predictions.output != "":
		a.predictions.rows(f, v.member(a.predictions.output))
	case v.kind() == object && allArrays(v):
		a.predictions.columns(f, v)
	default:
		a.predictions.rows(f, v)
	}
}

// allArrays says that every member is an array, and there is one.
func allArrays(v value) bool {
	for _, member := range v.members {
		if member.kind() != array {
			return false
		}
	}
	return v.len() > 0
}
