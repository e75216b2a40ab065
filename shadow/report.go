package shadow

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"mlproxy/monitor"
	"mlproxy/router"
)

// Report is what is known of a shadow's answers since it was first compared, or since [Reset].
type Report struct {
	Pool  string    `json:"pool"`
	Mode  string    `json:"mode"`
	Since time.Time `json:"since,omitzero"`
	// Verdict is all of it in one line.
	Verdict string `json:"verdict"`
	// Copies are the results of whole answers, Rows of their rows.
	Copies Results `json:"copies"`
	Rows   Share   `json:"rows"`
	// Errors are why answers could not be compared.
	Errors map[string]int64 `json:"errors,omitempty"`
	// Noise is how much the live pool differs from itself; absent without noise_probe.
	Noise *Noise `json:"noise,omitempty"`
	// Fields are the values by field, those that differ most first.
	Fields []Field `json:"fields,omitempty"`
	// Confusion counts rows by the classes that both gave, the most frequent first.
	Confusion []Confusion `json:"confusion,omitempty"`
	Latency   Latency     `json:"latency_seconds"`
	// Worst are the worst disagreements, the worst first.
	Worst []Disagreement `json:"worst,omitempty"`
}

// Results counts comparisons by their result.
type Results struct {
	Agree  int64 `json:"agree"`
	Differ int64 `json:"differ"`
	Error  int64 `json:"error"`
}

// Share is how many of some differ, and what that says of all that might be compared.
type Share struct {
	Compared int64 `json:"compared"`
	Differ   int64 `json:"differ"`
	// Rate is Differ / Compared, 0 when nothing was compared.
	Rate float64 `json:"rate"`
	// Interval has the rate with a confidence of 95% (Wilson).
	Interval [2]float64 `json:"interval"`
}

// Noise is what asking the live pool again found.
type Noise struct {
	Probes Results `json:"probes"`
	Rows   Share   `json:"rows"`
}

// Field is one field of the answers.
type Field struct {
	Field string `json:"field"`
	Share
}

// Confusion is how often the live model said the one class and the shadow the other.
type Confusion struct {
	Live   string `json:"live"`
	Shadow string `json:"shadow"`
	Rows   int64  `json:"rows"`
}

// Latency are quantiles of the time both took for the same requests.
type Latency struct {
	Live   Quantiles `json:"live"`
	Shadow Quantiles `json:"shadow"`
}

// Quantiles are in seconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
}

// Summary is the report without what single requests or their answers say.
type Summary struct {
	Verdict string     `json:"verdict"`
	Rate    float64    `json:"rate"`
	Rows    int64      `json:"rows"`
	Range   [2]float64 `json:"interval"`
	Noise   *float64   `json:"noise,omitempty"`
}

// ReportOf is what is known of the shadow's answers.
func ReportOf(s *router.Shadow) *Report {
	if a := accountOf(s); a != nil {
		return a.report(s)
	}
	r := &Report{Pool: s.Pool.Name, Mode: modeOf(s)}
	r.Verdict = r.verdict()
	return r
}

// Reset forgets what is known of the shadow's answers.
func Reset(s *router.Shadow) {
	if a := accountOf(s); a != nil {
		a.forget()
	}
}

// Summary leaves out what may be private.
func (r *Report) Summary() Summary {
	s := Summary{Verdict: r.Verdict, Rate: r.Rows.Rate, Rows: r.Rows.Compared, Range: r.Rows.Interval}
	if r.Noise != nil {
		s.Noise = &r.Noise.Rows.Rate
	}
	return s
}

// verdict is such as "differs 4.1% [3.8, 4.5], noise 0.9%".
func (r *Report) verdict() string {
	if r.Rows.Compared == 0 {
		return "nothing compared yet"
	}
	v := fmt.Sprintf("differs %s [%s, %s]", percent(r.Rows.Rate)+"%", percent(r.Rows.Interval[0]), percent(r.Rows.Interval[1]))
	if r.Noise != nil && r.Noise.Rows.Compared > 0 {
		v += ", noise " + percent(r.Noise.Rows.Rate) + "%"
	}
	return v
}

func percent(share float64) string { return fmt.Sprintf("%.1f", 100*share) }

func newShare(compared, differ int64) Share {
	s := Share{Compared: compared, Differ: differ}
	if compared > 0 {
		s.Rate = float64(differ) / float64(compared)
		s.Interval[0], s.Interval[1] = wilson(differ, compared)
	}
	return s
}

// wilson is the interval that has a share with a confidence of 95% (Wilson, 1927).
func wilson(hits, n int64) (low, high float64) {
	const z = 1.959963984540054
	total, p := float64(n), float64(hits)/float64(n)
	centre := p + z*z/(2*total)
	off := z * math.Sqrt(p*(1-p)/total+z*z/(4*total*total))
	scale := 1 + z*z/total
	return max(0, (centre-off)/scale), min(1, (centre+off)/scale)
}

func newResults(counts *[monitor.Failed + 1]int64) Results {
	return Results{counts[monitor.Agree], counts[monitor.Differ], counts[monitor.Failed]}
}

func newFields(fields map[string]rate) (list []Field) {
	for name, r := range fields {
		list = append(list, Field{name, newShare(r.compared, r.differed)})
	}
	slices.SortFunc(list, func(a, b Field) int { return cmp.Or(cmp.Compare(b.Rate, a.Rate), cmp.Compare(a.Field, b.Field)) })
	return list
}

func newConfusion(pairs map[pair]int64) (list []Confusion) {
	for p, n := range pairs {
		list = append(list, Confusion{p.live, p.shadow, n})
	}
	slices.SortFunc(list, func(a, b Confusion) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Live, b.Live), cmp.Compare(a.Shadow, b.Shadow))
	})
	return list
}

func newQuantiles(l *latencies) Quantiles {
	return Quantiles{l.quantile(.5).Seconds(), l.quantile(.9).Seconds(), l.quantile(.99).Seconds()}
}

func (a *account) report(s *router.Shadow) *Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &Report{
		Pool: s.Pool.Name, Mode: modeOf(s), Since: a.since,
		Copies: newResults(&a.copies), Rows: newShare(a.rows.compared, a.rows.differed),
		Fields: newFields(a.fields), Confusion: newConfusion(a.confusion),
		Latency: Latency{newQuantiles(&a.live), newQuantiles(&a.shadow)},
		Worst:   slices.Clone(a.worst),
	}
	if s.Config.NoiseProbe > 0 {
		r.Noise = &Noise{newResults(&a.noise), newShare(a.noiseRows.compared, a.noiseRows.differed)}
	}
	if len(a.errors) > 0 {
		r.Errors = maps.Clone(a.errors)
	}
	r.Verdict = r.verdict()
	return r
}
