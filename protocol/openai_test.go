package protocol

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the facts of testdata/openai anew; read the change before you believe it")

// spoken is an exchange of testdata/openai: the head and body of a request and of its answer, and the facts expected of them.
type spoken struct {
	asked, answered Message
	want            string
}

// exchangeIn reads a file of three parts: a request, an answer and facts, divided by lines of "====". A body is as it stands, but for the
// last line end; of an event stream all of it counts.
func exchangeIn(t testing.TB, file string) (e spoken) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(raw), "\n====\n")
	if len(parts) != 3 {
		t.Fatalf("%s: %d parts, want 3", file, len(parts))
	}
	line, asked := message(parts[0])
	e.asked = asked
	_, e.asked.Path, _ = strings.Cut(line, " ")
	line, e.answered = message(parts[1])
	if e.answered.Status, err = strconv.Atoi(line); err != nil {
		t.Fatal(err)
	}
	e.want = parts[2]
	return e
}

// message reads a first line, headers, and a body.
func message(part string) (line string, m Message) {
	head, body, _ := strings.Cut(part, "\n\n")
	line, rest, _ := strings.Cut(head, "\n")
	headers := map[string]string{}
	for h := range strings.SplitSeq(rest, "\n") {
		name, value, _ := strings.Cut(h, ": ")
		headers[name] = value
	}
	m.ContentType, m.Body = headers["Content-Type"], []byte(body)
	m.Header = func(name string) string { return headers[name] }
	return line, m
}

func (e *spoken) streamed() bool {
	return strings.HasPrefix(e.answered.ContentType, "text/event-stream")
}

