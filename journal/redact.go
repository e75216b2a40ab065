package journal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What stands in the place of a value that is not to be seen.
const (
	redacted = "[redacted]"
	unread   = "[not shown: no JSON, so that nothing could be redacted]"
)

// body is a body as the journal has it: JSON as it is but for what is redacted or hashed, other text as a string. A body in which paths cannot
// be found, because it is no JSON, is not shown where there are paths.
func (p *Predictions) body(body []byte, s *PredictionSettings) any {
	if len(body) == 0 {
		return nil
	}
	value, ok := decode(body)
	switch {
	case ok:
		for _, path := range s.Hash {
			value = replace(value, splitPath(path), p.hashed)
		}
		for _, path := range s.Redact {
			value = replace(value, splitPath(path), func(any) any { return redacted })
		}
		return value
	case len(s.Redact)+len(s.Hash) > 0:
		return unread
	case utf8.Valid(body):
		return string(body)
	}
	return map[string]any{"base64": body}
}

// decode reads one JSON document, its numbers as they are written.
func decode(body []byte) (value any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&value) != nil {
		return nil, false
	}
	_, err := d.Token()
	return value, err == io.EOF
}

// hashed is what stands in place of a value: the same for equal values. One that was replaced before stays.
func (p *Predictions) hashed(value any) any {
	text, err := json.Marshal(value) // members in order of their names
	if err != nil {
		return redacted
	}
	return "hmac-sha256:" + hex.EncodeToString(p.hash(text))
}

// replace replaces what a path leads to: names of members and indices of elements, or * for all of either.
func replace(value any, path []string, by func(any) any) any {
	if len(path) == 0 {
		return by(value)
	}
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if path[0] == "*" || path[0] == name {
				v[name] = replace(member, path[1:], by)
			}
		}
	case []any:
		for i, element := range v {
			if path[0] == "*" || path[0] == strconv.Itoa(i) {
				v[i] = replace(element, path[1:], by)
			}
		}
	}
	return value
}

// splitPath divides a dotted path; a dot in a name is written \\. there.
func splitPath(path string) []string {
	const dot = "\x00"
	parts := strings.Split(strings.ReplaceAll(path, `\.`, dot), ".")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], dot, ".")
	}
	return slices.Clip(parts)
}
