package monitor

import (
	"bytes"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"mlproxy/protocol"
)

// Capture is what is copied of one exchange for the inspector. The request's body and the answer's may be copied at once, by one goroutine
// each; the rest is one goroutine's. All of it is memory that the inspector uses again: nothing of it may be kept.
type Capture struct {
	inspector *Inspector
	adapter   protocol.Adapter
	meter     *ModelMeter
	record    Record
	seen      Observation
	text      []byte // what the record's bytes are views of

	request, answer message
	stream          protocol.Stream
	streams         bool // the answer comes as events, and is read as it passes
	failed          bool // the adapter failed in it
	cancelled       bool // its client left
}

// message is a request or an answer as far as it was copied.
type message struct {
	limit  int
	length int // of the whole body; 0: not known
	held   *atomic.Int64
	fields []byte // name, ": ", value, CRLF of each
	kind   string // Content-Type
	coding string // Content-Encoding
	body   []byte
	cut    bool // the body went on
	tight  bool // there was no room for the body
	path   string
	status int
	look   func(name string) string // header, bound once
}

// keptBody is how large a body's room may be that stays with a capture when it is used again.
const keptBody = 16 << 10

func newCapture(i *Inspector) *Capture {
	c := &Capture{inspector: i}
	for _, m := range []*message{&c.request, &c.answer} {
		m.held, m.look = &i.held, m.header
	}
	return c
}

// begin readies the capture for an exchange.
func (c *Capture) begin(a protocol.Adapter, limit int64) {
	c.adapter, c.meter = a, nil
	c.streams, c.failed, c.cancelled = false, false, false
	for _, m := range []*message{&c.request, &c.answer} {
		m.limit, m.length = int(min(limit, math.MaxInt32)), 0
		m.fields, m.body, m.cut, m.tight = m.fields[:0], m.body[:0], false, false
		m.kind, m.coding = "", ""
		m.path, m.status = "", 0
		m.held.Add(int64(cap(m.body)))
	}
}

// release gives back what the capture holds.
func (c *Capture) release() {
	for _, m := range []*message{&c.request, &c.answer} {
		m.held.Add(-int64(cap(m.body)))
		if cap(m.body) > keptBody {
			m.body = nil
		}
	}
	c.stream.Close()
	c.record, c.seen = Record{}, Observation{}
}

// Request begins the request's copy; length is the body's, 0 when it is not known.
func (c *Capture) Request(length int64) { c.request.expect(length) }

// Answer begins the answer's copy. The status and the fields that the adapter asks for by name must be known by then: an answer that
// comes as events is read as it passes, and not copied.
func (c *Capture) Answer(status int, length int64) {
	c.answer.status = status
	c.answer.expect(length)
	if _, able := c.adapter.(protocol.Eventer); able && comesAsEvents(c.answer.kind) {
		c.streams = true
		c.startStream()
	}
}

// RequestField copies a field of the request's head.
func (c *Capture) RequestField(name, value []byte) { c.request.field(name, value) }

// AnswerField copies a field of the answer's head.
func (c *Capture) AnswerField(name, value []byte) { c.answer.field(name, value) }

// RequestBody copies a piece of the request's body, as far as there is room.
func (c *Capture) RequestBody(piece []byte) { c.request.add(piece) }

// Streams says that the answer is read as it passes, so that the time of each piece counts.
func (c *Capture) Streams() bool { return c.streams }

// AnswerBody copies a piece of the answer's body, or reads it when it comes as events; at is the time since the request was sent at which
// it was read from the model server.
func (c *Capture) AnswerBody(piece []byte, at time.Duration) {
	if !c.streams {
		c.answer.add(piece)
		return
	}
	c.guard(func() { c.stream.Read(piece, at) })
}

// WantsRequest says that more of the request's body would be copied; of no capture nothing is.
func (c *Capture) WantsRequest() bool { return c != nil && c.request.wants() }

// WantsAnswer says that more of the answer's body would be copied, or read as it passes.
func (c *Capture) WantsAnswer() bool { return c != nil && (c.streams || c.answer.wants()) }

// Answered says that a model server's answer has begun.
func (c *Capture) Answered() bool { return c.answer.status != 0 }

// CutRequest says that the request did not come whole.
func (c *Capture) CutRequest() { c.request.cut = true }

// guard keeps a fault of an adapter from the exchange.
func (c *Capture) guard(read func()) {
	if c.failed {
		return
	}
	defer func() {
		if recover() != nil {
			c.failed = true
		}
	}()
	read()
}

