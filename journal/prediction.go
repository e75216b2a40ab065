package journal

import (
	"encoding/json"
	"math"
	"unicode"
	"unicode/utf8"

	"mlproxy/monitor"
)

// Prediction is one line of the journal. What is not known is null, or left out.
type Prediction struct {
	Time      string `json:"time"`
	RequestID string `json:"request_id"`
	Route     string `json:"route"`
	Pool      string `json:"pool"`
	// Model and Version are those that the model server says it answered with.
	Model   string  `json:"model,omitempty"`
	Version string  `json:"version,omitempty"`
	Status  int     `json:"status"`
	Reason  string  `json:"reason"`
	Latency float64 `json:"latency_ms"`
	// SamplingFraction is the share of exchanges that are in the journal: each line stands for 1/SamplingFraction of them.
	SamplingFraction float64 `json:"sampling_fraction"`
	// Facts are nil unless the exchange was inspected.
	Facts    *Facts `json:"facts"`
	Asked    any    `json:"request_body,omitempty"`
	Answered any    `json:"answer_body,omitempty"`
}

// Facts is what was read from the bodies of an exchange, without the texts themselves.
type Facts struct {
	ID             string         `json:"id,omitempty"` // the protocol's own
	Rows           int            `json:"rows"`
	RowsMissing    int            `json:"rows_missing"`
	Values         int            `json:"values"`
	ValuesMissing  int            `json:"values_missing"`
	NonFinite      int            `json:"nonfinite"`
	Lengths        map[string]int `json:"lengths,omitempty"` // sum over rows, by kind
	Brightness     []*float64     `json:"image_brightness,omitempty"`
	AudioDBFS      []*float64     `json:"audio_dbfs,omitempty"`
	Outputs        []Output       `json:"outputs"`
	OutputsMissing map[string]int `json:"outputs_missing,omitempty"`
	Tokens         *Tokens        `json:"tokens,omitempty"`
	Finish         []string       `json:"finish,omitempty"`
	FirstToken     *float64       `json:"first_token_ms,omitempty"`
	StreamEnd      string         `json:"stream_end,omitempty"`
	Faults         map[string]int `json:"faults,omitempty"`
}

// Output is what was predicted for one row.
type Output struct {
	Class          string   `json:"class,omitempty"`
	Value          *float64 `json:"value,omitempty"`
	Confidence     *float64 `json:"confidence,omitempty"`
	ConfidenceKind string   `json:"confidence_kind,omitempty"`
	Missing        string   `json:"missing,omitempty"`
}

// Tokens is what a language model counted.
type Tokens struct {
	Prompt     int  `json:"prompt"`
	Completion int  `json:"completion"`
	Cached     int  `json:"cached,omitempty"`
	Reasoning  int  `json:"reasoning,omitempty"`
	Estimated  bool `json:"estimated,omitempty"`
}

// appendPrediction appends the line of a record.
func (p *Predictions) appendPrediction(b []byte, r *monitor.Record, s *PredictionSettings) []byte {
	line := Prediction{
		Time: r.At.UTC().Format(timeForm), RequestID: string(r.RequestID), Route: r.Route, Pool: r.Pool,
		Status: r.Seen.Status, Reason: r.Seen.Reason.String(), Latency: float64(r.Seen.Duration.Microseconds()) / 1e3, SamplingFraction: s.Sample,
	}
	if r.Facts != nil {
		line.Model, line.Version, line.Facts = r.Facts.ServedModel, r.Facts.ServedVersion, factsOf(r)
		if s.Bodies {
			line.Asked, line.Answered = p.body(r.Asked, s), p.body(r.Answered, s)
		}
	}
	text, err := json.Marshal(&line)
	if err != nil { // no value of it can be the reason
		return b
	}
	return append(appendPrintable(b, text), '\n')
}

// appendPrintable appends JSON with what a terminal might obey in place of showing it escaped: it can only be inside of strings.
func appendPrintable(b, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r >= 0x7f && !unicode.IsPrint(r) {
			b = appendRune(b, r)
		} else {
			b = append(b, text[:n]...)
		}
		text = text[n:]
	}
	return b
}

func factsOf(r *monitor.Record) *Facts {
	from := r.Facts
	f := &Facts{
		ID: from.ID, Rows: from.Rows, RowsMissing: from.RowsMissing, Values: from.Values, ValuesMissing: from.ValuesMissing, NonFinite: from.NonFinite,
		Outputs: []Output{}, Finish: from.Finish, OutputsMissing: r.OutputsMissing(), Faults: r.ExtractFaults(),
	}
	for _, l := range from.Lengths {
		if f.Lengths == nil {
			f.Lengths = map[string]int{}
		}
		f.Lengths[l.Kind.String()] += l.N
	}
	for _, i := range from.Images {
		f.Brightness = append(f.Brightness, finite(i.Brightness, i.Known))
	}
	for _, a := range from.Audio {
		f.AudioDBFS = append(f.AudioDBFS, finite(a.DBFS, true))
	}
	for i := range from.Outputs {
		o := &from.Outputs[i]
		out := Output{Class: o.Class, Value: finite(o.Value, o.HasValue)}
		if o.ConfidenceKind != 0 {
			out.Confidence, out.ConfidenceKind = finite(o.Confidence, true), o.ConfidenceKind.String()
		}
		if o.Missing != 0 {
			out.Missing = o.Missing.String()
		}
		f.Outputs = append(f.Outputs, out)
	}
	if t := from.Tokens; t.Known {
		f.Tokens = &Tokens{Prompt: t.Prompt, Completion: t.Completion, Cached: t.Cached, Reasoning: t.Reasoning, Estimated: t.Estimated}
	}
	if r.Stream != nil {
		f.FirstToken = finite(float64(r.Stream.FirstToken.Microseconds())/1e3, r.Stream.FirstToken > 0)
		f.StreamEnd = r.Stream.Outcome.String()
	}
	return f
}

// finite is a number that JSON can have; nil when there is none.
func finite(v float64, known bool) *float64 {
	if !known || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
