package protocol

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestImagesAsNumbers(t *testing.T) {
	oip, _ := New("open_inference", nil)
	tfs, _ := New("tf_serving", nil)
	f := func(a Adapter, body string, want ...Image) {
		t.Helper()
		var facts Facts
		a.Request(&Message{Path: "/", Body: []byte(body)}, &facts)
		if facts.Faults != [ExtractReasons]int{} {
			t.Errorf("%.60s: %s", body, told(&facts))
		}
		if len(facts.Images) != len(want) {
			t.Fatalf("%.60s: %d images; want %d", body, len(facts.Images), len(want))
		}
		for i, got := range facts.Images {
			if w := want[i]; got.Width != w.Width || got.Height != w.Height || got.Known != w.Known || math.Abs(got.Brightness-w.Brightness) > 1e-6 {
				t.Errorf("%.60s: %+v; want %+v", body, got, w)
			}
		}
	}
	tensor := func(shape, datatype, data string) string {
		return fmt.Sprintf(`{"inputs":[{"name":"x","shape":%s,"datatype":%q,"data":[%s]}]}`, shape, datatype, data)
	}
	many := func(n int, pixel string) string { return strings.TrimSuffix(strings.Repeat(pixel+",", n), ",") }
	grey := Image{Width: 5, Height: 4, Brightness: 100, Known: true}
	red := Image{Width: 5, Height: 4, Brightness: 0.299 * 255, Known: true}
	f(oip, tensor("[2,4,5,1]", "UINT8", many(40, "100")), grey, grey)
	f(oip, tensor("[1,4,5,3]", "UINT8", many(20, "255,0,0")), red)
	f(oip, tensor("[1,3,4,5]", "FP32", many(20, "1")+","+many(40, "0.0")), red)
	f(oip, tensor("[4,5,3]", "UINT8", many(20, "255,0,0")), red)
	f(oip, tensor("[4,5,3]", "FP32", many(20, "255,0,0")))
	f(oip, tensor("[1,4,5,1]", "UINT8", many(20, "1")), Image{Width: 5, Height: 4, Brightness: 1, Known: true})
	f(oip, tensor("[1,4,5,1]", "FP32", many(20, "-0.5")), Image{Width: 5, Height: 4})
	f(oip, tensor("[1,4,5,1]", "FP32", many(20, "NaN")), Image{Width: 5, Height: 4})
	f(oip, tensor("[1,4,5,1]", "FP32", many(20, "1000")), Image{Width: 5, Height: 4})
	f(oip, tensor("[2,3,1]", "FP32", "1,2,3,4,5,6"))
	f(oip, tensor("[1,4,5,2]", "UINT8", many(40, "1")))

	instance := "[" + many(4, "["+many(5, "[255,0,0]")+"]") + "]"
	f(tfs, `{"instances":[`+instance+`,`+instance+`]}`, red, red)
	f(tfs, `{"instances":[{"image":`+instance+`,"k":1}]}`, red)
	f(tfs, `{"inputs":{"image":[`+instance+`]}}`, red)
	f(tfs, `{"instances":[[[1,2],[3,4]]]}`)
	f(tfs, `{"instances":[`+strings.Replace(instance, "[255,0,0]", "[255,0]", 1)+`]}`)
	f(tfs, `{"instances":[`+strings.Replace(instance, "255", `"x"`, 1)+`]}`)
}

func TestDatatypes(t *testing.T) {
	f := func(name string, b []byte, want float64) {
		t.Helper()
		d := datatypeOf(text{raw: []byte(name)})
		if got := d.decode(b); d.width != len(b) || got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%s of % x is %v, of %d bytes; want %v", name, b, got, d.width, want)
		}
	}
	le := binary.LittleEndian
	f("BOOL", []byte{1}, 1)
	f("UINT8", []byte{255}, 255)
	f("INT8", []byte{255}, -1)
	f("UINT16", []byte{255, 255}, 65535)
	f("INT16", []byte{0, 128}, -32768)
	f("UINT32", le.AppendUint32(nil, 1<<31), 1<<31)
	f("INT32", le.AppendUint32(nil, 1<<31), -(1 << 31))
	f("INT64", le.AppendUint64(nil, math.MaxUint64), -1)
	f("UINT64", le.AppendUint64(nil, 1<<63), 1<<63)
	f("FP32", le.AppendUint32(nil, math.Float32bits(-1.5)), -1.5)
	f("FP64", le.AppendUint64(nil, math.Float64bits(0.1)), 0.1)
	f("BF16", []byte{0xc0, 0x3f}, 1.5)
	f("FP16", []byte{0, 0x3c}, 1)
	f("FP16", []byte{0xff, 0x7b}, 65504)           // the largest
	f("FP16", []byte{1, 0}, 5.960464477539063e-08) // the smallest, subnormal
	f("FP16", []byte{0, 4}, 6.103515625e-05)       // the smallest that is normal
	f("FP16", []byte{0x55, 0x35}, 0.333251953125)  // nearest to a third
	f("FP16", []byte{0, 0xfc}, math.Inf(-1))       //
	f("FP16", []byte{1, 0x7e}, math.NaN())         //
	f("FP16", []byte{0, 0xc0}, -2)                 //
	if d := datatypeOf(text{raw: []byte("FP8")}); d.width >= 0 {
		t.Error("FP8 is known")
	}
}

func TestGenerateStream(t *testing.T) {
	a, _ := New("open_inference", nil)
	f := func(body string, outcome StreamOutcome, text string, missing MissingReason, tokens int) {
		t.Helper()
		var s Stream
		var facts Facts
		a.Request(&Message{Path: "/v2/models/llm/generate_stream", Body: []byte(`{"text_input":"Hello"}`)}, &facts)
		s.Begin(a, "text/event-stream", "")
		s.Read([]byte(body), 1000)
		s.End(true, &facts)
		if s.Outcome != outcome || s.TokenEvents != tokens || len(facts.Outputs) != 1 ||
			string(facts.Outputs[0].Text) != text || facts.Outputs[0].Missing != missing {
			t.Errorf("%s: %s, %d events with tokens, %s", body, s.Outcome, s.TokenEvents, told(&facts))
		}
	}
	event := func(text string) string {
		return `data: {"model_name":"llm","model_version":"1","text_output":"` + text + "\"}\n\n"
	}
	f(event("Gr")+event("üß dich")+event(""), StreamComplete, "Grüß dich", MissingNone, 2)
	f(event("a")+"data: {\"error\":\"out of memory\"}\n\n", StreamError, "a", MissingErrorInStream, 1)
	f(event(""), StreamComplete, "", MissingNoContent, 0)
	f("", StreamTruncated, "", MissingTruncatedStream, 0)
}
