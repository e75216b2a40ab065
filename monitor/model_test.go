package monitor

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"mlproxy/protocol"
)

// told is an inspected exchange in which everything happened.
func told() *Record {
	f := &protocol.Facts{
		Rows: 4, RowsMissing: 1, Values: 16, ValuesMissing: 2, NonFinite: 1,
		Lengths: []protocol.Length{{Kind: protocol.Chars, N: 11}, {Kind: protocol.Elements, N: 4}},
		Features: []protocol.Feature{
			{Name: "age", Values: 4, Missing: 1, Numbers: 3, Sum: 90}, {Name: "city", Values: 4, Missing: 1, Chars: 12}, {Name: "a\nb", Values: 4},
		},
		Audio:  []protocol.Audio{{DBFS: -20, Seconds: 2}, {DBFS: math.Inf(-1), Seconds: 1}},
		Finish: []string{"stop", "stop", "because I can"},
		Images: []protocol.Image{{Width: 8, Height: 8, Brightness: 100, Known: true}, {Width: 8, Height: 8}},
		Outputs: []protocol.Output{
			{Class: "setosa", Value: 3.5, HasValue: true, Confidence: .75, ConfidenceKind: protocol.Probability},
			{Class: "setosa", Confidence: 17, ConfidenceKind: protocol.Score},
			{Value: math.NaN(), HasValue: true},
			{Missing: protocol.MissingNull},
		},
		Tokens: protocol.Tokens{Prompt: 7, Completion: 5, Cached: 2, Known: true},

		ServedVersion: "7", Error: protocol.ContextOverflow,
	}
	f.OutputsMissing[protocol.MissingNull] = 1
	f.Fault(protocol.ShapeMismatch)
	return &Record{
		At: time.Unix(1_700_000_000, 0), Facts: f, Sampled: .25,
		Seen:   &Observation{Status: 200, Duration: 40 * time.Millisecond, Upstream: 30 * time.Millisecond},
		Stream: &protocol.Stream{FirstToken: 20 * time.Millisecond, FirstAnswer: 25 * time.Millisecond, Gaps: []time.Duration{time.Millisecond, 2 * time.Millisecond}},
	}
}

func TestModelMeterCountsWhatWasAskedAndSaid(t *testing.T) {
	r := New()
	m := r.Model("iris", "stable")
	if r.Model("iris", "stable") != m {
		t.Error("a version got two meters of its model")
	}
	m.Learn(told())
	want := map[string]float64{
		`mlproxy_rows_total{pool="stable",route="iris"}`:                            4,
		`mlproxy_input_rows_missing_total{pool="stable",route="iris"}`:              1,
		`mlproxy_input_values_missing_total{pool="stable",route="iris"}`:            2,
		`mlproxy_input_length_sum{kind="chars",pool="stable",route="iris"}`:         11,
		`mlproxy_input_length_sum{kind="elements",pool="stable",route="iris"}`:      4,
		`mlproxy_input_image_brightness_count{pool="stable",route="iris"}`:          1,
		`mlproxy_input_image_brightness_sum{pool="stable",route="iris"}`:            100,
		`mlproxy_outputs_missing_total{pool="stable",reason="null",route="iris"}`:   1,
		`mlproxy_outputs_missing_total{pool="stable",reason="nan",route="iris"}`:    0,
		`mlproxy_prediction_value_count{output="value",pool="stable",route="iris"}`: 1,
		`mlproxy_prediction_value_sum{output="value",pool="stable",route="iris"}`:   3.5,
		`mlproxy_predictions_total{class="setosa",pool="stable",route="iris"}`:      2,
		`mlproxy_confidence_count{pool="stable",route="iris"}`:                      1,
		`mlproxy_confidence_sum{pool="stable",route="iris"}`:                        .75,
		`mlproxy_tokens_total{pool="stable",route="iris",type="prompt"}`:            7,
		`mlproxy_tokens_total{pool="stable",route="iris",type="completion"}`:        5,
		`mlproxy_tokens_total{pool="stable",route="iris",type="cached"}`:            2,
		`mlproxy_tokens_total{pool="stable",route="iris",type="reasoning"}`:         gone,
		`mlproxy_time_to_first_token_seconds_sum{pool="stable",route="iris"}`:       .02,
		`mlproxy_inter_token_seconds_count{pool="stable",route="iris"}`:             2,
		`mlproxy_input_values_nonfinite_total{pool="stable",route="iris"}`:          1,
		`mlproxy_input_image_pixels_sum{pool="stable",route="iris"}`:                128,
		`mlproxy_input_audio_dbfs_sum{pool="stable",route="iris"}`:                  -140,
		`mlproxy_finish_total{pool="stable",reason="stop",route="iris"}`:            2,
		`mlproxy_finish_total{pool="stable",reason="other",route="iris"}`:           1,
		`mlproxy_time_to_first_answer_seconds_sum{pool="stable",route="iris"}`:      .025,
		`mlproxy_stream_end_total{outcome="complete",pool="stable",route="iris"}`:   1,
		`mlproxy_extract_errors_total{reason="shape_mismatch",route="iris"}`:        1,
		`mlproxy_extract_errors_total{reason="not_json",route="iris"}`:              0,
		`mlproxy_predictions_total{class="other",pool="stable",route="iris"}`:       gone,
	}
	has(t, r, want)
	r.Model("iris", "canary")
	r.RetireModel("iris", "stable")
	m.Learn(told()) // by a worker that was late
	for name := range want {
		if !strings.Contains(name, "extract_errors") {
			want[name] = gone
		}
	}
	has(t, r, want)
	r.RetireModel("iris", "canary")
	has(t, r, map[string]float64{`mlproxy_extract_errors_total{reason="shape_mismatch",route="iris"}`: gone})
}

