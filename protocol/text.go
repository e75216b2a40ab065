package protocol

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// text is a string as it stands between its quotes.
type text struct {
	raw     []byte
	escaped bool // a backslash occurs in raw
}

// text reads the string at the cursor.
func (s *scanner) text() (t text) {
	if s.peek() != '"' {
		s.fail(ErrSyntax)
		return text{}
	}
	s.at++
	start := s.at
	for s.plain(); s.at < len(s.data) && s.data[s.at] == '\\'; s.plain() {
		t.escaped = true
		n := escape(s.data[s.at:])
		if n == 0 {
			break
		}
		s.at += n
	}
	if s.at == len(s.data) || s.data[s.at] != '"' {
		s.fail(ErrSyntax)
		return text{}
	}
	t.raw = s.data[start:s.at]
	s.at++
	return t
}

// plain steps over the bytes of a string that stand for themselves, eight at a time: a word has a byte equal to c when
// word^(c repeated) has a zero byte, and the lowest such byte is found exactly (Warren, Hacker's Delight, 6-1).
func (s *scanner) plain() {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; s.at+8 <= len(s.data); s.at += 8 {
		word := binary.LittleEndian.Uint64(s.data[s.at:])
		quote, slash := word^'"'*ones, word^'\\'*ones
		if found := ((quote-ones)&^quote | (slash-ones)&^slash) & highs; found != 0 {
			s.at += bits.TrailingZeros64(found) / 8
			return
		}
	}
	for s.at < len(s.data) && s.data[s.at] != '"' && s.data[s.at] != '\\' {
		s.at++
	}
}

// escape is the length of the escape sequence that s begins with; 0 when it is none.
func escape(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	if s[1] == 'u' {
		if _, ok := hex4(s[2:]); !ok {
			return 0
		}
		return 6
	}
	if unescaped[s[1]] == 0 {
		return 0
	}
	return 2
}

// unescaped is what a backslash makes of the byte after it.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// hex4 reads four hexadecimal digits.
func hex4(s []byte) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for _, c := range s[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// value is what the string says. It aliases the document, or is new memory when the string is written with escapes.
func (t text) value() []byte {
	if !t.escaped {
		return t.raw
	}
	return t.appendTo(make([]byte, 0, len(t.raw)))
}

// equal reports whether the string says want, however it is written: "m\u006fdel" says model.
func (t text) equal(want string) bool {
	if !t.escaped {
		return string(t.raw) == want
	}
	const longest = len(`\u0000`) // no byte of a string takes more to write
	if len(t.raw) > longest*len(want) {
		return false
	}
	var room [64]byte
	return string(t.appendTo(room[:0])) == want
}

// appendTo unescapes. Half a surrogate pair becomes U+FFFD.
func (t text) appendTo(to []byte) []byte {
	rest := t.raw
	for {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 {
			return append(to, rest...)
		}
		to = append(to, rest[:i]...)
		rest = rest[i:]
		if rest[1] != 'u' {
			to = append(to, unescaped[rest[1]])
			rest = rest[2:]
			continue
		}
		r, n := codePoint(rest)
		to = utf8.AppendRune(to, r)
		rest = rest[n:]
	}
}

// codePoint reads the \u escape, or the surrogate pair of two, that s begins with.
func codePoint(s []byte) (r rune, length int) {
	r, _ = hex4(s[2:])
	if utf16.IsSurrogate(r) && len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		low, _ := hex4(s[8:])
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return r, 6 // AppendRune writes U+FFFD for half a pair
}
