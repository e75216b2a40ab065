package protocol

import (
	"bytes"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// flushed is a stream whose pieces can each be inflated as soon as they arrive.
func flushed(t testing.TB, encoding string, pieces ...string) (wire [][]byte) {
	t.Helper()
	var b bytes.Buffer
	w, err := encodings[encoding](&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range pieces {
		if _, err := w.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
		if err := w.(interface{ Flush() error }).Flush(); err != nil {
			t.Fatal(err)
		}
		wire = append(wire, bytes.Clone(b.Bytes()))
		b.Reset()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(wire, b.Bytes())
}

func TestEncodedStreams(t *testing.T) {
	for e := range encodings {
		wire := flushed(t, e, speaker, think, hello, hello, stop+usage, done)
		var s Stream
		read := func(pieces [][]byte, seconds bool) (f Facts) {
			s.Begin(openai{}, "text/event-stream", called(e))
			for i, piece := range pieces {
				at := time.Second
				if seconds {
					at *= time.Duration(i + 1)
				}
				s.Read(piece, at)
			}
			s.End(true, &f)
			if s.Outcome != StreamComplete || len(f.Outputs) != 1 || string(f.Outputs[0].Text) != "HiHi" || f.Tokens.Completion != 2 ||
				s.TokenEvents != 3 || f.Faults != [ExtractReasons]int{} {
				t.Errorf("%s: %s, %d events with tokens, %s", e, s.Outcome, s.TokenEvents, shown(&f))
			}
			return f
		}
		read(wire, true)
		if s.FirstToken != 2*time.Second || s.FirstAnswer != 3*time.Second || s.LastToken != 4*time.Second {
			t.Errorf("%s: tokens at %v, %v, %v: the events are not read as they arrive", e, s.FirstToken, s.FirstAnswer, s.LastToken)
		}
		all := slices.Concat(wire...)
		for size := 1; size <= len(all); size++ {
			read(slices.Collect(slices.Chunk(bytes.Clone(all), size)), false)
		}
	}
}

func TestEncodedStreamsThatCannotBeRead(t *testing.T) {
	f := func(encoding string, reason ExtractReason, clean bool, want StreamOutcome, pieces ...[]byte) {
		t.Helper()
		var s Stream
		var facts Facts
		s.Begin(openai{}, "text/event-stream", encoding)
		for _, piece := range pieces {
			s.Read(piece, time.Second)
		}
		s.End(clean, &facts)
		var faults [ExtractReasons]int
		if reason < ExtractReasons {
			faults[reason] = 1
		}
		if facts.Faults != faults || s.Outcome != want {
			t.Errorf("%s: faults %v, %s; want %s", encoding, facts.Faults, s.Outcome, want)
		}
	}
	f("compress", EncodingUnsupported, true, StreamComplete, []byte(hello))
	f("gzip, br", EncodingUnsupported, false, StreamTruncated, []byte(hello))
	for e := range encodings {
		wire := flushed(t, e, hello, stop)
		f(called(e), ExtractReasons, true, StreamComplete, wire[0], wire[1]) // without its last bytes
		f(called(e), ExtractReasons, false, StreamTruncated, wire[0])
		f(called(e), ExtractReasons, true, StreamTruncated)
		f(called(e), EncodingBroken, true, StreamComplete, []byte("data: this is not compressed at all\n\n"), []byte(hello))
		zeros := deflated(t, e, []byte(strings.Repeat("\n", 16<<20)))
		f(called(e), TooLarge, true, StreamComplete, zeros)
	}
}

// Readers of encodings hold memory while a stream lasts. What they may hold together is bounded, and given back however a stream ends.
func TestEncodedStreamsAtOnce(t *testing.T) {
	open := inflatingNow.Load()
	wire := flushed(t, "br", hello, stop)
	streams := make([]Stream, maxInflating/costs["br"]+1)
	for i := range streams {
		streams[i].Begin(openai{}, "text/event-stream", " BR")
		streams[i].Read(wire[0], time.Second)
	}
	for i := range streams {
		s, last := &streams[i], i == len(streams)-1
		if s.Tight() != last || (s.TokenEvents == 0) != last {
			t.Errorf("stream %d: tight %v, %d events with tokens", i, s.Tight(), s.TokenEvents)
		}
		switch i % 3 {
		case 0:
			s.End(false, new(Facts))
		case 1:
			s.Close()
			s.Close()
		case 2:
			s.Begin(openai{}, "text/event-stream", "")
		}
	}
	if now := inflatingNow.Load(); now != open {
		t.Errorf("%d bytes are held for streams that ended", now-open)
	}
}

// A reader of an encoding that panics costs its stream, and nothing else.
func TestEncodedStreamsWhoseReaderFails(t *testing.T) {
	i := new(streamInflater)
	i.next, i.stop = iter.Pull(func(yield func([]byte) bool) {
		i.run("gzip", func([]byte) bool { panic("broken") })
	})
	if err := i.read([]byte("x"), func([]byte) { t.Error("read") }); !errors.Is(err, errInflater) {
		t.Errorf("%v", err)
	}
	i.close()
}

// Whatever a server sends as encoded, and however it is divided, it is read within bounds and the same, and nothing is left of what read it.
func FuzzEncodedStream(f *testing.F) {
	names := slices.Sorted(maps.Keys(encodings))
	for i, e := range names {
		f.Add(uint8(i), slices.Concat(flushed(f, e, speaker, hello, stop, done)...), uint8(7))
		f.Add(uint8(i), deflated(f, e, bytes.Repeat([]byte("\n"), 2<<20)), uint8(200))
	}
	var whole, pieces Stream
	f.Fuzz(func(t *testing.T, encoding uint8, stream []byte, size uint8) {
		e := called(names[int(encoding)%len(names)])
		var want, got Facts
		whole.Begin(openai{}, "text/event-stream", e)
		whole.Read(stream, time.Second)
		whole.End(true, &want)
		pieces.Begin(openai{}, "text/event-stream", e)
		for piece := range slices.Chunk(stream, max(1, int(size))) {
			pieces.Read(piece, time.Second)
		}
		pieces.End(true, &got)
		if want.Faults[TooLarge]+want.Faults[EncodingBroken] == 0 && (shown(&got) != shown(&want) || whole.Outcome != pieces.Outcome) {
			t.Errorf("%s in pieces %s %s\nat once %s %s", e, pieces.Outcome, shown(&got), whole.Outcome, shown(&want))
		}
		if left := inflatingNow.Load(); left != 0 {
			t.Errorf("%d bytes are still held", left)
		}
	})
}
