package journal

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"mlproxy/monitor"
	"mlproxy/protocol"
)

// book is a journal of predictions with all that becomes of it.
type book struct {
	*Predictions
	settings PredictionSettings
	key      []byte
	dropped  atomic.Int64
}

func newBook(s PredictionSettings) *book {
	d := &book{settings: s, key: []byte("key")}
	d.Predictions = NewPredictions(PredictionOptions{
		Settings: func() PredictionSettings { return d.settings }, HashKey: func() []byte { return d.key },
		Dropped: func(n int) { d.dropped.Add(int64(n)) }, Log: slog.New(slog.DiscardHandler),
	})
	return d
}

func (d *book) run() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { d.Run(ctx); close(ended) }()
	return func() { cancel(); <-ended }
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func inspected() *monitor.Record {
	f := &protocol.Facts{
		ID: "q-7", Rows: 2, RowsMissing: 1, Values: 8, ValuesMissing: 1, ServedModel: "iris", ServedVersion: "3", Query: []byte("secret words"),
		Lengths: []protocol.Length{{Kind: protocol.Elements, N: 4}, {Kind: protocol.Elements, N: 3}},
		Outputs: []protocol.Output{
			{Class: "setosa", Confidence: .75, ConfidenceKind: protocol.Probability, Text: []byte("secret words")},
			{Value: math.NaN(), HasValue: true, Missing: protocol.MissingNaN},
		},
	}
	f.OutputsMissing[protocol.MissingNaN] = 1
	f.Fault(protocol.ShapeMismatch)
	return &monitor.Record{
		At: noon, RequestID: []byte("r-1"), Route: "iris", Pool: "stable", Seen: &monitor.Observation{Status: 200, Duration: 1500 * time.Microsecond},
		Facts: f, Asked: []byte(`{"user":{"name":"Ada","id":7},"rows":[{"x":1.50},{"x":2}]}`), Answered: []byte("plain"),
	}
}

func TestLineOfAPrediction(t *testing.T) {
	f := func(s PredictionSettings, r *monitor.Record, want string) {
		t.Helper()
		if got := string(newBook(s).appendPrediction(nil, r, &s)); got != want+"\n" {
			t.Errorf("the line is\n%s, want\n%s", got, want)
		}
	}
	const head = `{"time":"2026-03-01T12:00:00.000000Z","request_id":"r-1","route":"iris","pool":"stable",`
	const facts = `"model":"iris","version":"3","status":200,"reason":"none","latency_ms":1.5,"sampling_fraction":0.5,"facts":{"id":"q-7","rows":2,"rows_missing":1,` +
		`"values":8,"values_missing":1,"nonfinite":0,"lengths":{"elements":7},"outputs":[{"class":"setosa","confidence":0.75,"confidence_kind":"probability"},` +
		`{"missing":"nan"}],"outputs_missing":{"nan":1},"faults":{"shape_mismatch":1}}`
	f(PredictionSettings{Sample: .5}, inspected(), head+facts+`}`)
	f(PredictionSettings{Sample: .5, Bodies: true}, inspected(),
		head+facts+`,"request_body":{"rows":[{"x":1.50},{"x":2}],"user":{"id":7,"name":"Ada"}},"answer_body":"plain"}`)
	bare := inspected()
	bare.Facts = nil
	f(PredictionSettings{Sample: 1, Bodies: true}, bare, head+`"status":200,"reason":"none","latency_ms":1.5,"sampling_fraction":1,"facts":null}`)
}

// What models say of themselves, and bodies, must not speak to the terminal of whoever reads the file.
func TestHostileBytesOfBodiesStayInOneLine(t *testing.T) {
	for _, h := range hostile {
		r := inspected()
		r.Facts.ServedModel, r.Facts.Outputs[0].Class = h, h
		r.Asked = []byte(h)
		s := PredictionSettings{Sample: 1, Bodies: true}
		line := newBook(s).appendPrediction(nil, r, &s)
		text := string(line[:len(line)-1])
		if line[len(line)-1] != '\n' || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q: not one line of what can be printed: %q", h, line)
		}
		var got Prediction
		if err := json.Unmarshal(line, &got); err != nil || got.Model != string([]rune(h)) {
			t.Errorf("%q: the model is %q, %v", h, got.Model, err)
		}
	}
}

