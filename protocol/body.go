package protocol

import (
	"errors"
	"strings"
)

// open is the body as the model server's code sees it, with its encoding undone; ok is false if that cannot be.
func (f *Facts) open(m *Message) (body []byte, ok bool) {
	if m.Cut {
		f.Fault(Truncated)
	}
	return m.Body, true
}

// parse reads JSON. Of a message that is cut, what is whole is read; else all or nothing.
func (f *Facts) parse(body []byte, cut bool) (root value, ok bool) {
	d := &f.room.doc
	err := d.read(body)
	switch {
	case err == nil, cut && errors.Is(err, ErrSyntax):
		return d.root(), true
	case errors.Is(err, ErrDepth):
		f.Fault(TooDeep)
	case errors.Is(err, errTooLarge):
		f.Fault(TooLarge)
	default:
		f.Fault(NotJSON)
	}
	return value{}, false
}

// request is the JSON of a request. It is absent where there is none, as with a GET.
func (f *Facts) request(m *Message) value {
	body, ok := f.open(m)
	if !ok || len(body) == 0 {
		return value{}
	}
	root, _ := f.parse(body, m.Cut)
	return root
}

// answered says that the status promises a prediction.
func (m *Message) answered() bool { return m.Status == 0 || m.Status/100 == 2 }

// answer is the JSON of an answer of status 2xx. If there is none, it notes that the predictions are missing.
func (f *Facts) answer(m *Message) (root value, ok bool) {
	body, ok := f.open(m)
	if !ok {
		return value{}, false
	}
	if len(body) == 0 && !m.Cut {
		f.noOutputs(MissingEmpty)
		return value{}, false
	}
	root, ok = f.parse(body, m.Cut)
	if !ok {
		f.noOutputs(MissingUnparseable)
	}
	return root, ok
}

// noOutputs notes that no row got a prediction.
func (f *Facts) noOutputs(why MissingReason) { f.OutputsMissing[why] += max(f.Rows, 1) }

// segment is the part of a path after a marker, up to the next of the stops; rest begins with that stop.
func segment(path, marker, stops string) (name, rest string, found bool) {
	_, rest, found = strings.Cut(path, marker)
	if !found {
		return "", "", false
	}
	if end := strings.IndexAny(rest, stops); end >= 0 {
		return rest[:end], rest[end:], true
	}
	return rest, "", true
}

// mediaType is a content type without its parameters.
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.TrimSpace(kind)
}

// isType compares a content type, whose letters may be of either case.
func isType(contentType, want string) bool { return strings.EqualFold(mediaType(contentType), want) }
