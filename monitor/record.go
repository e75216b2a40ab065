package monitor

import (
	"time"

	"mlproxy/protocol"
)

// Record is the evidence of one finished exchange, for those who keep exchanges one by one. What came from the client is
// untrusted bytes of the exchange itself: they are good only as long as the record is being offered, and must be copied to be kept.
// There is no query in it and no credential, and a body only after an inspection.
type Record struct {
	// At is when the head of the request had come.
	At time.Time
	// RequestID is the exchange's, as the answer has it.
	RequestID []byte
	// Client is the address of the client as far as it can be believed.
	Client []byte
	// Method, Host (without port) and Path (without query) are the request's, as they came; empty where it could not be read so far.
	Method, Host, Path []byte
	// Protocol is HTTP/1.0 or HTTP/1.1; empty when the request could not be read.
	Protocol string
	// UserAgent is what the client says it is.
	UserAgent []byte
	// Route, Pool and Endpoint are where the exchange went, as far as it came; the endpoint is the last that was tried.
	Route, Pool, Endpoint string
	// APIKey is the name of the client's API key; empty where the route asks for none, or the client has none.
	APIKey string
	// AssignedBy says what decided the choice of the pool; empty when none was chosen.
	AssignedBy string
	// FailedOverFrom is the pool that was chosen when another one served in its place; else empty.
	FailedOverFrom string
	// Tries counts the endpoints that were tried: more than 1 is a retry, 0 is none.
	Tries int
	// Traceparent is what the client says of its trace (W3C Trace Context), as it came; nil when it says nothing.
	Traceparent []byte
	// SentAt is when the request went to a model server first; it counts only if Seen.Sent.
	SentAt time.Time
	// Seen is what the meter was told.
	Seen *Observation
	// Key is the sticky key; nil when there is none.
	Key []byte
	// Facts are what was read from the bodies, nil unless the exchange was inspected, as the share Sampled of its route's exchanges is.
	Facts   *protocol.Facts
	Sampled float64
	// Stream is how the answer came, nil unless it came as events.
	Stream *protocol.Stream
	// Asked and Answered are the bodies as far as they were copied for inspection; nil where a body was compressed, cut, or not copied.
	Asked, Answered []byte
}

// AccessDropped counts lines of the access log that were not written.
func (r *Registry) AccessDropped(lines int) { r.series.accessDropped.Add(float64(lines)) }

// RateForgotten counts a client's rate limit that was forgotten before it had ended, because there was no room.
func (r *Registry) RateForgotten() { r.series.rateForgotten.Inc() }

// JournalDropped counts predictions that were to be in the journal, and were not written.
func (r *Registry) JournalDropped(lines int) { r.series.journalDropped.Add(float64(lines)) }

// TraceDropped counts spans that reached no collector.
func (r *Registry) TraceDropped(spans int) { r.series.traceDropped.Add(float64(spans)) }
