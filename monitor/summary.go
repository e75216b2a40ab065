package monitor

import (
	"errors"
	"fmt"
	"time"

	"mlproxy/protocol"
)

// Summary is what a version was asked and said within some time, as far as it was inspected. Those of several proxies merge.
type Summary struct {
	Route string    `json:"route"`
	Pool  string    `json:"pool"`
	From  time.Time `json:"from"` // the exchanges ended from here
	To    time.Time `json:"to"`   // to here

	// Exchanges were inspected; they stand for so many as Estimated says, since only a sample is. Failed ones got 5xx, or no whole answer.
	Exchanges int64   `json:"exchanges"`
	Estimated float64 `json:"estimated_exchanges"`
	Failed    int64   `json:"failed"`

	Rows          int64 `json:"rows"`
	RowsMissing   int64 `json:"rows_missing"`
	Values        int64 `json:"values"`
	ValuesMissing int64 `json:"values_missing"`
	NonFinite     int64 `json:"nonfinite"`

	Features map[string]*FeatureSummary `json:"features,omitempty"` // at most 64, where the protocol names them

	Outputs        int64            `json:"outputs"` // rows of answers of status 2xx, with a prediction or without
	OutputsMissing map[string]int64 `json:"outputs_missing,omitempty"`
	Classes        map[string]int64 `json:"classes,omitempty"`
	Tokens         map[string]int64 `json:"tokens,omitempty"`
	Finish         map[string]int64 `json:"finish_reasons,omitempty"`
	Streams        map[string]int64 `json:"streams,omitempty"`
	Served         map[string]int64 `json:"served_versions,omitempty"`  // exchanges, by the version that the answer names
	Errors         map[string]int64 `json:"errors,omitempty"`           // exchanges, by what the model server says of its error
	Confidences    map[string]int64 `json:"confidence_kinds,omitempty"` // predictions, by what their confidence is
	Faults         map[string]int64 `json:"extract_errors,omitempty"`

	// In seconds: the whole exchange, the model server's part of it, until the first token and the first of the answer, and between tokens.
	Duration    Sketch `json:"duration_seconds"`
	Upstream    Sketch `json:"upstream_seconds"`
	FirstToken  Sketch `json:"first_token_seconds"`
	FirstAnswer Sketch `json:"first_answer_seconds"`
	InterToken  Sketch `json:"inter_token_seconds"`

	Lengths    map[string]*Sketch `json:"input_length,omitempty"` // by kind
	Brightness Sketch             `json:"image_brightness"`
	Pixels     Sketch             `json:"image_pixels"` // width times height
	Level      Sketch             `json:"audio_dbfs"`
	Sound      Sketch             `json:"audio_seconds"`
	Value      Sketch             `json:"prediction_value"`
	Confidence Sketch             `json:"confidence"`
}

// Merge adds what o has seen of the same version.
func (s *Summary) Merge(o *Summary) error {
	if s.Route != o.Route || s.Pool != o.Pool {
		return fmt.Errorf("a summary of %s/%s does not merge with one of %s/%s", s.Route, s.Pool, o.Route, o.Pool)
	}
	if s.From.IsZero() || !o.From.IsZero() && o.From.Before(s.From) {
		s.From = o.From
	}
	if o.To.After(s.To) {
		s.To = o.To
	}
	s.Exchanges += o.Exchanges
	s.Estimated += o.Estimated
	s.Failed += o.Failed
	s.Rows += o.Rows
	s.RowsMissing += o.RowsMissing
	s.Values += o.Values
	s.ValuesMissing += o.ValuesMissing
	s.NonFinite += o.NonFinite
	s.Outputs += o.Outputs
	for name, f := range o.Features {
		s.addFeature(name, *f)
	}
	for _, pair := range s.counts(o) {
		mergeCounts(pair[0], *pair[1])
	}
	return s.mergeSketches(o)
}

// counts are the maps of both, side by side.
func (s *Summary) counts(o *Summary) [][2]*map[string]int64 {
	return [][2]*map[string]int64{
		{&s.OutputsMissing, &o.OutputsMissing},
		{&s.Classes, &o.Classes},
		{&s.Tokens, &o.Tokens},
		{&s.Finish, &o.Finish},
		{&s.Streams, &o.Streams},
		{&s.Served, &o.Served},
		{&s.Errors, &o.Errors},
		{&s.Confidences, &o.Confidences},
		{&s.Faults, &o.Faults},
	}
}

func mergeCounts(into *map[string]int64, from map[string]int64) {
	for name, n := range from {
		tally(into, name, n)
	}
}

// tally adds n to a name, of which there are at most maxNames: a fleet may know other classes than each of its proxies.
func tally(in *map[string]int64, name string, n int64) {
	if n == 0 {
		return
	}
	if *in == nil {
		*in = map[string]int64{}
	}
	if _, known := (*in)[name]; !known && len(*in) >= maxNames {
		name = otherName
	}
	(*in)[name] += n
}