func TestRedaction(t *testing.T) {
	f := func(s PredictionSettings, body, want string) {
		t.Helper()
		got, err := json.Marshal(newBook(s).body([]byte(body), &s))
		if err != nil || string(got) != want {
			t.Errorf("%s with %v and %v: %s, %v, want %s", body, s.Redact, s.Hash, got, err, want)
		}
	}
	const unshown = `"[not shown: no JSON, so that nothing could be redacted]"`
	f(PredictionSettings{Redact: []string{"a"}}, `{"a":1,"b":{"a":2}}`, `{"a":"[redacted]","b":{"a":2}}`)
	f(PredictionSettings{Redact: []string{"b.*.x"}}, `{"b":[{"x":1},{"y":2},3]}`, `{"b":[{"x":"[redacted]"},{"y":2},3]}`)
	f(PredictionSettings{Redact: []string{"b.1"}}, `{"b":[{"x":1},{"y":2}]}`, `{"b":[{"x":1},"[redacted]"]}`)
	f(PredictionSettings{Redact: []string{`a\.b`}}, `{"a.b":1,"a":{"b":2}}`, `{"a":{"b":2},"a.b":"[redacted]"}`)
	f(PredictionSettings{Redact: []string{"a"}, Hash: []string{"a"}}, `{"a":1}`, `{"a":"[redacted]"}`)
	f(PredictionSettings{Hash: []string{"a"}}, `{"a":7}`, `{"a":"hmac-sha256:b5afce7ed5d8b3f5c76a689d35b37d73d5d60d94ca9876de6fa82101c7fa722a"}`)
	f(PredictionSettings{Redact: []string{"a"}}, `{"a":NaN}`, unshown)
	f(PredictionSettings{Redact: []string{"a"}}, `{"a":1} {"a":2}`, unshown)
	f(PredictionSettings{Hash: []string{"a"}}, "a=1", unshown)
	f(PredictionSettings{}, "a=1", `"a=1"`)
	f(PredictionSettings{}, "\xff\x00", `{"base64":"/wA="}`)
	f(PredictionSettings{}, "", `null`)
}

func TestHashesAreKeyed(t *testing.T) {
	one, same, other := newBook(PredictionSettings{}), newBook(PredictionSettings{}), newBook(PredictionSettings{})
	other.key = []byte("another")
	none, alone := newBook(PredictionSettings{}), newBook(PredictionSettings{})
	none.key, alone.key = nil, nil
	h := func(d *book) string { return d.hashed("Ada").(string) }
	first, again := h(none), h(none)
	if h(one) != h(same) || h(one) == h(other) || first != again || first == h(alone) {
		t.Error("hashes of equal values are to be equal under one key, and only then")
	}
}

func TestJournalIsWrittenAndSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "predictions.jsonl")
		d := newBook(PredictionSettings{File: path, Sample: 1})
		end := d.run()
		for range 100 {
			d.Learn(inspected())
		}
		d.settings.Sample = 0
		d.Learn(inspected())
		if d.settings.File = ""; d.Wants() {
			t.Error("a journal without a file wants something")
		}
		d.Offer(inspected())
		d.settings.File = path
		end()
		text, err := os.ReadFile(path)
		if err != nil || strings.Count(string(text), "\n") != 100 {
			t.Errorf("%d lines, want 100 (%v)", strings.Count(string(text), "\n"), err)
		}
	})
}

// What was offered before the journal was switched off is still written; what comes after is not wanted.
func TestJournalIsSwitchedOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "predictions.jsonl")
	d := newBook(PredictionSettings{File: path, Sample: 1})
	d.write()
	d.Learn(inspected())
	d.settings.File = ""
	d.Learn(inspected())
	d.write()
	text, err := os.ReadFile(path)
	if err != nil || strings.Count(string(text), "\n") != 1 || d.dropped.Load() != 0 {
		t.Errorf("the file has %q (%v), %d were dropped", text, err, d.dropped.Load())
	}
	if d.out.file != nil {
		t.Error("the file is still open")
	}
}

