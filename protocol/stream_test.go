package protocol

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	speaker = `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n"
	think   = `data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}` + "\n\n"
	hello   = `data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}` + "\n\n"
	stop    = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	usage   = `data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}` + "\n\n"
	broken  = `data: {"error":{"message":"out of memory"}}` + "\n\n"
	done    = "data: [DONE]\n\n"
)

// TestStreamClock reads one event every second, the first after one.
func TestStreamClock(t *testing.T) {
	f := func(token, answer int, gaps []int, events ...string) {
		t.Helper()
		var s Stream
		s.Begin(openai{}, "text/event-stream", "")
		for i, event := range events {
			s.Read([]byte(event), time.Duration(i+1)*time.Second)
		}
		s.End(true, new(Facts))
		var seconds []int
		for _, gap := range s.Gaps {
			seconds = append(seconds, int(gap/time.Second))
		}
		if s.FirstToken != time.Duration(token)*time.Second || s.FirstAnswer != time.Duration(answer)*time.Second || !slices.Equal(seconds, gaps) {
			t.Errorf("first token %v, first answer %v, gaps %v; want %d s, %d s, %d s", s.FirstToken, s.FirstAnswer, s.Gaps, token, answer, gaps)
		}
	}
	f(0, 0, nil)
	f(0, 0, nil, speaker, stop, usage, done)
	f(2, 2, nil, speaker, hello, stop, done)
	f(2, 2, []int{1}, ": ping\n\n", hello, hello, stop)
	f(2, 4, []int{1, 1, 2}, speaker, think, think, hello, ": ping\n\n", hello, stop)
	f(1, 1, []int{0}, hello+hello)
	// An event counts when it is whole.
	f(2, 2, []int{0, 1}, hello[:20], hello[20:]+hello, hello)
	f(1, 1, []int{1}, hello, strings.TrimSuffix(hello, "\n\n"))
}

func TestStreamOutcome(t *testing.T) {
	f := func(want StreamOutcome, missing MissingReason, clean, cancelled bool, events ...string) {
		t.Helper()
		var s Stream
		var facts Facts
		s.Begin(openai{}, "text/event-stream", "identity")
		s.Read([]byte(strings.Join(events, "")), time.Second)
		if cancelled {
			s.Cancel()
		}
		s.End(clean, &facts)
		if s.Outcome != want || len(facts.Outputs) != 1 || facts.Outputs[0].Missing != missing {
			t.Errorf("%q, clean %t, cancelled %t: %s %+v; want %s, missing %s", events, clean, cancelled, s.Outcome, facts.Outputs, want, missing)
		}
	}
	f(StreamComplete, MissingNone, true, false, speaker, hello, stop, done)
	f(StreamComplete, MissingNone, true, false, hello, stop)
	f(StreamComplete, MissingNone, false, false, hello, stop, done)
	f(StreamComplete, MissingNone, false, true, hello, stop, done)
	f(StreamComplete, MissingNoContent, true, false, speaker, think, stop, done)
	f(StreamTruncated, MissingTruncatedStream, true, false, hello)
	f(StreamTruncated, MissingTruncatedStream, true, false, hello, done)
	f(StreamTruncated, MissingTruncatedStream, true, false)
	f(StreamTruncated, MissingTruncatedStream, false, false, hello)
	f(StreamTruncated, MissingNone, false, false, hello, stop)
	f(StreamError, MissingErrorInStream, true, false, hello, broken, done)
	f(StreamError, MissingErrorInStream, false, false, broken)
	f(StreamError, MissingErrorInStream, true, false, "event: error\ndata: {}\n\n")
	f(StreamError, MissingErrorInStream, true, false, "event: error\ndata: out of memory\n\n")
	f(StreamClientCancel, MissingNone, false, true, hello)
	f(StreamClientCancel, MissingNone, true, true, speaker)
}

func TestStreamOfAnAdapterThatReadsNone(t *testing.T) {
	f := func(want StreamOutcome, clean, cancelled bool) {
		t.Helper()
		var s Stream
		s.Begin(none{}, "text/event-stream", "")
		s.Read([]byte(hello+broken), time.Second)
		if cancelled {
			s.Cancel()
		}
		var facts Facts
		s.End(clean, &facts)
		if s.Outcome != want || s.FirstToken != 0 || len(facts.Outputs) > 0 {
			t.Errorf("%s %v %+v, want %s", s.Outcome, s.FirstToken, facts.Outputs, want)
		}
	}
	f(StreamComplete, true, false)
	f(StreamTruncated, false, false)
	f(StreamClientCancel, false, true)
}

func TestStreamIsBounded(t *testing.T) {
	var s Stream
	var f Facts
	s.Begin(openai{}, "text/event-stream", "")
	long := `data: {"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("é", 1000) + `"}}]}` + "\n\n"
	for range 2 * maxGaps {
		s.Read([]byte(long), time.Second)
	}
	s.Read([]byte(`data: {"choices":[{"index":1000000,"delta":{"content":"x"}},{"index":-1,"text":"x"}]}`+"\n\n"), time.Second)
	s.Read([]byte("data: {\n\n"), time.Second)
	s.Read([]byte("data: "+strings.Repeat("x", maxEvent)+"\n\n"), time.Second)
	s.End(true, &f)
	if len(s.Gaps) != maxGaps || s.TokenEvents != 2*maxGaps {
		t.Errorf("%d gaps, %d events with tokens", len(s.Gaps), s.TokenEvents)
	}
	if n := len(f.Outputs[0].Text); n != maxText || len(f.Outputs) != 1 {
		t.Errorf("%d bytes of text, %d outputs", n, len(f.Outputs))
	}
	if f.Faults[TooLarge] != 3 || f.Faults[BadEvent] != 1 {
		t.Errorf("faults %v", f.Faults)
	}
}

func TestAllocStream(t *testing.T) {
	stream := []byte(speaker + think + strings.Repeat(hello, 50) + stop + usage + done)
	var s Stream
	var f Facts
	if n := testing.AllocsPerRun(100, func() {
		f.Reset()
		s.Begin(openai{}, "text/event-stream", "")
		for piece := range slices.Chunk(stream, 300) {
			s.Read(piece, time.Second)
		}
		s.End(true, &f)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s.Outcome != StreamComplete || s.TokenEvents != 51 {
		t.Errorf("%s, %d events with tokens", s.Outcome, s.TokenEvents)
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte(speaker+think+hello+stop+usage+done), uint8(3), true)
	f.Add([]byte(hello+broken), uint8(1), false)
	f.Add([]byte(`data: {"token":{"text":"a","logprob":-1},"generated_text":"a","details":{"finish_reason":"length","generated_tokens":1}}`), uint8(7), true)
	f.Add([]byte(`{"content":"a","stop":true,"stop_type":"eos","tokens_predicted":1,"tokens_evaluated":1}`+"\n"), uint8(2), true)
	var whole, pieces Stream
	f.Fuzz(func(t *testing.T, stream []byte, size uint8, clean bool) {
		var want, got Facts
		whole.Begin(openai{}, "", "")
		whole.Read(stream, time.Second)
		whole.End(clean, &want)
		pieces.Begin(openai{}, "", "")
		for piece := range slices.Chunk(stream, max(1, int(size))) {
			pieces.Read(piece, time.Second)
		}
		pieces.End(clean, &got)
		if shown(&got) != shown(&want) || whole.Outcome != pieces.Outcome || whole.TokenEvents != pieces.TokenEvents {
			t.Errorf("in pieces %s %s\nat once %s %s", pieces.Outcome, shown(&got), whole.Outcome, shown(&want))
		}
	})
}

func BenchmarkHowLongDoesAnEventTake(b *testing.B) {
	event := []byte(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"llama","choices":[{"index":0,` +
		`"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}]}` + "\n\n")
	var s Stream
	s.Begin(openai{}, "text/event-stream", "")
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		s.Read(event, time.Second)
	}
}