// tight says that there was no room for what should have been copied.
func (c *Capture) tight() bool {
	return c.request.tight || c.answer.tight || c.streams && c.stream.Tight()
}

// end is the end of the exchange of which r tells: the capture keeps a copy of it.
func (c *Capture) end(meter *ModelMeter, r *Record, path []byte) {
	c.meter, c.record, c.seen = meter, *r, *r.Seen
	c.record.Seen = &c.seen
	c.text = c.text[:0]
	for _, view := range []*[]byte{
		&c.record.RequestID, &c.record.Client, &c.record.Method, &c.record.Host, &c.record.Path, &c.record.UserAgent,
		&c.record.Traceparent, &c.record.Key,
	} {
		*view = c.keep(*view)
	}
	c.request.path = string(path)
	c.stream.Close() // all of it is read, and to wait for a worker may take long
	c.cancelled = r.Seen.Reason == ClientGone || r.Seen.Reason == RequestTimeout
	c.answer.cut = c.answer.cut || r.Seen.Reason != None
}

// keep copies b into the capture's own memory. Earlier views stay valid when it grows: they keep the old.
func (c *Capture) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	from := len(c.text)
	c.text = append(c.text, b...)
	return c.text[from:len(c.text):len(c.text)]
}

func (m *message) expect(length int64) {
	if length <= int64(m.limit) {
		m.length = int(max(length, 0))
	}
}

// field copies a field. Of the two that are always asked for the first counts, as of all.
func (m *message) field(name, value []byte) {
	switch {
	case len(name) == len("Content-Type") && m.kind == "" && bytes.EqualFold(name, []byte("Content-Type")):
		m.kind = common(value)
	case len(name) == len("Content-Encoding") && m.coding == "" && bytes.EqualFold(name, []byte("Content-Encoding")):
		m.coding = common(value)
	}
	m.fields = append(append(append(append(m.fields, name...), ": "...), value...), "\r\n"...)
}

// common is value as a string, which the usual ones are already.
func common(value []byte) string {
	switch string(value) {
	case "application/json":
		return "application/json"
	case "text/event-stream":
		return "text/event-stream"
	case "gzip":
		return "gzip"
	}
	return string(value)
}

func (m *message) wants() bool { return !m.cut && !m.tight }

// add copies a piece. The room doubles until it is that of the whole: what a peer claims to send takes none.
func (m *message) add(piece []byte) {
	if !m.wants() {
		return
	}
	if left := m.limit - len(m.body); len(piece) > left {
		piece, m.cut = piece[:left], true
	}
	if need := len(m.body) + len(piece); need > cap(m.body) && !m.grow(need) {
		m.tight = true
		return
	}
	m.body = append(m.body, piece...)
}

func (m *message) grow(need int) bool {
	room := max(need, 2*cap(m.body), 1<<10)
	if m.length >= need {
		room = min(room, m.length)
	}
	more := int64(room - cap(m.body))
	if m.held.Add(more) > mostHeld {
		m.held.Add(-more)
		return false
	}
	m.body = append(make([]byte, 0, room), m.body...)
	return true
}

// header is the value of the first field of that name, in any case.
func (m *message) header(name string) string {
	for rest := m.fields; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return string(line[len(name)+len(": "):])
		}
	}
	return ""
}

// plain is the body if all of it is there, as it was before any encoding.
func (m *message) plain() []byte {
	if m.cut || m.coding != "" && !strings.EqualFold(m.coding, "identity") {
		return nil
	}
	return m.body
}

// read is the message as adapters have it.
func (m *message) read() protocol.Message {
	return protocol.Message{
		Path: m.path, ContentType: m.kind, Encoding: m.coding, Status: m.status,
		Header: m.look, Body: m.body, Cut: m.cut,
	}
}

// comesAsEvents says that a body of that type is a stream of events.
func comesAsEvents(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "text/event-stream", "application/x-ndjson":
		return true
	}
	return false
}

// startStream readies the reading of an answer that comes as events.
func (c *Capture) startStream() {
	c.guard(func() {
		c.stream.Begin(c.adapter, c.answer.kind, c.answer.coding)
	})
}

// endStream adds what the stream said to the facts.
func (c *Capture) endStream(facts *protocol.Facts) {
	if c.cancelled {
		c.stream.Cancel()
	}
	c.stream.End(!c.answer.cut, facts)
}
