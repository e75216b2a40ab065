package protocol

import "strings"

// Field finds a member of a JSON object: key is its name, or a path such as "user.id" through objects within objects.
//
// A string is returned without quotes and escapes, a number or a boolean as it is written. Null, objects and arrays name
// nothing: they count as absent, as does every member of a document that is empty or no object. The whole document is read, because
// Python's readers keep the last of two equal members and an early stop would see the first: a name of the path that
// occurs twice in its object, in whatever spelling, is [ErrDuplicate].
//
// The value aliases body; memory is allocated only for a string written with escapes.
func Field(body []byte, key string) (value []byte, found bool, err error) {
	s := newScanner(body)
	if s.ended() {
		return nil, false, nil
	}
	value, found = s.find(key)
	if !s.ended() {
		s.fail(ErrSyntax)
	}
	if s.err != nil || !found {
		return nil, false, s.err
	}
	return value, true, nil
}

// find reads the value at the cursor to its end and remembers the member at path.
func (s *scanner) find(path string) (value []byte, found bool) {
	if s.peek() != '{' {
		s.skip()
		return nil, false
	}
	name, rest, nested := strings.Cut(path, ".")
	seen := false
	for more := s.enter('}'); more; more = s.next('}') {
		if !s.name().equal(name) {
			s.skip()
			continue
		}
		if seen {
			s.fail(ErrDuplicate)
			break
		}
		seen = true
		if nested {
			value, found = s.find(rest)
		} else {
			value, found = s.scalar()
		}
	}
	return value, found
}

// scalar reads the value at the cursor; found is false for null and containers.
func (s *scanner) scalar() (value []byte, found bool) {
	switch s.peek() {
	case '{', '[':
		s.skip()
		return nil, false
	case '"':
		return s.text().value(), true
	}
	value = s.bare()
	return value, string(value) != "null"
}
