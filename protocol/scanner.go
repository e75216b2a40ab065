package protocol

import (
	"bytes"
	"errors"
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
	for i, c := range token {
		if ends[c] {
			token = token[:i]
			break
		}
	}
	s.at += len(token)
	if !number(token) && !word(token) {
		s.fail(ErrSyntax)
	}
	return token
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
func number(token []byte) bool {
	if len(token) > 0 && token[0] == '-' {
		token = token[1:]
	}
	whole := digits(token)
	if whole == 0 || whole > 1 && token[0] == '0' {
		return false
	}
	token = token[whole:]
	if len(token) > 0 && token[0] == '.' {
		n := digits(token[1:])
		if n == 0 {
			return false
		}
		token = token[1+n:]
	}
	return len(token) == 0 || exponent(token)
}

func exponent(token []byte) bool {
	if token[0] != 'e' && token[0] != 'E' {
		return false
	}
	token = token[1:]
	if len(token) > 0 && (token[0] == '+' || token[0] == '-') {
		token = token[1:]
	}
	return len(token) > 0 && digits(token) == len(token)
}

// digits counts the digits that token begins with.
func digits(token []byte) int {
	n := 0
	for n < len(token) && token[n]-'0' <= 9 {
		n++
	}
	return n
}
