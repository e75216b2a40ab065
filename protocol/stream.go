package protocol

import "time"

// Stream is what an answer that came in events said, and when, as clocked at the read from the model server.
type Stream struct {
	FirstToken  time.Duration   // first event with a token, of reasoning or of the answer, since the request was sent; 0: none
	FirstAnswer time.Duration   // first event with a token of the answer; 0: none
	Gaps        []time.Duration // between events with tokens; bounded
	Outcome     StreamOutcome
}

// StreamOutcome is how a stream ended.
type StreamOutcome uint8

// Outcomes, as the label outcome of mlproxy_stream_end_total has them.
const (
	StreamComplete StreamOutcome = iota
	StreamTruncated
	StreamError
	StreamClientCancel
	StreamOutcomes // how many there are
)

var streamOutcomes = [StreamOutcomes]string{"complete", "truncated", "error", "client_cancel"}

func (o StreamOutcome) String() string { return streamOutcomes[o] }

// Read takes the next piece of the stream, divided anyhow.
func (s *Stream) Read(p []byte, at time.Duration) {}

// End notes in the facts what the stream said; clean is false if it broke off.
func (s *Stream) End(clean bool, f *Facts) {}

// Begin forgets the last stream.
func (s *Stream) Begin(_ Adapter, _, _ string) { *s = Stream{Gaps: s.Gaps[:0]} }

// Cancel notes that the client left before the end.
func (s *Stream) Cancel() {}
