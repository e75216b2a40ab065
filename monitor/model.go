package monitor

import (
	"math"
	"slices"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"mlproxy/protocol"
)

// Bounds of what a model server may name in labels; the rest is otherName.
const (
	maxClasses = 50 // of one version
	maxOutputs = 8
	maxLabel   = 64 // bytes
	otherName  = "other"
)

// Bounds of the classic histograms of what models are asked and say.
var (
	lengthBounds     = []float64{1, 4, 16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}
	brightnessBounds = []float64{16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 255}
	valueBounds      = []float64{-1e6, -1e4, -100, -10, -1, -.5, 0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1, 10, 100, 1e4, 1e6}
	pixelBounds      = []float64{1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24}
	levelBounds      = []float64{-90, -80, -70, -60, -50, -40, -30, -20, -10, -6, -3, 0}
	confidenceBounds = []float64{.1, .2, .3, .4, .5, .6, .7, .8, .9, .95, .99, 1}
)

// ModelMeter counts what the model of one version was asked and what it said. It is fed by the inspector's workers, off the hot path:
// one lock is enough, and series are made as they are needed.
type ModelMeter struct {
	version version
	s       *series

	mu      sync.Mutex
	retired bool
	classes names
	outputs names
	history history
	bound   map[child]prometheus.Metric
}

// child names a series of this version; there are as many as there are label values.
type child struct {
	vec   any
	label string // its last one, if it has more than route and pool
}

// names are the label values that a model server has brought up; they are bounded.
type names struct {
	known map[string]bool
	most  int
}

// label is name if it may be a label, else otherName.
func (n *names) label(name string) string {
	if n.known[name] {
		return name
	}
	if len(n.known) >= n.most || name == "" || len(name) > maxLabel || !printable(name) {
		return otherName
	}
	if n.known == nil {
		n.known = map[string]bool{}
	}
	n.known[name] = true
	return name
}

func printable(name string) bool {
	if !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func newModelMeter(s *series, v version) *ModelMeter {
	m := &ModelMeter{version: v, s: s, classes: names{most: maxClasses}, outputs: names{most: maxOutputs}}
	for r := protocol.MissingNone + 1; r < protocol.MissingReasons; r++ {
		s.outputsMissing.WithLabelValues(v.route, v.pool, r.String())
	}
	for r := range protocol.ExtractReasons {
		s.extractErrors.WithLabelValues(v.route, r.String())
	}
	for _, c := range []*prometheus.CounterVec{s.rows, s.rowsMissing, s.valuesMissing, s.nonFinite} {
		c.WithLabelValues(v.route, v.pool)
	}
	return m
}

// Learn counts what an inspected exchange was about; what it counts after the version was retired is lost.
func (m *ModelMeter) Learn(r *Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.retired {
		return
	}
	m.countRequest(r.Facts)
	m.countAnswer(r.Facts)
	if r.Stream != nil {
		m.countStream(r.Stream)
	}
	m.history.add(r, m.version, m.classes.label)
}

func (m *ModelMeter) retire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retired = true
	m.history, m.bound = history{}, nil
}

func (m *ModelMeter) add(to *prometheus.CounterVec, n int, more ...string) {
	if n > 0 {
		find := func(labels []string) prometheus.Metric { return to.WithLabelValues(labels...) }
		m.series(to, find, more).(prometheus.Counter).Add(float64(n))
	}
}

func (m *ModelMeter) observe(to *prometheus.HistogramVec, v float64, more ...string) {
	m.observeMany(to, v, 1, more...)
}

// observeMany observes the same value so many times.
func (m *ModelMeter) observeMany(to *prometheus.HistogramVec, v float64, times int, more ...string) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	find := func(labels []string) prometheus.Metric { return to.WithLabelValues(labels...).(prometheus.Metric) }
	for one := m.series(to, find, more).(prometheus.Observer); times > 0; times-- {
		one.Observe(v)
	}
}

// series is the one of vec with that label, which may be missing. To look it up by its labels each time would take longer than to count.
func (m *ModelMeter) series(vec any, find func(labels []string) prometheus.Metric, more []string) prometheus.Metric {
	name := child{vec: vec}
	if len(more) > 0 {
		name.label = more[0]
	}
	one := m.bound[name]
	if one == nil {
		one = find(append([]string{m.version.route, m.version.pool}, more...))
		if m.bound == nil {
			m.bound = map[child]prometheus.Metric{}
		}
		m.bound[name] = one
	}
	return one
}

func (m *ModelMeter) countRequest(f *protocol.Facts) {
	m.add(m.s.rows, f.Rows)
	m.add(m.s.rowsMissing, f.RowsMissing)
	m.add(m.s.valuesMissing, f.ValuesMissing)
	m.add(m.s.nonFinite, f.NonFinite)
	eachLength(f, func(l protocol.Length, rows int) { m.observeMany(m.s.inputLength, float64(l.N), rows, l.Kind.String()) })
	for _, i := range f.Images {
		if i.Known {
			m.observe(m.s.brightness, i.Brightness)
		}
		eachSize(i, func(pixels float64) { m.observe(m.s.pixels, pixels) })
	}
	for _, a := range f.Audio {
		m.observe(m.s.level, level(a))
	}
	for reason, n := range f.Faults {
		if n > 0 {
			m.s.extractErrors.WithLabelValues(m.version.route, protocol.ExtractReason(reason).String()).Add(float64(n))
		}
	}
}

