package protocol

import (
	"errors"
	"strings"
	"time"
)

// Stream is what an answer that comes in events says, and when, as clocked at the read from the model server. It belongs to one
// goroutine at a time, which uses it again after Begin, and calls End or Close after the last Read. However the stream is divided into
// reads, the facts are the same.
type Stream struct {
	FirstToken  time.Duration   // first event with a token, of reasoning or of the answer, since the request was sent; 0: none
	FirstAnswer time.Duration   // first event with a token of the answer or of a call of a tool; 0: none
	LastToken   time.Duration   // last event with a token
	TokenEvents int             // events with tokens; one may carry several
	Gaps        []time.Duration // between events with tokens: the first 4,096
	Outcome     StreamOutcome   // set by End

	adapter  Eventer
	splitter splitter
	inflater *streamInflater // nil when there is no encoding to undo
	read     time.Duration   // of the last read
	talk     talk

	failed    bool // an event was an error
	done      bool // an event said that nothing follows
	unmarked  bool // the protocol marks no end, so that the end of the stream completes it
	cancelled bool
	tight     bool // there was no room to undo the encoding
}

const maxGaps = 4096

// StreamOutcome is how a stream ended.
type StreamOutcome uint8

// Outcomes, as the label outcome of mlproxy_stream_end_total has them.
const (
	StreamComplete     StreamOutcome = iota // every choice came to its end
	StreamTruncated                         // broken off, or ended while a choice was not finished
	StreamError                             // an event was an error
	StreamClientCancel                      // the client left before the end
	StreamOutcomes                          // how many there are
)

var streamOutcomes = [StreamOutcomes]string{"complete", "truncated", "error", "client_cancel"}

func (o StreamOutcome) String() string { return streamOutcomes[o] }

// Begin forgets the last stream. Of an adapter that is no Eventer the events are not read, only the end is judged.
func (s *Stream) Begin(a Adapter, contentType, encoding string) {
	eventer, _ := a.(Eventer)
	s.Close()
	*s = Stream{
		Gaps: s.Gaps[:0], adapter: eventer, splitter: s.splitter, talk: s.talk, unmarked: eventer == nil,
	}
	s.talk.reset()
	s.splitter.reset(framingFor(contentType))
	if encoding = strings.ToLower(strings.TrimSpace(encoding)); eventer != nil && encoding != "" && encoding != "identity" {
		s.undo(encoding)
	}
}

// undo has the stream read through a reader of its encoding, if there is one, and room for it.
func (s *Stream) undo(encoding string) {
	if costs[encoding] == 0 {
		s.giveUp(EncodingUnsupported)
		return
	}
	s.inflater = inflateStream(encoding)
	if s.inflater == nil {
		s.adapter, s.unmarked, s.tight = nil, true, true
	}
}

// Tight says that the stream is not read, because too many are that have an encoding.
func (s *Stream) Tight() bool { return s.tight }

// giveUp has the rest of the stream pass unread.
func (s *Stream) giveUp(reason ExtractReason) {
	s.talk.fault(reason)
	s.adapter, s.unmarked = nil, true
	s.Close()
}

// Close lets go of what reads the stream's encoding: nothing more of it will be read. It may be called at any time.
func (s *Stream) Close() {
	if s.inflater != nil {
		s.inflater.close()
		s.inflater = nil
	}
}

// framingFor is what the content type says.
func framingFor(contentType string) framing {
	switch strings.ToLower(mediaType(contentType)) {
	case "text/event-stream":
		return eventStream
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json-lines":
		return jsonLines
	}
	return unframed
}

// Read takes the next piece of the stream, divided anyhow, at the time since the request was sent.
func (s *Stream) Read(p []byte, at time.Duration) {
	if s.adapter == nil {
		return
	}
	s.read = max(at, 1)
	if s.inflater == nil {
		s.plain(p)
		return
	}
	switch err := s.inflater.read(p, s.plain); {
	case errors.Is(err, errTooLarge):
		s.giveUp(TooLarge)
	case err != nil:
		s.giveUp(EncodingBroken)
	}
}

// plain takes the next piece without encoding.
func (s *Stream) plain(p []byte) {
	for len(p) > 0 {
		event, rest, found := s.splitter.next(p)
		if found {
			s.event(event)
		}
		p = rest
	}
}

func (s *Stream) event(data []byte) {
	switch {
	case s.splitter.failed:
		s.failed = true
	case string(data) == "[DONE]":
		s.done = true
		return
	}
	s.adapter.Event(data, s.read, s)
}

// Cancel notes that the client left; End then blames nobody for what is missing.
func (s *Stream) Cancel() { s.cancelled = true }

// End judges the stream and adds to the facts, which are those of the request, what it said; clean is false if it broke off.
func (s *Stream) End(clean bool, f *Facts) {
	s.Close()
	if event, found := s.splitter.end(); found && clean && s.adapter != nil {
		s.event(event)
	}
	for len(s.talk.choices) < min(f.answers(), maxChoices) && !s.unmarked {
		s.talk.choice(len(s.talk.choices))
	}
	s.Outcome = s.judge(clean)
	s.talk.faults[TooLarge] += s.splitter.skipped
	if t := &s.talk; !t.tokens.Known && t.spoken > 0 {
		t.tokens = Tokens{Completion: t.spoken, Known: true, Estimated: true}
	}
	s.talk.report(f)
	for i := range s.talk.choices {
		f.addChoice(&s.talk.choices[i], s.missing(&s.talk.choices[i]))
	}
}

// judge says how the stream ended. What the model server finished was finished, whoever left afterwards.
func (s *Stream) judge(clean bool) StreamOutcome {
	switch {
	case s.failed:
		return StreamError
	case s.finished() && (clean || s.done):
		return StreamComplete
	case s.cancelled:
		return StreamClientCancel
	}
	return StreamTruncated
}

func (s *Stream) finished() bool {
	for i := range s.talk.choices {
		if s.talk.choices[i].finish == "" && !s.unmarked {
			return false
		}
	}
	return len(s.talk.choices) > 0 || s.unmarked
}

// missing is why c has no prediction.
func (s *Stream) missing(c *choice) MissingReason {
	over := c.finish != "" || s.Outcome == StreamComplete
	switch {
	case over && c.answered:
		return MissingNone
	case over:
		return MissingNoContent
	case s.Outcome == StreamError:
		return MissingErrorInStream
	case s.Outcome == StreamTruncated:
		return MissingTruncatedStream
	}
	return MissingNone
}

// token notes that the event now read carries a token; answer is false if it is one of reasoning. Call it once an event.
func (s *Stream) token(at time.Duration, answer bool) {
	if s.FirstToken == 0 {
		s.FirstToken = at
	} else if len(s.Gaps) < maxGaps {
		s.Gaps = append(s.Gaps, at-s.LastToken)
	}
	if answer && s.FirstAnswer == 0 {
		s.FirstAnswer = at
	}
	s.LastToken = at
	s.TokenEvents++
}
