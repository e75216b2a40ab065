package protocol

import (
	"bytes"
	"strings"
)

// raw reads a request that is no JSON: by its content type, or by what it begins with when that says nothing.
func (a *extract) raw(f *Facts, m *Message, body []byte) bool {
	kind := mediaType(m.ContentType)
	switch {
	case strings.EqualFold(kind, "text/csv"):
		a.csv(f, body, m.Cut)
	case strings.EqualFold(kind, "application/x-ndjson"), strings.EqualFold(kind, "application/jsonl"):
		a.lines(f, body, m.Cut)
	case !likeJSON(body) && !strings.EqualFold(kind, "application/json"):
		t := f.table(nil, &a.missing)
		t.begin()
		t.blob(body)
		t.finish(false)
	default:
		return false
	}
	return true
}

// lines reads a row from every line of JSON. The last line of a body that is cut does not count.
func (a *extract) lines(f *Facts, body []byte, cut bool) {
	t := f.table(&a.columns, &a.missing)
	eachLine(f, body, cut, func(v value) { t.row(v) })
	t.end(a.features)
}

func eachLine(f *Facts, body []byte, cut bool, read func(value)) {
	if cut {
		body = body[:bytes.LastIndexByte(body, '\n')+1]
	}
	for line, rest := nextLine(body); len(line) > 0; line, rest = nextLine(rest) {
		if v, ok := f.parse(line, false); ok {
			read(v)
		}
	}
}

// rawAnswer reads an answer that is lines of JSON, a text, or bytes.
func (a *extract) rawAnswer(f *Facts, m *Message, body []byte) bool {
	kind := mediaType(m.ContentType)
	switch {
	case strings.EqualFold(kind, "application/x-ndjson"), strings.EqualFold(kind, "application/jsonl"):
		n := 0
		eachLine(f, body, m.Cut, func(v value) { a.predictions.row(f, v); n++ })
		if !m.Cut {
			f.tooFew(n)
		}
	case likeJSON(body), strings.EqualFold(kind, "application/json"), number(bytes.TrimSpace(body)), word(bytes.TrimSpace(body)):
		return false
	case !isText(body) || m.Cut:
		f.output() // bytes, of which nothing is known but that they are there
	default:
		o := f.output()
		o.say(f, bytes.TrimSpace(body))
		f.settle(o)
	}
	return true
}
