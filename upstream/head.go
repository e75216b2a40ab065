package upstream

import (
	"bytes"
	"fmt"
)

// Head is the head of one HTTP/1.x message: the bytes as they came and where its parts are in them. The reading is
// strict (RFC 9112): what two readers could take in two ways is refused, never repaired. A Head is reused; its slices
// live as long as the bytes it was read from.
type Head struct {
	// Raw is the whole head, from the first line to the blank one.
	Raw []byte
	// Method and Target are a request's; Status and Phrase an answer's.
	Method, Target []byte
	Status         int
	Phrase         []byte
	// Minor is the version's second digit: HTTP/1.0 or HTTP/1.1.
	Minor  int
	Fields []Field
	// Framing says how the body ends; Length is its length in bytes when Framing is ByLength.
	Framing Framing
	Length  int64
	// Close says that the connection ends with this message: asked for, or HTTP/1.0 without keep-alive.
	Close bool
	// Expect says that the client waits for a 100 before it sends the body.
	Expect bool

	keepAlive bool         // Connection says keep-alive
	upgrade   bool         // Connection says upgrade
	first     [kinds]int32 // index+1 of the first field of a kind
	nominated [][]byte     // names that Connection lists, beyond close, keep-alive and upgrade
}

// Field is one field line of a head: Line is all of it with its CRLF, Name and Value are parts of it.
type Field struct {
	Line, Name, Value []byte
	Kind              Kind
}

// Framing says how a body ends (RFC 9112, section 6).
type Framing uint8

// The framings.
const (
	NoBody Framing = iota
	ByLength
	Chunked
	UntilClose // answers only
)

// HeadError says what is wrong with a head. Status is what a client is told: 400, 414, 417, 431, 501 or 505.
type HeadError struct {
	Status int
	Reason string
}

func (e *HeadError) Error() string { return e.Reason }

func bad(format string, args ...any) *HeadError {
	return &HeadError{Status: 400, Reason: fmt.Sprintf(format, args...)}
}

// Limits bound a head.
type Limits struct {
	// Bytes is the head's greatest length, first line and blank line included.
	Bytes int
	// Fields is the greatest number of field lines, and of names that Connection may list.
	Fields int
}

var blank = []byte("\r\n\r\n")

// HeadEnd is the length of the head that b begins with, 0 while it is not complete. seen bytes of b were looked at
// before. A line feed without its carriage return is an error at once, not when the blank line fails to come.
func HeadEnd(b []byte, seen int, limit Limits) (int, *HeadError) {
	from := max(0, seen-3)
	i := bytes.Index(b[from:], blank)
	end := from + i + len(blank)
	if i < 0 {
		end = len(b)
	}
	if end > limit.Bytes && bytes.IndexByte(b[:limit.Bytes], '\n') < 0 {
		return 0, &HeadError{414, fmt.Sprintf("the first line is longer than %d bytes; shorten it or raise limits.max_header", limit.Bytes)}
	}
	if end > limit.Bytes {
		return 0, &HeadError{431, fmt.Sprintf("the head is longer than %d bytes; send less or raise limits.max_header", limit.Bytes)}
	}
	if i >= 0 {
		return end, nil
	}
	if bareLF(b[from:]) && bareLF(b) {
		return 0, bad("a line ends in a bare LF; lines end in CRLF")
	}
	return 0, nil
}

// HeadComes says whether b has a whole head, perhaps behind empty lines, and how many bytes of b HeadEnd need not look at.
func HeadComes(b []byte) (seen int, comes bool) {
	empty := 0
	for bytes.HasPrefix(b[empty:], blank[:2]) {
		empty += 2
	}
	i := bytes.Index(b[empty:], blank)
	if i < 0 || empty > 0 {
		return 0, i >= 0
	}
	return i + len(blank) - 1, true
}

// bareLF says that a LF in b follows no CR; a LF that b begins with counts, so the caller looks again from the start.
func bareLF(b []byte) bool {
	for i := 0; ; i++ {
		j := bytes.IndexByte(b[i:], '\n')
		if j < 0 {
			return false
		}
		i += j
		if i == 0 || b[i-1] != '\r' {
			return true
		}
	}
}

