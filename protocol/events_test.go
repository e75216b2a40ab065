package protocol

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// split cuts stream into events, handing it over in pieces of the sizes given, over and over; all at once without sizes.
func split(s *splitter, f framing, stream []byte, sizes ...int) (events []string) {
	s.reset(f)
	for i := 0; len(stream) > 0; i++ {
		size := len(stream)
		if len(sizes) > 0 {
			size = min(size, max(1, sizes[i%len(sizes)]))
		}
		// A copy, gone afterwards: an event may not hold on to the piece it came in.
		piece := bytes.Clone(stream[:size])
		for rest := piece; len(rest) > 0; {
			event, after, found := s.next(rest)
			if found {
				events = append(events, string(event))
			}
			rest = after
		}
		for i := range piece {
			piece[i] = 0xff
		}
		stream = stream[size:]
	}
	if event, found := s.end(); found {
		events = append(events, string(event))
	}
	return events
}

func TestSplitter(t *testing.T) {
	f := func(kind framing, stream string, want ...string) {
		t.Helper()
		var s splitter
		for size := 0; size <= len(stream); size++ {
			sizes := []int{size, len(stream)} // cut once, at every byte; all at once first
			if size == 0 {
				sizes = []int{1} // and byte by byte
			}
			if got := split(&s, kind, []byte(stream), sizes...); !slices.Equal(got, want) {
				t.Errorf("%q in pieces of %v: %q, want %q", stream, sizes, got, want)
			}
		}
	}
	for _, kind := range []framing{eventStream, unframed} {
		f(kind, "")
		f(kind, "data: a\n\ndata: b\n\n", "a", "b")
		f(kind, "data: a\r\n\r\ndata: b\r\n\r\n", "a", "b")
		f(kind, "data: a\r\rdata: b\r\r", "a", "b")
		f(kind, "data: a\r\n\ndata: b\n\r\n", "a", "b")
		f(kind, "data:a\n\n", "a")
		f(kind, "data:  a \n\n", " a ")
		f(kind, "data: a\ndata: b\ndata\n\n", "a\nb\n")
		f(kind, "data\n\n", "")
		f(kind, ": ping\n\n: ping\ndata: a\n: ping\n\n", "a")
		f(kind, "event: token\nid: 7\nretry: 10\nnonsense\ndata: a\n\n", "a")
		f(kind, "\xef\xbb\xbfdata: a\n\n", "a")
		f(kind, "data: a\n\n\n\n\ndata: b", "a", "b")
		f(kind, "data: a\ndata: b", "a\nb")
		f(kind, "data: a\n", "a")
		f(kind, "data: näß 日本 🙂\n\n", "näß 日本 🙂")
		f(kind, "event: x\n\nid: 3\n\n")
	}
	for _, kind := range []framing{jsonLines, unframed} {
		f(kind, "{\"a\":1}\n{\"b\":2}\r\n\n  [3] \n{\"end\"", `{"a":1}`, `{"b":2}`, `[3]`, `{"end"`)
		f(kind, "\xef\xbb\xbf\n{}\r{}", "{}", "{}")
	}
}

func TestSplitterKnowsAnErrorByItsType(t *testing.T) {
	var s splitter
	stream := []byte("event: error\ndata: a\n\ndata: b\n\n")
	_, rest, found := s.next(stream)
	if !found || !s.failed {
		t.Errorf("the event with type error: found %t, failed %t", found, s.failed)
	}
	if _, _, found = s.next(rest); !found || s.failed {
		t.Errorf("the event after it: found %t, failed %t", found, s.failed)
	}
}

func TestSplitterPassesOverWhatIsTooLong(t *testing.T) {
	long := strings.Repeat("x", maxEvent+1)
	f := func(kind framing, stream string) {
		t.Helper()
		for _, size := range []int{1 << 10, 4 << 20} {
			var s splitter
			got := split(&s, kind, []byte(stream), size)
			if !slices.Equal(got, []string{`{"a":1}`, `{"b":2}`}) || s.skipped != 1 {
				t.Errorf("pieces of %d: %d events, %d skipped; want 2, 1", size, len(got), s.skipped)
			}
			if kept := cap(s.line) + cap(s.data); kept > 4*maxEvent {
				t.Errorf("pieces of %d: holds %d bytes", size, kept)
			}
			if s.reset(kind); cap(s.line)+cap(s.data) > 64<<10 {
				t.Error("large buffers are kept for the next stream")
			}
		}
	}
	f(eventStream, "data: {\"a\":1}\n\ndata: "+long+"\n\ndata: {\"b\":2}\n\n")
	f(eventStream, "data: {\"a\":1}\n\n"+strings.Repeat("data: 0123456789\n", 1<<17)+"\ndata: {\"b\":2}\n\n")
	f(jsonLines, "{\"a\":1}\n"+long+"\n{\"b\":2}\n")
}

func FuzzSplitter(f *testing.F) {
	for _, seed := range []string{
		"data: a\n\ndata: b\n\n", "data:a\r\ndata\r\n\r\n", ": ping\rdata: a\r\r", "\xef\xbb\xbfdata: ä\n", "{}\n[]\r\n", " \n{\n", "event: error\ndata: 1\n\n",
	} {
		f.Add([]byte(seed), uint8(1), uint8(3), uint8(0))
	}
	f.Fuzz(func(t *testing.T, stream []byte, one, two, kind uint8) {
		var s splitter
		want := split(&s, framing(kind%3), stream)
		if got := split(&s, framing(kind%3), stream, int(one), int(two)); !slices.Equal(got, want) {
			t.Errorf("in pieces %q, at once %q", got, want)
		}
		for _, event := range want {
			if strings.Contains(event, "\r") {
				t.Errorf("%q holds the end of a line", event)
			}
		}
	})
}

func TestAllocSplitter(t *testing.T) {
	stream := []byte(strings.Repeat("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n", 64))
	var s splitter
	s.reset(eventStream)
	if n := testing.AllocsPerRun(100, func() {
		for from := 0; from < len(stream); from += 100 {
			for rest := stream[from:min(from+100, len(stream))]; len(rest) > 0; {
				_, rest, _ = s.next(rest)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHowLongDoesSplittingAStreamTake(b *testing.B) {
	stream := []byte(strings.Repeat("data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n", 256))
	var s splitter
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := stream; len(rest) > 0; {
			_, rest, _ = s.next(rest)
		}
	}
}