// A full disk costs records, which are counted, and never an exchange.
func TestFullDiskCostsRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBook(PredictionSettings{File: "/dev/full", Sample: 1})
		end := d.run()
		for range 7 {
			d.Learn(inspected())
		}
		time.Sleep(2 * writeEvery)
		if n := d.dropped.Load(); n != 7 {
			t.Errorf("%d dropped, want 7", n)
		}
		end()
	})
	synctest.Test(t, func(t *testing.T) {
		d := newBook(PredictionSettings{File: filepath.Join(t.TempDir(), "nowhere", "x"), Sample: 1})
		end := d.run()
		d.Learn(inspected())
		end()
		if n := d.dropped.Load(); n != 1 {
			t.Errorf("%d dropped where there is no file, want 1", n)
		}
	})
	d := newBook(PredictionSettings{File: "x", Sample: 1}) // nobody writes
	line := len(d.appendPrediction(nil, inspected(), &d.settings))
	room := mostQueued / line
	for range room + 5 {
		d.Learn(inspected())
	}
	if n := d.dropped.Load(); n != 5 {
		t.Errorf("%d found no room, want 5", n)
	}
}

func TestOldFileGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "predictions.jsonl")
		d := newBook(PredictionSettings{File: path, Sample: 1, MaxAge: time.Hour, Keep: 2})
		end := d.run()
		for range 3 {
			d.Learn(inspected())
			time.Sleep(45 * time.Minute) // the second line is in the first's file
		}
		end()
		f := func(name string, want int) {
			t.Helper()
			text, err := os.ReadFile(name)
			if err != nil || strings.Count(string(text), "\n") != want {
				t.Errorf("%s: %d lines, want %d (%v)", filepath.Base(name), strings.Count(string(text), "\n"), want, err)
			}
		}
		f(path+".1", 2)
		f(path, 1)

		// After a restart the file's own first line says how old it is.
		before := time.Now().Add(-2 * time.Hour).UTC().Format(timeForm)
		if err := os.WriteFile(path, []byte(`{"time":"`+before+"\"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		d = newBook(d.settings)
		end = d.run()
		d.Learn(inspected())
		end()
		f(path, 1)
		f(path+".1", 1)
		f(path+".2", 2)
	})
}

func TestFlushesToTheDisk(t *testing.T) {
	r, w, err := os.Pipe() // which cannot be flushed: an attempt is seen
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	f := func(policy string, wrote bool, after time.Duration, want bool) {
		t.Helper()
		o := output{file: w, synced: noon}
		if got := o.sync(policy, wrote, noon.Add(after)) != nil; got != want {
			t.Errorf("%s, wrote=%v, after %v: flushed %v, want %v", policy, wrote, after, got, want)
		}
	}
	f("never", true, time.Hour, false)
	f("", true, time.Hour, false)
	f("always", true, 0, true)
	f("always", false, time.Hour, false)
	f("interval", true, syncEvery-1, false)
	f("interval", true, syncEvery, true)
}

func TestStats(t *testing.T) {
	s := NewStats()
	var text strings.Builder
	for i := range 100 {
		r := inspected()
		r.Seen.Duration = time.Duration(i+1) * time.Millisecond
		if i%10 == 0 {
			r.Pool, r.Seen.Status, r.Facts = "canary", 503, nil
		}
		settings := PredictionSettings{Sample: .25}
		text.Write(newBook(settings).appendPrediction(nil, r, &settings))
	}
	if err := s.Read(strings.NewReader(text.String() + "nothing\n{\"time\":\"20")); err != nil {
		t.Fatal(err)
	}
	sum := s.Sum()
	got, err := json.Marshal(sum)
	const want = `{"lines":100,"unreadable":2,"from":"2026-03-01T12:00:00.000000Z","to":"2026-03-01T12:00:00.000000Z","versions":[` +
		`{"route":"iris","pool":"canary","lines":10,"exchanges":40,"errors":10,"p50_ms":41,"p95_ms":91,"p99_ms":91,"rows":0,"outputs_missing":0,"classes":[]},` +
		`{"route":"iris","pool":"stable","lines":90,"exchanges":360,"errors":0,"p50_ms":50,"p95_ms":96,"p99_ms":100,"rows":180,"outputs_missing":90,` +
		`"classes":[{"class":"setosa","count":90}]}]}`
	if err != nil || string(got) != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}