// ReadRequest reads raw, a complete request head.
func (h *Head) ReadRequest(raw []byte, limit Limits) *HeadError {
	h.Clear()
	h.Raw = raw
	line, rest, err := firstLine(raw)
	if err != nil {
		return err
	}
	if err := h.requestLine(line); err != nil {
		return err
	}
	if err := h.fields(rest, limit); err != nil {
		return err
	}
	return h.frameRequest()
}

// ReadAnswer reads raw, a complete answer head. bodiless says that the request was one whose answer has no body (HEAD).
func (h *Head) ReadAnswer(raw []byte, limit Limits, bodiless bool) *HeadError {
	h.Clear()
	h.Raw = raw
	line, rest, err := firstLine(raw)
	if err != nil {
		return err
	}
	if err := h.statusLine(line); err != nil {
		return err
	}
	if err := h.fields(rest, limit); err != nil {
		return err
	}
	return h.frameAnswer(bodiless)
}

// Get is the value of the first field of that lower-case name, nil when there is none.
func (h *Head) Get(name string) []byte {
	for i := range h.Fields {
		if f := &h.Fields[i]; equalFold(f.Name, name) {
			return f.Value
		}
	}
	return nil
}

// Only is the value of the field of that lower-case name, nil when there is none, or more than one.
func (h *Head) Only(name string) (value []byte) {
	for i := range h.Fields {
		if f := &h.Fields[i]; equalFold(f.Name, name) {
			if value != nil {
				return nil
			}
			value = f.Value
		}
	}
	return value
}

// Value is the value of the first field of a kind, nil when there is none.
func (h *Head) Value(k Kind) []byte {
	if i := h.first[k]; i > 0 {
		return h.Fields[i-1].Value
	}
	return nil
}

// Has says that there is a field of that kind.
func (h *Head) Has(k Kind) bool { return h.first[k] > 0 }