// facts are those of the exchange. A stream is read in pieces of size bytes, the byte at i at the time of i milliseconds, or all
// of it at one second if size is 0.
func (e *spoken) facts(t testing.TB, f *Facts, s *Stream, size int) {
	a, err := New("openai", nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Request(&e.asked, f)
	if !e.streamed() {
		a.Response(&e.answered, f)
		return
	}
	s.Begin(a, e.answered.ContentType, "")
	at := time.Second
	for rest := e.answered.Body; len(rest) > 0; {
		piece := rest
		if size > 0 {
			piece = rest[:min(size, len(rest))]
		}
		s.Read(bytes.Clone(piece), at)
		rest = rest[len(piece):]
	}
	s.End(true, f)
}

func TestOpenAI(t *testing.T) {
	files, _ := filepath.Glob("testdata/openai/*.txt")
	if len(files) < 8 {
		t.Fatalf("%d exchanges in testdata/openai, want at least 8", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			e := exchangeIn(t, file)
			var f Facts
			var s Stream
			e.facts(t, &f, &s, 0)
			got := shown(&f)
			if e.streamed() {
				got += fmt.Sprintf("stream: %s, tokens in %d events, first token %t, first answer %t\n",
					s.Outcome, s.TokenEvents, s.FirstToken != 0, s.FirstAnswer != 0)
			}
			if *update {
				raw, _ := os.ReadFile(file)
				at := bytes.LastIndex(raw, []byte("\n====\n"))
				if err := os.WriteFile(file, append(raw[:at+6:at+6], got...), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(e.want, got); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

// shown is what is not nothing among the facts, a line each.
func shown(f *Facts) string {
	var b strings.Builder
	raw, _ := json.Marshal(f)
	var all map[string]any
	_ = json.Unmarshal(raw, &all)
	show := func(name string, v any, zero string) {
		if s := fmt.Sprint(v); s != zero {
			fmt.Fprintf(&b, "%s: %s\n", name, s)
		}
	}
	show("model", f.Model, "")
	show("id", f.ID, "")
	show("rows", fmt.Sprintf("%d, %d of them with missing values", f.Rows, f.RowsMissing), "")
	show("values", fmt.Sprintf("%d, %d of them missing", f.Values, f.ValuesMissing), "0, 0 of them missing")
	for _, l := range f.Lengths {
		show("length", fmt.Sprintf("%d %s", l.N, l.Kind), "")
	}
	for _, i := range f.Images {
		show("image", fmt.Sprintf("%dx%d, brightness %.3f, known %t", i.Width, i.Height, i.Brightness, i.Known), "")
	}
	for _, a := range f.Audio {
		show("audio", fmt.Sprintf("%.2f dBFS, %.3f s", a.DBFS, a.Seconds), "")
	}
	show("query", string(f.Query), "")
	show("served", strings.TrimSpace(f.ServedModel+" "+f.ServedVersion), "")
	for _, o := range f.Outputs {
		show("output", fmt.Sprintf("%q class %q value %g %t, confidence %.4f %s, missing %s",
			o.Text, o.Class, o.Value, o.HasValue, o.Confidence, o.ConfidenceKind, o.Missing), "")
	}
	for why, n := range f.OutputsMissing {
		show("missing", fmt.Sprintf("%d %s", n, MissingReason(why)), fmt.Sprintf("0 %s", MissingReason(why)))
	}
	if f.Tokens.Known {
		show("tokens", fmt.Sprintf("%d asked, %d cached, %d answered, %d reasoning, estimated %t",
			f.Tokens.Prompt, f.Tokens.Cached, f.Tokens.Completion, f.Tokens.Reasoning, f.Tokens.Estimated), "")
	}
	show("finish", f.Finish, "[]")
	show("error", f.Error, "none")
	for why, n := range f.Faults {
		show("fault", fmt.Sprintf("%d %s", n, ExtractReason(why)), fmt.Sprintf("0 %s", ExtractReason(why)))
	}
	return b.String()
}

// TestHoweverAStreamIsDividedTheFactsAreTheSame is the law of streams.
func TestHoweverAStreamIsDividedTheFactsAreTheSame(t *testing.T) {
	files, _ := filepath.Glob("testdata/openai/*.txt")
	streams := 0
	var reused Stream
	for _, file := range files {
		e := exchangeIn(t, file)
		if !e.streamed() {
			continue
		}
		streams++
		for _, ends := range []string{"\n", "\r", "\r\n"} {
			e.answered.Body = []byte(strings.ReplaceAll(string(e.answered.Body), "\n", ends))
			var want Facts
			var whole Stream
			e.facts(t, &want, &whole, 0)
			sizes := 300 // an event has fewer bytes
			if ends != "\n" {
				sizes = 20
			}
			for size := 1; size < sizes; size++ {
				var f Facts
				e.facts(t, &f, &reused, size)
				if shown(&f) != shown(&want) || reused.Outcome != whole.Outcome || reused.TokenEvents != whole.TokenEvents ||
					reused.FirstToken != whole.FirstToken || reused.FirstAnswer != whole.FirstAnswer || len(reused.Gaps) != len(whole.Gaps) {
					t.Fatalf("%s in pieces of %d: %s\nat once: %s", file, size, shown(&f), shown(&want))
				}
			}
			e.answered.Body = []byte(strings.ReplaceAll(string(e.answered.Body), ends, "\n"))
		}
	}
	if streams < 4 {
		t.Errorf("%d streams in testdata/openai, want at least 4", streams)
	}
}

func TestOpenAIMissing(t *testing.T) {
	f := func(request, answer string, cut bool, want MissingReason, count int) {
		t.Helper()
		var facts Facts
		openai{}.Request(&Message{Body: []byte(request)}, &facts)
		openai{}.Response(&Message{Status: 200, Body: []byte(answer), Cut: cut}, &facts)
		total := 0
		for _, n := range facts.OutputsMissing {
			total += n
		}
		if total != count || want != MissingNone && facts.OutputsMissing[want] != count {
			t.Errorf("%s: missing %v, want %d %s", answer, facts.OutputsMissing, count, want)
		}
	}
	const chat = `{"messages":[{"role":"user","content":"Hi"}]}`
	f(chat, ``, false, MissingEmpty, 1)
	f(chat, `<html>`, false, MissingUnparseable, 1)
	f(chat, `{"choices":[{"message":{"content":"Hi"}}]`, false, MissingUnparseable, 1)
	f(chat, `{"choices":[{"message":{"content":"Hi"}}`, true, MissingNone, 0)
	f(chat, `{"choices":[{"message":{"content":"H`, true, MissingNone, 0)
	f(chat, `{}`, false, MissingAbsent, 1)
	f(chat, `{"error":{"message":"no"}}`, false, MissingAbsent, 1)
	f(chat, `{"choices":null}`, false, MissingNull, 1)
	f(chat, `{"choices":[]}`, false, MissingEmpty, 1)
	f(chat, `{"choices":[{"index":0,"message":{"content":null}}]}`, false, MissingNoContent, 1)
	f(chat, `{"choices":[{"index":0,"message":{"content":null,"refusal":"I may not"}}]}`, false, MissingNone, 0)
	f(chat, `{"choices":[{"index":0,"message":{"content":null,"tool_calls":[{}]}}]}`, false, MissingNone, 0)
	f(chat, `{"choices":[{"index":0,"message":{"content":[{"type":"text","text":"Hi"}]}}]}`, false, MissingNone, 0)
	f(chat, `{"choices":[{"index":0,"message":{"content":null,"reasoning_content":"hm"}}]}`, false, MissingNoContent, 1)
	f(`{"prompt":["a","b"],"n":2}`, `{"choices":[{"index":0,"text":"c"}]}`, false, MissingTooFewRows, 3)
	f(`{"input":["a","b"]}`, `{"data":[{"embedding":[1]}]}`, false, MissingTooFewRows, 1)
	f(`{"input":["a","b"]}`, `{"data":[]}`, false, MissingEmpty, 2)
	f(`{"input":"a"}`, `{"data":[{"embedding":[]}]}`, false, MissingEmpty, 1)
	f(`{"input":"a"}`, `{"data":[{"embedding":[0,0]}]}`, false, MissingEmpty, 1)
	f(`{"input":"a"}`, `{"data":[{"embedding":""}]}`, false, MissingEmpty, 1)
	f(`{"input":"a"}`, `{"data":[{"embedding":"AAAA"}]}`, false, MissingUnparseable, 1)
	f(`{"input":"a"}`, `{"data":[{"embedding":null}]}`, false, MissingNull, 1)
	f(`{"input":"a"}`, `{"data":[{"embedding":[1,NaN]}]}`, false, MissingNaN, 1)
	f(`{"input":"a"}`, `{"data":[{"index":0}]}`, false, MissingAbsent, 1)
	f(`{"input":"a"}`, `{"data":[{"score":Infinity}]}`, false, MissingNaN, 1)
	f(`{"input":["a","b"]}`, `{"data":[{"index":0,"label":"joy","probs":[0.1,0.9]},{"index":1,"label":"fear","probs":[0.8,0.2]}]}`, false, MissingNone, 0)
	f(`{"inputs":["a","b"]}`, `[[0.1,0.2],[0.3,-0.1]]`, false, MissingNone, 0)
	f(`{"inputs":"a"}`, `[{"generated_text":"b"}]`, false, MissingNone, 0)
}

func TestOpenAIErrors(t *testing.T) {
	f := func(status int, answer string, want ErrorKind) {
		t.Helper()
		var facts Facts
		openai{}.Response(&Message{Status: status, Body: []byte(answer)}, &facts)
		if facts.Error != want || facts.OutputsMissing != [MissingReasons]int{} || facts.Faults != [ExtractReasons]int{} {
			t.Errorf("%d %s: %s, missing %v, faults %v; want %s", status, answer, facts.Error, facts.OutputsMissing, facts.Faults, want)
		}
	}
	f(400, ``, InvalidRequest)
	f(404, `<html>`, InvalidRequest)
	f(422, `{"detail":[{"loc":["body","messages"],"msg":"field required"}]}`, InvalidRequest)
	f(422, "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000\",\"error_type\":\"validation\"}", ContextOverflow)
	f(424, `{"error":"Request failed during generation","error_type":"generation"}`, InvalidRequest)
	f(429, `{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}`, Overloaded)
	f(500, `{"error":{"message":"out of memory","type":"InternalServerError","param":null,"code":500}}`, OtherError)
	f(502, ``, OtherError)
	f(503, `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`, Overloaded)
}

func TestAllocOpenAI(t *testing.T) {
	for _, file := range []string{"chat", "completions_batch", "embeddings_base64", "llama_cpp_completion", "tgi_generate"} {
		e := exchangeIn(t, "testdata/openai/"+file+".txt")
		var f Facts
		var a Adapter = openai{}
		if n := testing.AllocsPerRun(100, func() {
			f.Reset()
			a.Request(&e.asked, &f)
			a.Response(&e.answered, &f)
		}); n > 1 { // the ID of an answer, which is never the same
			t.Errorf("%s: %v allocations", file, n)
		}
	}
}

func FuzzOpenAI(f *testing.F) {
	files, _ := filepath.Glob("testdata/openai/*.txt")
	for _, file := range files {
		e := exchangeIn(f, file)
		f.Add(e.asked.Body, e.answered.Body, 200, false)
	}
	f.Fuzz(func(t *testing.T, request, answer []byte, status int, cut bool) {
		var facts Facts
		openai{}.Request(&Message{Body: request, Cut: cut}, &facts)
		openai{}.Response(&Message{Status: status, Body: answer, Cut: cut}, &facts)
		if len(facts.Query) > maxQuery || len(facts.Outputs) > MaxRows || len(facts.Lengths) > MaxRows || facts.RowsMissing > facts.Rows {
			t.Errorf("%+v", facts)
		}
	})
}
