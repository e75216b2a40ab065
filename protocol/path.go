package protocol

import (
	"errors"
	"strconv"
	"strings"
)

// path leads to values within a document: names and places divided by dots, "#" for all elements of an array, and a backslash before
// a dot, a "#" or a backslash that belongs to a name: "result.#.label", "data.0", "a\.b". Of the syntax that gjson made common it is
// the part which one pass answers. It is compiled when the config is loaded.
type path []step

type step struct {
	name  string
	index int  // of an array; -1 when the name is none
	each  bool // all elements
}

// compile reads a path; an empty one is nil, and leads nowhere.
func compile(s string) (p path, err error) {
	if s == "" {
		return nil, nil
	}
	var name strings.Builder
	literal := false // an escape occurred, so that it is a name
	for i := 0; ; i++ {
		switch {
		case i == len(s) || s[i] == '.':
			if name.Len() == 0 {
				return nil, errors.New("a name is missing before or after a dot")
			}
			p = append(p, stepOf(name.String(), literal))
			if i == len(s) {
				return p, nil
			}
			name.Reset()
			literal = false
		case s[i] == '\\':
			if i++; i == len(s) || !strings.ContainsRune(`.#\`, rune(s[i])) {
				return nil, errors.New(`a backslash stands before what is no dot, no # and no backslash`)
			}
			literal = true
			name.WriteByte(s[i])
		case strings.IndexByte("|@*?()[]", s[i]) >= 0:
			return nil, errors.New(strconv.Quote(s[i:i+1]) + " has no place in a path")
		default:
			name.WriteByte(s[i])
		}
	}
}

func stepOf(name string, literal bool) step {
	if name == "#" && !literal {
		return step{each: true, index: -1}
	}
	index, err := strconv.Atoi(name)
	if err != nil || index < 0 || literal {
		index = -1
	}
	return step{name: name, index: index}
}

// many says that the path leads to the elements of an array.
func (p path) many() bool {
	for _, s := range p {
		if s.each {
			return true
		}
	}
	return false
}

// values are all that the path leads to. What is absent from an element of an array is yielded as absent, so that the order shows to which
// element a value belongs; elements that the cut goes through are left out.
func (p path) values(v value, yield func(value)) {
	for i, s := range p {
		if s.each {
			for e := range v.elements {
				if !e.partial() {
					p[i+1:].values(e, yield)
				}
			}
			return
		}
		v = s.of(v)
	}
	yield(v)
}

// first is the first value that the path leads to.
func (p path) first(v value) (found value) {
	if p == nil {
		return value{}
	}
	for _, s := range p {
		if s.each {
			v = v.element(0)
		} else {
			v = s.of(v)
		}
	}
	return v
}

func (s step) of(v value) value {
	if v.kind() == array {
		if s.index < 0 {
			return value{}
		}
		return v.element(s.index)
	}
	return v.member(s.name)
}

// condition is "path==literal" or "path!=literal", where the literal is null, true, false, a number, or 'a string'.
type condition struct {
	path    path
	unequal bool
	literal string
	isText  bool
}

func compileCondition(s string) (c condition, err error) {
	at := strings.Index(s, "==")
	if other := strings.Index(s, "!="); at < 0 || other >= 0 && other < at {
		at, c.unequal = other, true
	}
	if at <= 0 {
		return c, errors.New("it compares nothing")
	}
	if c.path, err = compile(strings.TrimSpace(s[:at])); err != nil {
		return c, err
	}
	c.literal = strings.TrimSpace(s[at+2:])
	if n := len(c.literal); n >= 2 && (c.literal[0] == '\'' || c.literal[0] == '"') && c.literal[n-1] == c.literal[0] {
		c.literal, c.isText = c.literal[1:n-1], true
		return c, nil
	}
	if b := []byte(c.literal); !number(b) && !word(b) {
		return c, errors.New(strconv.Quote(c.literal) + " is no null, number, true, false or text in quotes")
	}
	return c, nil
}

// holds of a value; what is absent is equal to null.
func (c *condition) holds(v value) bool { return c.equals(v) != c.unequal }

func (c *condition) equals(v value) bool {
	if c.isText {
		return v.isString() && string(v.text()) == c.literal
	}
	switch v.kind() {
	case absent, null:
		return c.literal == "null"
	case numeral:
		b := []byte(c.literal)
		return number(b) && parseNumber(b) == parseNumber(v.raw())
	case truth:
		return string(v.raw()) == c.literal
	case notNumber:
		return strings.EqualFold(c.literal, "nan")
	}
	return false
}