// Hop says that f concerns this connection only and is not passed on: the hop-by-hop fields (RFC 9110, section 7.6.1)
// and those that Connection names, but for fields that no sender may have removed.
func (h *Head) Hop(f *Field) bool {
	if f.Kind.hop() {
		return true
	}
	if len(h.nominated) == 0 || f.Kind.kept() {
		return false
	}
	for _, name := range h.nominated {
		if bytes.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// Nominates says that Connection names fields that end here, trailers perhaps among them.
func (h *Head) Nominates() bool { return len(h.nominated) > 0 }

// Clear forgets the last message, and keeps its room for the next.
func (h *Head) Clear() {
	clear(h.Fields)
	*h = Head{Fields: h.Fields[:0], nominated: h.nominated[:0]}
}

// firstLine splits raw into its first line, without CRLF, and the rest.
func firstLine(raw []byte) (line, rest []byte, err *HeadError) {
	i := bytes.IndexByte(raw, '\n')
	if i < 1 || raw[i-1] != '\r' {
		return nil, nil, bad("the first line ends in a bare LF; lines end in CRLF")
	}
	return raw[:i-1], raw[i+1:], nil
}

func (h *Head) requestLine(line []byte) *HeadError {
	i := bytes.IndexByte(line, ' ')
	j := bytes.LastIndexByte(line, ' ')
	if i < 1 || i == j {
		return bad("the request line is not \"METHOD target HTTP/1.1\"")
	}
	h.Method, h.Target = line[:i], line[i+1:j]
	if !isToken(h.Method) {
		return bad("the method is not a token")
	}
	if !all(h.Target, targetByte) {
		return bad("the request target is empty or has a space, a control byte, '#' or a byte above 127; percent-encode it")
	}
	return h.version(line[j+1:])
}

func (h *Head) statusLine(line []byte) *HeadError {
	if len(line) < 12 || line[8] != ' ' || (len(line) > 12 && line[12] != ' ') {
		return bad("the status line is not \"HTTP/1.1 200 OK\"")
	}
	if err := h.version(line[:8]); err != nil {
		return err
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return bad("the status is not a number of three digits")
		}
		h.Status = h.Status*10 + int(c-'0')
	}
	if h.Status < 100 {
		return bad("the status is below 100")
	}
	if len(line) > 13 {
		h.Phrase = line[13:]
	}
	if len(h.Phrase) > 0 && !all(h.Phrase, valueByte) {
		return bad("the status line has a control byte")
	}
	return nil
}

func (h *Head) version(v []byte) *HeadError {
	if len(v) != 8 || string(v[:5]) != "HTTP/" || v[6] != '.' || !digit(v[5]) || !digit(v[7]) {
		return bad("the version is not HTTP/1.1 or HTTP/1.0")
	}
	if v[5] != '1' || v[7] > '1' {
		return &HeadError{505, "HTTP/1.1 only is spoken here, and HTTP/1.0; not HTTP/2"}
	}
	h.Minor = int(v[7] - '0')
	return nil
}

// fields reads the field lines of rest, which ends in a blank line.
func (h *Head) fields(rest []byte, limit Limits) *HeadError {
	for {
		line, more, err := fieldLine(rest)
		if err != nil {
			return err
		}
		if len(line) == 2 {
			return nil
		}
		if err := h.field(line, limit); err != nil {
			return err
		}
		rest = more
	}
}

// fieldLine splits rest into its first line, CRLF included, and what follows.
func fieldLine(rest []byte) (line, more []byte, err *HeadError) {
	i := bytes.IndexByte(rest, '\n')
	if i < 1 || rest[i-1] != '\r' {
		return nil, nil, bad("a field line ends in a bare LF; lines end in CRLF")
	}
	return rest[:i+1], rest[i+1:], nil
}

// field reads one field line: name ":" OWS value OWS CRLF (RFC 9112, section 5).
func (h *Head) field(line []byte, limit Limits) *HeadError {
	if len(h.Fields) == limit.Fields {
		return &HeadError{431, fmt.Sprintf("the head has more than %d fields; send less or raise limits.max_header_count", limit.Fields)}
	}
	name, value, err := splitField(line)
	if err != nil {
		return err
	}
	kind := kindOf(name)
	h.Fields = append(h.Fields, Field{line, name, value, kind})
	if h.first[kind] == 0 {
		h.first[kind] = int32(len(h.Fields))
	} else if kind.single() {
		return bad("%s is there twice; send it once", name)
	}
	if kind == Connection {
		return h.connection(value, limit)
	}
	return nil
}

func splitField(line []byte) (name, value []byte, err *HeadError) {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return nil, nil, bad("a field line has no colon")
	}
	name, value = line[:i], trim(line[i+1:len(line)-2])
	if !isToken(name) {
		return nil, nil, bad("a field name is empty, folded, or has a space or another byte that is no token")
	}
	if !all(value, valueByte) {
		return nil, nil, bad("the value of %s has a control byte", name)
	}
	return name, value, nil
}

// connection reads a Connection field: close, keep-alive, upgrade, and names of fields that end here. As every name is compared
// with every field, their number is bounded as well.
func (h *Head) connection(value []byte, limit Limits) *HeadError {
	for len(value) > 0 {
		var item []byte
		item, value = listItem(value)
		switch {
		case len(item) == 0: // an empty list item says nothing
		case equalFold(item, "keep-alive"):
			h.keepAlive = true
		case equalFold(item, "close"):
			h.Close = true
		case equalFold(item, "upgrade"):
			h.upgrade = true
		case len(h.nominated) == limit.Fields:
			return &HeadError{431, fmt.Sprintf("Connection names more than %d fields; name fewer or raise limits.max_header_count", limit.Fields)}
		default:
			h.nominated = append(h.nominated, item)
		}
	}
	return nil
}

// listItem cuts the first item off a comma-separated list.
func listItem(list []byte) (item, rest []byte) {
	item, rest, _ = bytes.Cut(list, comma)
	return trim(item), rest
}

var comma = []byte(",")