func (m *ModelMeter) countAnswer(f *protocol.Facts) {
	for reason, n := range f.OutputsMissing {
		m.add(m.s.outputsMissing, n, protocol.MissingReason(reason).String())
	}
	for i := range f.Outputs {
		m.countOutput(&f.Outputs[i])
	}
	for _, reason := range f.Finish {
		m.add(m.s.finish, 1, finishReason(reason))
	}
	eachToken(f, func(kind string, n int) { m.add(m.s.tokens, n, kind) })
}

func (m *ModelMeter) countOutput(o *protocol.Output) {
	if o.Class != "" {
		m.add(m.s.predictions, 1, m.classes.label(o.Class))
	}
	if o.HasValue {
		m.observe(m.s.predictionValue, o.Value, "value")
	}
	if confident(o) {
		m.observe(m.s.confidence, o.Confidence)
	}
}

// confident says that the confidence is one: between 0 and 1, and not a score of unknown scale.
func confident(o *protocol.Output) bool {
	return o.ConfidenceKind == protocol.Probability || o.ConfidenceKind == protocol.LogProb
}

// eachLength calls f with the length of each row, or of several rows at once when they follow each other and are equally long, and with the
// tokens of a prompt that the model server has counted: of several prompts it says only the sum.
func eachLength(facts *protocol.Facts, f func(l protocol.Length, rows int)) {
	tokenized := false
	for rest := facts.Lengths; len(rest) > 0; {
		l, rows := rest[0], 1
		for rows < len(rest) && rest[rows] == l {
			rows++
		}
		tokenized = tokenized || l.Kind == protocol.TokenCount
		f(l, rows)
		rest = rest[rows:]
	}
	if t := &facts.Tokens; facts.Rows == 1 && t.Known && t.Prompt > 0 && !tokenized {
		f(protocol.Length{Kind: protocol.TokenCount, N: t.Prompt}, 1)
	}
}

// eachSize calls f with the pixels of an image, if its size is known.
func eachSize(i protocol.Image, f func(pixels float64)) {
	if i.Width > 0 && i.Height > 0 {
		f(float64(i.Width) * float64(i.Height))
	}
}

const silence = -120 // dBFS, below what 16 bits can tell from nothing

// level is that of a recording; silence has one, too, so that its mean is a number.
func level(a protocol.Audio) float64 { return max(a.DBFS, silence) }

// finishReasons are those that OpenAI, vLLM, TGI and llama.cpp know.
var finishReasons = []string{
	"stop", "length", "tool_calls", "content_filter", "function_call", "abort", "error", "eos_token", "stop_sequence", "eos", "limit", "word",
}

func finishReason(said string) string {
	if slices.Contains(finishReasons, said) {
		return said
	}
	return otherName
}

// labelled is what a model server says, if it may be shown as a name.
func labelled(said string) string {
	if len(said) > maxLabel || !printable(said) {
		return otherName
	}
	return said
}

// eachToken calls f for each sort of tokens. What the model server did not count is counted apart.
func eachToken(facts *protocol.Facts, f func(kind string, n int)) {
	t := &facts.Tokens
	if !t.Known {
		return
	}
	if t.Estimated {
		f("completion_estimated", t.Completion)
		return
	}
	f("prompt", t.Prompt)
	f("completion", t.Completion)
	f("cached", t.Cached)
	f("reasoning", t.Reasoning)
}

func (m *ModelMeter) countStream(s *protocol.Stream) {
	if s.FirstToken > 0 {
		m.observe(m.s.firstToken, seconds(s.FirstToken))
	}
	if s.FirstAnswer > 0 {
		m.observe(m.s.firstAnswer, seconds(s.FirstAnswer))
	}
	for _, gap := range s.Gaps {
		m.observe(m.s.interToken, seconds(max(gap, time.Nanosecond)))
	}
	m.add(m.s.streamEnd, 1, s.Outcome.String())
}

// Model is the meter of what a version's model is asked and says, made when it is new.
func (r *Registry) Model(route, pool string) *ModelMeter {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := version{route, pool}
	m := r.models[v]
	if m == nil {
		m = newModelMeter(&r.series, v)
		r.models[v] = m
	}
	return m
}

// RetireModel removes what [Registry.Model] made, and its route's series when that was the last.
func (r *Registry) RetireModel(route, pool string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := version{route, pool}
	if m := r.models[v]; m != nil {
		m.retire()
		delete(r.models, v)
	}
	remove(r.series.ofModel(), v.labels())
	for other := range r.models {
		if other.route == route {
			return
		}
	}
	r.series.extractErrors.DeletePartialMatch(prometheus.Labels{"route": route})
}