// Tokens that were counted from events are not mixed with those that the model server counted.
func TestEstimatedTokensAreCountedApart(t *testing.T) {
	r := New()
	r.Model("chat", "a").Learn(&Record{Facts: &protocol.Facts{Tokens: protocol.Tokens{Completion: 9, Known: true, Estimated: true}}})
	has(t, r, map[string]float64{
		`mlproxy_tokens_total{pool="a",route="chat",type="completion_estimated"}`: 9,
		`mlproxy_tokens_total{pool="a",route="chat",type="completion"}`:           gone,
	})
}

// The tokens of a prompt are a length, too, if the model server says how many they are.
func TestPromptsHaveALengthInTokens(t *testing.T) {
	f := func(rows int, kind protocol.LengthKind, tokens protocol.Tokens, want float64) {
		t.Helper()
		r := New()
		r.Model("chat", "a").Learn(&Record{Facts: &protocol.Facts{Rows: rows, Lengths: []protocol.Length{{Kind: kind, N: 5}}, Tokens: tokens}})
		has(t, r, map[string]float64{`mlproxy_input_length_sum{kind="tokens",pool="a",route="chat"}`: want})
	}
	known := protocol.Tokens{Prompt: 9, Completion: 2, Known: true}
	f(1, protocol.Chars, known, 9)
	f(1, protocol.TokenCount, known, 5)
	f(2, protocol.Chars, known, gone)
	f(1, protocol.Chars, protocol.Tokens{Completion: 2, Known: true, Estimated: true}, gone)
}

// Rows that are equally long are counted together, and none of them is lost.
func TestEveryRowHasItsLength(t *testing.T) {
	r := New()
	row := func(n int) protocol.Length { return protocol.Length{Kind: protocol.Elements, N: n} }
	f := &protocol.Facts{Rows: 6, Lengths: []protocol.Length{row(4), row(4), row(4), {Kind: protocol.Bytes, N: 4}, row(7), row(4)}}
	r.Model("iris", "a").Learn(&Record{Facts: f})
	has(t, r, map[string]float64{
		`mlproxy_input_length_sum{kind="elements",pool="a",route="iris"}`:   23,
		`mlproxy_input_length_count{kind="elements",pool="a",route="iris"}`: 5,
		`mlproxy_input_length_count{kind="bytes",pool="a",route="iris"}`:    1,
	})
	var s Summary
	s.addRequest(f)
	if n, mean := s.Lengths["elements"].Count(), s.Lengths["elements"].with.GetSum()/5; n != 5 || mean != 4.6 {
		t.Errorf("the summary has %d lengths, of %v on the average; want 5, of 4.6", n, mean)
	}
}

func TestClassesAreBounded(t *testing.T) {
	r := New()
	m := r.Model("iris", "stable")
	say := func(class string) {
		m.Learn(&Record{Facts: &protocol.Facts{Outputs: []protocol.Output{{Class: class}}}})
	}
	for _, odd := range []string{strings.Repeat("x", maxLabel+1), "a\nb", "\xff", "tab\there"} {
		say(odd)
	}
	for i := range maxClasses + 10 {
		say(fmt.Sprint("class ", i))
	}
	say("class 0")
	has(t, r, map[string]float64{
		`mlproxy_predictions_total{class="class 0",pool="stable",route="iris"}`:  2,
		`mlproxy_predictions_total{class="class 49",pool="stable",route="iris"}`: 1,
		`mlproxy_predictions_total{class="class 50",pool="stable",route="iris"}`: gone,
		`mlproxy_predictions_total{class="other",pool="stable",route="iris"}`:    14,
	})
}
