package main

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printable passes lines of the log on with the last escapes that slog leaves out: its handlers escape what would end a line, but
// not DEL, and in JSON neither the second set of control characters nor those that turn the direction of writing; some
// terminals obey them. What is escaped is inside of JSON strings, where \u00xx means the same.
type printable struct{ to io.Writer }

// Write takes whole lines.
func (p printable) Write(line []byte) (int, error) {
	if bytes.ContainsFunc(line, obeyed) {
		if _, err := p.to.Write(escaped(line)); err != nil {
			return 0, err
		}
		return len(line), nil
	}
	return p.to.Write(line)
}

// obeyed says that a terminal might do something other than show r.
func obeyed(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) || r == utf8.RuneError }

func escaped(line []byte) []byte {
	var b []byte
	for _, r := range string(line) {
		if !obeyed(r) {
			b = utf8.AppendRune(b, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			b = fmt.Appendf(b, `\u%04x`, unit)
		}
	}
	return b
}
