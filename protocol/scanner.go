package protocol

import (
	"bytes"
	"errors"
	"slices"
)

// What can be wrong with a document.
var (
	ErrSyntax    = errors.New("not JSON, or cut short; a whole JSON document is needed")
	ErrDepth     = errors.New("JSON nested deeper than 512; flatten it")
	ErrDuplicate = errors.New("a member that decides the routing is given twice; give it once")
)

// maxDepth bounds the recursion. Python's own reader, which most model servers use, gives up at about 1,000.
const maxDepth = 512

// scanner walks a JSON document once, from front to back, and allocates nothing. It accepts what RFC 8259 does, and beyond
// it the tokens NaN, nan, Infinity, inf with or without a sign, control characters within strings, invalid UTF-8, and a
// byte order mark. After a fault err stays set and no container has a further element.
type scanner struct {
	data  []byte
	at    int
	depth int
	err   error
}

func newScanner(document []byte) *scanner {
	return &scanner{data: bytes.TrimPrefix(document, []byte("\xef\xbb\xbf"))}
}

// peek steps over white space and returns the byte there; 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; c {
		case ' ', '\n', '\r', '\t':
		default:
			return c
		}
	}
	return 0
}

// ended reports whether nothing but white space is left.
func (s *scanner) ended() bool { return s.peek() == 0 && s.at == len(s.data) }

func (s *scanner) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// enter steps into the object or array at the cursor and reports whether it has a first element:
//
//	for more := s.enter('}'); more; more = s.next('}') {
func (s *scanner) enter(closer byte) bool {
	s.at++
	if s.depth++; s.depth > maxDepth {
		s.fail(ErrDepth)
		return false
	}
	if s.peek() == closer {
		s.leave()
		return false
	}
	return s.err == nil
}

// next steps over what stands between two elements and reports whether there is another one.
func (s *scanner) next(closer byte) bool {
	if s.err != nil {
		return false
	}
	switch s.peek() {
	case ',':
		s.at++
		return true
	case closer:
		s.leave()
	default:
		s.fail(ErrSyntax)
	}
	return false
}

func (s *scanner) leave() {
	s.at++
	s.depth--
}

// name reads a member's name, as written, and the colon after it.
func (s *scanner) name() text {
	name := s.text()
	if s.peek() != ':' {
		s.fail(ErrSyntax)
		return text{}
	}
	s.at++
	return name
}

// skip steps over the value at the cursor.
func (s *scanner) skip() {
	switch s.peek() {
	case '{':
		for more := s.enter('}'); more; more = s.next('}') {
			s.name()
			s.skip()
		}
	case '[':
		for more := s.enter(']'); more; more = s.next(']') {
			s.skip()
		}
	case '"':
		s.text()
	default:
		s.bare()
	}
}

// bare reads a value that is neither container nor string.
func (s *scanner) bare() []byte {
	token := s.data[s.at:]
	n := leadingNumber(token)
	if n == 0 || n < len(token) && !ends[token[n]] {
		n = slices.IndexFunc(token, func(c byte) bool { return ends[c] })
		if n < 0 {
			n = len(token)
		}
		if !word(token[:n]) {
			s.fail(ErrSyntax)
		}
	}
	s.at += n
	return token[:n]
}

// ends are the bytes that a bare token cannot go on with.
var ends = [256]bool{' ': true, '\t': true, '\n': true, '\r': true, ',': true, ']': true, '}': true}

func word(token []byte) bool {
	switch string(token) {
	case "true", "false", "null":
		return true
	}
	if len(token) > 0 && (token[0] == '-' || token[0] == '+') {
		token = token[1:]
	}
	switch string(token) {
	case "NaN", "nan", "Infinity", "inf":
		return true
	}
	return false
}

// number reports whether token is a number of RFC 8259, section 6.
func number(token []byte) bool { return len(token) > 0 && leadingNumber(token) == len(token) }

// leadingNumber is how many bytes at the beginning of text are a number; 0 when none are.
func leadingNumber(text []byte) int {
	n := 0
	if len(text) > 0 && text[0] == '-' {
		n = 1
	}
	whole := digits(text[n:])
	if whole == 0 || whole > 1 && text[n] == '0' {
		return 0
	}
	n += whole
	if n < len(text) && text[n] == '.' {
		fraction := digits(text[n+1:])
		if fraction == 0 {
			return 0
		}
		n += 1 + fraction
	}
	if n < len(text) && text[n]|0x20 == 'e' {
		n += exponent(text[n:])
	}
	return n
}

// exponent is how many bytes at the beginning of text, which is an e, are one; 0 when none are.
func exponent(text []byte) int {
	n := 1
	if n < len(text) && (text[n] == '+' || text[n] == '-') {
		n++
	}
	power := digits(text[n:])
	if power == 0 {
		return 0
	}
	return n + power
}

// digits counts the digits that token begins with.
func digits(token []byte) int {
	n := 0
	for n < len(token) && token[n]-'0' <= 9 {
		n++
	}
	return n
}
