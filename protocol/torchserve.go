package protocol

import (
	"bytes"
	"mime"
	"unicode/utf8"
)

func init() {
	register("torchserve", extractsValues, func(x *Extract) Adapter { return &torchServe{extract: newExtract(x)} })
}

// torchServe reads TorchServe's inference API, whose bodies are what a handler makes of them.
type torchServe struct {
	*extract
}

func (a *torchServe) Request(m *Message, f *Facts) {
	if model, rest, found := segment(m.Path, "/predictions/", "/"); found {
		f.Model = model
		f.Version, _, _ = segment(rest, "/", "/")
	} else {
		f.Model, f.Version = tfPath(m.Path) // under KServe
	}
	body, ok := f.open(m)
	if !ok || len(body) == 0 {
		return
	}
	if isType(m.ContentType, "multipart/form-data") {
		a.parts(f, m, body)
		return
	}
	a.body(f, m, body)
}

// body reads one row, or the instances of KServe's V1 protocol, by what it begins with: curl -T says no content type, curl -d a wrong one.
func (a *torchServe) body(f *Facts, m *Message, body []byte) {
	if a.raw(f, m, body) {
		return
	}
	root, ok := f.parse(body, m.Cut)
	if !ok {
		return
	}
	for _, name := range [...]string{"instances", "data", "inputs"} {
		if v := root.member(name); v.kind() == array {
			t := f.table(&a.columns, &a.missing)
			t.all(v)
			t.end(a.features)
			return
		}
	}
	t := f.table(&a.columns, &a.missing)
	t.row(root)
	t.end(a.features)
}

// likeJSON says that a body begins as an object or array does.
func likeJSON(body []byte) bool {
	c := newScanner(body).peek()
	return c == '{' || c == '['
}

// blob counts bytes that stand for themselves.
func (t *table) blob(b []byte) {
	switch {
	case isPicture(b):
		t.f.image(b)
		t.blobs += len(b)
		t.elements++
		t.count(unnamed, false)
	case isWave(b):
		t.f.sound(b)
		t.blobs += len(b)
		t.elements++
		t.count(unnamed, false)
	case isText(b):
		t.text(unnamed, b, false)
	default:
		t.blobs += len(b)
		t.elements++
		t.count(unnamed, len(b) == 0)
	}
}

// isText says that bytes are text: UTF-8 without control characters, to judge by the first 512.
func isText(b []byte) bool {
	b = b[:min(len(b), 512)]
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 && utf8.FullRune(b) || r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
		b = b[n:]
	}
	return true
}

// parts reads multipart/form-data (RFC 7578): a row for each part named data or the like, for any part when none is. It looks no
// further than a part's first lines for its name, and changes and copies nothing.
func (a *torchServe) parts(f *Facts, m *Message, body []byte) {
	_, params, err := mime.ParseMediaType(m.ContentType)
	boundary := params["boundary"]
	if err != nil || boundary == "" {
		f.Fault(ContentUnsupported)
		return
	}
	named := bytes.Contains(body, []byte(`name="data`))
	for part := range partsOf(body, boundary, m.Cut) {
		head, content, found := bytes.Cut(part, []byte("\r\n\r\n"))
		if found && (!named || bytes.Contains(head, []byte(`name="data`))) {
			a.part(f, content)
		}
	}
	if f.Rows == 0 && !m.Cut {
		f.Fault(UnknownShape)
	}
}

func (a *torchServe) part(f *Facts, content []byte) {
	t := f.table(nil, &a.missing)
	t.begin()
	t.blob(content)
	t.finish(false)
}

// partsOf yields what stands between two boundaries (RFC 2046, section 5.1.1); of a body that is cut, not the last.
func partsOf(body []byte, boundary string, cut bool) func(yield func([]byte) bool) {
	line := []byte("\r\n--" + boundary)
	return func(yield func([]byte) bool) {
		rest, found := bytes.CutPrefix(body, line[2:])
		for found {
			var part []byte
			part, rest, found = bytes.Cut(rest, line)
			if !found && (cut || bytes.HasPrefix(part, []byte("--"))) {
				return
			}
			if !yield(part) || bytes.HasPrefix(rest, []byte("--")) {
				return
			}
		}
	}
}

func (a *torchServe) Response(m *Message, f *Facts) {
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
	switch {
	case !ok:
		f.noOutputs(MissingUnparseable)
	case root.member("predictions").kind() != absent:
		a.answers(f, root.member("predictions"))
	case root.kind() == array && root.len() > 1 && f.Rows <= 1 && !root.partial():
		a.predictions.row(f, root)
	default:
		a.predictions.rows(f, root)
	}
}
