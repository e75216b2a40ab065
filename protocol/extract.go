package protocol

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Extract is what a route's config says beyond its protocol's name. Only json has paths.
type Extract struct {
	Request  ExtractRequest
	Response ExtractResponse
}

// ExtractRequest says where a request has what, and which values stand for missing ones.
type ExtractRequest struct {
	Rows     string   `yaml:"rows"`      // path
	Text     string   `yaml:"text"`      // path
	Image    string   `yaml:"image_b64"` // path
	Features []string `yaml:"features"`  // that every row should have; empty: what most rows had
	Missing  []string `yaml:"missing"`   // besides null, NaN and ""
}

// ExtractResponse says where an answer has what.
type ExtractResponse struct {
	Prediction    string   `yaml:"prediction"`    // path
	Confidence    string   `yaml:"confidence"`    // path
	Probabilities string   `yaml:"probabilities"` // path
	MissingWhen   []string `yaml:"missing_when"`  // conditions
	Error         string   `yaml:"error"`         // path
	RequestID     string   `yaml:"request_id"`    // path
	Model         string   `yaml:"model"`         // path
	Version       string   `yaml:"version"`       // path
	Output        string   `yaml:"output"`        // the one of several outputs that is the prediction
	Scores        string   `yaml:"scores"`        // what numbers that are no probabilities are: softmax or sigmoid is taken of them
}

// ExtractFault is one thing wrong with an [Extract].
type ExtractFault struct {
	Key     string // such as request.rows, or response.missing_when[0]
	Problem string
	Remedy  string
}

// ExtractFaults are all that is wrong with an [Extract].
type ExtractFaults []ExtractFault

func (all ExtractFaults) Error() string {
	lines := make([]string, len(all))
	for i, f := range all {
		lines[i] = f.Key + " " + f.Problem + "; " + f.Remedy
	}
	return strings.Join(lines, "\n")
}

// extent is how much of an Extract a protocol can use.
type extent int

const (
	extractsNothing extent = iota
	extractsValues         // what a feature, a missing value and a prediction are
	extractsPaths          // where everything is, too
)

// extractKey is one key of an Extract and what it says.
type extractKey struct {
	name   string
	needs  extent
	values []string // none is empty
	judge  func(string) error
	remedy string
}

const (
	pathRemedy      = `write names, places and # with dots between them, such as result.#.label`
	conditionRemedy = `write a path, == or !=, and null, true, false, a number or 'a text', such as status=='no_match'`
)

func (x *Extract) keys() []extractKey {
	path := func(name, value string) extractKey {
		return extractKey{name, extractsPaths, some(value), pathError, pathRemedy}
	}
	q, a := &x.Request, &x.Response
	return []extractKey{
		path("request.rows", q.Rows), path("request.text", q.Text), path("request.image_b64", q.Image),
		{"request.features", extractsValues, q.Features, nil, ""},
		{"request.missing", extractsValues, q.Missing, nil, ""},
		path("response.prediction", a.Prediction), path("response.confidence", a.Confidence), path("response.probabilities", a.Probabilities),
		{"response.missing_when", extractsPaths, a.MissingWhen, conditionError, conditionRemedy},
		path("response.error", a.Error), path("response.request_id", a.RequestID), path("response.model", a.Model), path("response.version", a.Version),
		{"response.output", extractsValues, some(a.Output), nil, ""},
		{"response.scores", extractsValues, some(a.Scores), scoresError, "write softmax or sigmoid, or leave it out"},
	}
}

func some(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

func pathError(s string) error {
	_, err := compile(s)
	return err
}

func conditionError(s string) error {
	_, err := compileCondition(s)
	return err
}

func scoresError(s string) error {
	if s != "softmax" && s != "sigmoid" {
		return errors.New("it is no function of scores")
	}
	return nil
}

// faults are what a protocol cannot make use of.
func (x *Extract) faults(protocol string, able extent) (all ExtractFaults) {
	for _, k := range x.keys() {
		switch {
		case len(k.values) == 0:
		case able >= k.needs:
			all = append(all, k.faults()...)
		case able == extractsNothing:
			all = append(all, ExtractFault{k.name, "is nothing that protocol " + protocol + " needs to be told", "remove it"})
		default:
			all = append(all, ExtractFault{k.name, "is a place, and protocol " + protocol + " knows its own", "remove it, or write protocol: json"})
		}
	}
	return all
}

func (k *extractKey) faults() (all ExtractFaults) {
	for i, v := range k.values {
		if k.judge == nil {
			continue
		}
		if err := k.judge(v); err != nil {
			name := k.name
			if name == "response.missing_when" {
				name = fmt.Sprintf("%s[%d]", name, i)
			}
			all = append(all, ExtractFault{name, fmt.Sprintf("is %q: %v", v, err), k.remedy})
		}
	}
	return all
}

// extract is what a route says beyond its protocol's name, and what its adapter learned.
type extract struct {
	features    []string
	missing     sentinels
	predictions predictions
	columns     columns
}

func newExtract(x *Extract) *extract {
	return &extract{
		features: x.Request.Features, missing: sentinelsOf(x.Request.Missing),
		predictions: predictions{output: x.Response.Output, scores: x.Response.Scores},
	}
}

// sentinels are values that stand for a missing one. Numbers are equal however they are written.
type sentinels struct {
	words   []string
	numbers []float64
}

func sentinelsOf(written []string) (s sentinels) {
	for _, w := range written {
		s.words = append(s.words, w)
		if number([]byte(w)) {
			s.numbers = append(s.numbers, parseNumber([]byte(w)))
		}
	}
	return s
}

func (s *sentinels) has(word []byte) bool {
	return slices.ContainsFunc(s.words, func(w string) bool { return string(word) == w })
}

func (s *sentinels) hasNumber(x float64) bool { return slices.Contains(s.numbers, x) }
