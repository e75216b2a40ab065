package shadow

import (
	"strings"
	"time"

	"mlproxy/monitor"
	"mlproxy/protocol"
	"mlproxy/upstream"
)

// answer is what is compared of an answer.
type answer struct {
	status int
	sum    uint64
	length int64
	whole  bool
	took   time.Duration
	Kept

	// What a comparison reads there.
	body  []byte
	facts *protocol.Facts
	rows  int // 0 = not known
}

// answerLimits are those by which the head was read before.
var answerLimits = upstream.Limits{Bytes: 64 << 10, Fields: 256}

// open reads what a comparison looks at.
func (a *answer) open(c *criteria, path string) (why monitor.Uncompared, ok bool) {
	var h upstream.Head
	if h.ReadAnswer(a.Bytes[:a.Head], answerLimits, false) != nil {
		return monitor.UncomparedUnreadable, false
	}
	encoding := strings.ToLower(string(h.Get("content-encoding")))
	a.body, a.facts = a.Bytes[a.Head:], new(protocol.Facts)
	if c.adapter != nil {
		c.adapter.Response(&protocol.Message{
			Path: path, ContentType: string(h.Get("content-type")), Encoding: encoding, Status: a.status,
			Header: func(name string) string { return string(h.Get(strings.ToLower(name))) }, Body: a.body,
		}, a.facts)
		a.rows = len(a.facts.Outputs)
	}
	if (c.whole || c.adapter == nil) && encoding != "" && encoding != "identity" {
		return monitor.UncomparedEncoding, false
	}
	return 0, true
}