const maxNames = 4 * maxClasses

func (s *Summary) mergeSketches(o *Summary) error {
	errs := []error{
		s.Duration.Merge(&o.Duration), s.Upstream.Merge(&o.Upstream),
		s.FirstToken.Merge(&o.FirstToken), s.FirstAnswer.Merge(&o.FirstAnswer), s.InterToken.Merge(&o.InterToken),
		s.Brightness.Merge(&o.Brightness), s.Pixels.Merge(&o.Pixels), s.Level.Merge(&o.Level), s.Sound.Merge(&o.Sound),
		s.Value.Merge(&o.Value), s.Confidence.Merge(&o.Confidence),
	}
	for kind, lengths := range o.Lengths {
		errs = append(errs, s.length(kind).Merge(lengths))
	}
	return errors.Join(errs...)
}

func (s *Summary) length(kind string) *Sketch {
	if s.Lengths == nil {
		s.Lengths = map[string]*Sketch{}
	}
	if s.Lengths[kind] == nil {
		s.Lengths[kind] = new(Sketch)
	}
	return s.Lengths[kind]
}

// add counts an inspected exchange. class is what a class may be called.
func (s *Summary) add(r *Record, class func(string) string) {
	s.Exchanges++
	if r.Sampled > 0 {
		s.Estimated += 1 / r.Sampled
	}
	if seen := r.Seen; seen != nil {
		if seen.Status >= 500 || seen.Reason != None {
			s.Failed++
		}
		s.Duration.Add(seconds(seen.Duration))
		if seen.Upstream > 0 {
			s.Upstream.Add(seconds(seen.Upstream))
		}
	}
	if r.Stream != nil {
		s.addStream(r.Stream)
	}
	s.addRequest(r.Facts)
	s.addAnswer(r.Facts, class)
	if r.Seen == nil || r.Seen.Status/100 == 2 {
		s.Outputs += int64(expected(r.Facts))
	}
}

func (s *Summary) addStream(stream *protocol.Stream) {
	tally(&s.Streams, stream.Outcome.String(), 1)
	if stream.FirstToken > 0 {
		s.FirstToken.Add(seconds(stream.FirstToken))
	}
	if stream.FirstAnswer > 0 {
		s.FirstAnswer.Add(seconds(stream.FirstAnswer))
	}
	for _, gap := range stream.Gaps {
		s.InterToken.Add(seconds(gap))
	}
}

func (s *Summary) addRequest(f *protocol.Facts) {
	s.Rows += int64(f.Rows)
	s.RowsMissing += int64(f.RowsMissing)
	s.Values += int64(f.Values)
	s.ValuesMissing += int64(f.ValuesMissing)
	s.NonFinite += int64(f.NonFinite)
	eachLength(f, func(l protocol.Length, rows int) { s.length(l.Kind.String()).addMany(float64(l.N), rows) })
	s.addFeatures(f)
	for _, i := range f.Images {
		if i.Known {
			s.Brightness.Add(i.Brightness)
		}
		eachSize(i, s.Pixels.Add)
	}
	for _, a := range f.Audio {
		s.Level.Add(level(a))
		s.Sound.Add(a.Seconds)
	}
	for reason, n := range f.Faults {
		tally(&s.Faults, protocol.ExtractReason(reason).String(), int64(n))
	}
}

// expected is how many rows an answer of status 2xx should have a prediction for.
func expected(f *protocol.Facts) int {
	missing := 0
	for _, n := range f.OutputsMissing {
		missing += n
	}
	return max(len(f.Outputs), missing, f.Rows)
}

func (s *Summary) addAnswer(f *protocol.Facts, class func(string) string) {
	for reason, n := range f.OutputsMissing {
		tally(&s.OutputsMissing, protocol.MissingReason(reason).String(), int64(n))
	}
	var confidences [protocol.ConfidenceKinds]int64
	for i := range f.Outputs {
		o := &f.Outputs[i]
		if o.Class != "" {
			tally(&s.Classes, class(o.Class), 1)
		}
		if o.HasValue {
			s.Value.Add(o.Value)
		}
		if confident(o) {
			s.Confidence.Add(o.Confidence)
		}
		confidences[o.ConfidenceKind]++
	}
	for kind, n := range confidences {
		tally(&s.Confidences, protocol.ConfidenceKind(kind).String(), n)
	}
	for _, reason := range f.Finish {
		tally(&s.Finish, finishReason(reason), 1)
	}
	if f.Error != protocol.NoError {
		tally(&s.Errors, f.Error.String(), 1)
	}
	if f.ServedVersion != "" {
		tally(&s.Served, labelled(f.ServedVersion), 1)
	}
	eachToken(f, func(kind string, n int) { tally(&s.Tokens, kind, int64(n)) })
}
