package protocol

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	brotli "github.com/molecule-man/go-brrr"
)

// encodings make a body of each encoding that is known; "raw deflate" goes by the name of deflate.
var encodings = map[string]func(w io.Writer) (io.WriteCloser, error){
	"gzip":        func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil },
	"deflate":     func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil },
	"raw deflate": func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, 6) },
	"br":          func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriter(w, 5) },
	"zstd":        func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
}

func deflated(t testing.TB, encoding string, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := encodings[encoding](&b)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// called is the name of the encoding on the wire.
func called(encoding string) string { return strings.TrimPrefix(encoding, "raw ") }

const askedPlainly = `{"model":"m","messages":[{"role":"user","content":"What is the capital of France?"}]}`

func TestInflatedRequestsAndAnswers(t *testing.T) {
	a, err := New("openai", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := []byte(`{"choices":[{"index":0,"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}]}`)
	f := func(encoding string, asked, answered []byte) {
		t.Helper()
		var facts Facts
		request, response := Message{Encoding: encoding, Body: asked}, Message{Status: 200, Encoding: encoding, Body: answered}
		for range 2 { // with decoders that were used
			facts.Reset()
			a.Request(&request, &facts)
			a.Response(&response, &facts)
		}
		if facts.Model != "m" || len(facts.Outputs) != 1 || string(facts.Outputs[0].Text) != "Paris" || facts.Faults != [ExtractReasons]int{} {
			t.Errorf("%s: %s", encoding, shown(&facts))
		}
		if request.Encoding != encoding || &request.Body[0] != &asked[0] {
			t.Errorf("%s: the message was changed", encoding)
		}
	}
	f("", []byte(askedPlainly), answer)
	f("Identity", []byte(askedPlainly), answer)
	for e := range encodings {
		f(called(e), deflated(t, e, []byte(askedPlainly)), deflated(t, e, answer))
		f(strings.ToUpper(called(e)), deflated(t, e, []byte(askedPlainly)), deflated(t, e, answer))
		f("gzip, "+called(e), deflated(t, e, deflated(t, "gzip", []byte(askedPlainly))), deflated(t, e, deflated(t, "gzip", answer)))
	}
	f("x-gzip", deflated(t, "gzip", []byte(askedPlainly)), deflated(t, "gzip", answer))
}

func TestEncodingsThatCannotBeUndone(t *testing.T) {
	a, err := New("openai", nil)
	if err != nil {
		t.Fatal(err)
	}
	f := func(encoding string, body []byte, cut bool, reason ExtractReason, missing int) {
		t.Helper()
		var facts Facts
		a.Response(&Message{Status: 200, Encoding: encoding, Body: body, Cut: cut}, &facts)
		var faults [ExtractReasons]int
		if faults[reason] = 1; facts.Faults != faults || facts.OutputsMissing[MissingUnparseable] != missing {
			t.Errorf("%s: faults %v, missing %v; want %s, %d", encoding, facts.Faults, facts.OutputsMissing, reason, missing)
		}
	}
	f("compress", []byte("x"), false, EncodingUnsupported, 0)
	f("gzip, gzip, gzip", deflated(t, "gzip", deflated(t, "gzip", deflated(t, "gzip", []byte("{}")))), false, EncodingUnsupported, 0)
	for e := range encodings {
		body := deflated(t, e, []byte(`{"choices":[{"message":{"content":"`+strings.Repeat("Paris, ", 100)+`"}}]}`))
		f(called(e), body[:len(body)-5], false, EncodingBroken, 1)
		f(called(e), body[:len(body)-5], true, Truncated, 0) // what was kept was read
		f(called(e), []byte("{\"choices\":[]}"), false, EncodingBroken, 1)
	}
}

func TestZipBombs(t *testing.T) {
	zeros := make([]byte, 1<<20)
	for e, writer := range encodings {
		var b bytes.Buffer
		w, err := writer(&b)
		if err != nil {
			t.Fatal(err)
		}
		for range 32 {
			if _, err := w.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
		_ = w.Close()
		f := func(encoding string, body []byte) {
			t.Helper()
			var facts Facts
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			m := facts.inflate(&Message{Encoding: encoding, Body: body})
			runtime.ReadMemStats(&after)
			limit := min(maxInflated, max(leastLimit, maxRatio*len(body)))
			if m == nil || len(m.Body) != limit || !m.Cut || facts.Faults[TooLarge] != 1 {
				t.Errorf("%s: %d bytes came of %d, want %d; faults %v", encoding, len(m.Body), len(body), limit, facts.Faults)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 8*maxInflated {
				t.Errorf("%s: took %d bytes", encoding, took)
			}
			if facts.Reset(); cap(facts.room.inflated.to) > 4<<20 {
				t.Errorf("%s: %d bytes are kept", encoding, cap(facts.room.inflated.to))
			}
		}
		f(called(e), b.Bytes())
		f(called(e)+", gzip", deflated(t, "gzip", b.Bytes()))
	}
}

func FuzzInflate(f *testing.F) {
	for e := range encodings {
		f.Add(called(e), deflated(f, e, []byte(askedPlainly)), false)
	}
	f.Add("br, gzip", deflated(f, "gzip", deflated(f, "br", []byte(askedPlainly))), true)
	f.Fuzz(func(t *testing.T, encoding string, body []byte, cut bool) {
		var facts Facts
		m := facts.inflate(&Message{Encoding: encoding, Body: body, Cut: cut})
		if m != nil && len(m.Body) > max(leastLimit, maxRatio*len(body)) {
			t.Errorf("%d bytes of %d", len(m.Body), len(body))
		}
		if m == nil && facts.Faults == [ExtractReasons]int{} {
			t.Error("no fault is noted")
		}
	})
}

func TestAllocInflate(t *testing.T) {
	for e := range encodings {
		m := Message{Encoding: called(e), Body: deflated(t, e, []byte(strings.Repeat(askedPlainly, 100)))}
		var facts Facts
		facts.inflate(&m)
		// The pool may be emptied between two runs, and zstd makes a few small things anew.
		if n := testing.AllocsPerRun(100, func() { facts.inflate(&m) }); n > 8 {
			t.Errorf("%s: %v allocations", e, n)
		}
	}
}

// A bomb costs what its bounds come to, a few times over, and leaves nothing behind.
func TestABombCostsLittleMemory(t *testing.T) {
	bomb := deflated(t, "gzip", []byte(`{"inputs":[{"name":"x","shape":[1,9],"datatype":"FP32","data":[`+strings.Repeat("0,", 50<<20)))
	a, err := New("open_inference", nil)
	if err != nil {
		t.Fatal(err)
	}
	var f Facts
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a.Request(&Message{Path: "/v2/models/iris/infer", ContentType: "application/json", Encoding: "gzip", Body: bomb, Header: func(string) string { return "" }}, &f)
	f.Reset()
	runtime.ReadMemStats(&after)
	const most = 3 * (maxInflated + 16*maxNodes)
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("%d bytes of bomb took %d bytes, want %d at the most", len(bomb), took, most)
	}
	if kept := cap(f.room.inflated.to) + 16*cap(f.room.doc.nodes); kept > maxInflated {
		t.Errorf("%d bytes are kept", kept)
	}
}
