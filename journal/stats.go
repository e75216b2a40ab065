package journal

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"math"
	"slices"
)

// Summary is a journal summed up.
type Summary struct {
	Lines      int              `json:"lines"`
	Unreadable int              `json:"unreadable"` // lines that are none of a journal, such as a torn one
	From       string           `json:"from"`
	To         string           `json:"to"`
	Versions   []VersionSummary `json:"versions"`
}

// VersionSummary is what a journal has of one version.
type VersionSummary struct {
	Route string `json:"route"`
	Pool  string `json:"pool"`
	Lines int    `json:"lines"`
	// Exchanges is the estimate of how many there were, by the share that is in the journal.
	Exchanges float64 `json:"exchanges"`
	Errors    int     `json:"errors"` // lines of status 400 and more
	// P50, P95 and P99 are of the latency, in milliseconds.
	P50     float64      `json:"p50_ms"`
	P95     float64      `json:"p95_ms"`
	P99     float64      `json:"p99_ms"`
	Rows    int          `json:"rows"`
	Missing int          `json:"outputs_missing"`
	Classes []ClassCount `json:"classes"` // the 20 most frequent, the most frequent first
}

// ClassCount is how often a class was predicted.
type ClassCount struct {
	Class string `json:"class"`
	Count int    `json:"count"`
}

const (
	mostClasses   = 20
	leastFraction = 1e-9 // so that estimates stay numbers, whatever a line says
)

// Stats sums journals up. It holds the latency of every line: 8 bytes each.
type Stats struct {
	sum      Summary
	versions map[[2]string]*versionStats
}

type versionStats struct {
	VersionSummary
	latency []float64
	classes map[string]int
}

// NewStats makes a sum of nothing.
func NewStats() *Stats { return &Stats{versions: map[[2]string]*versionStats{}} }

// Read adds the lines of a journal.
func (s *Stats) Read(from io.Reader) error {
	lines := bufio.NewReaderSize(from, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			s.add(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *Stats) add(line []byte) {
	var p Prediction
	if json.Unmarshal(line, &p) != nil || p.Time == "" || p.Pool == "" {
		s.sum.Unreadable++
		return
	}
	if s.sum.Lines++; s.sum.From == "" || p.Time < s.sum.From {
		s.sum.From = p.Time
	}
	s.sum.To = max(s.sum.To, p.Time)
	id := [2]string{p.Route, p.Pool}
	v := s.versions[id]
	if v == nil {
		v = &versionStats{VersionSummary: VersionSummary{Route: p.Route, Pool: p.Pool}, classes: map[string]int{}}
		s.versions[id] = v
	}
	v.add(&p)
}

func (v *versionStats) add(p *Prediction) {
	v.Lines++
	if p.SamplingFraction > 0 {
		v.Exchanges += 1 / max(p.SamplingFraction, leastFraction)
	}
	if p.Status >= 400 {
		v.Errors++
	}
	v.latency = append(v.latency, p.Latency)
	if p.Facts == nil {
		return
	}
	v.Rows += p.Facts.Rows
	for _, n := range p.Facts.OutputsMissing {
		v.Missing += n
	}
	for _, o := range p.Facts.Outputs {
		if o.Class != "" {
			v.classes[o.Class]++
		}
	}
}

// Sum is what was read so far, by route and pool.
func (s *Stats) Sum() Summary {
	sum := s.sum
	sum.Versions = []VersionSummary{}
	for _, v := range s.versions {
		sum.Versions = append(sum.Versions, v.summary())
	}
	slices.SortFunc(sum.Versions, func(a, b VersionSummary) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Pool, b.Pool))
	})
	return sum
}

func (v *versionStats) summary() VersionSummary {
	sum := v.VersionSummary
	slices.Sort(v.latency)
	at := func(share float64) float64 { // by nearest rank
		return v.latency[max(int(math.Ceil(share*float64(len(v.latency))))-1, 0)]
	}
	sum.P50, sum.P95, sum.P99 = at(.5), at(.95), at(.99)
	sum.Classes = []ClassCount{}
	for class, n := range v.classes {
		sum.Classes = append(sum.Classes, ClassCount{class, n})
	}
	slices.SortFunc(sum.Classes, func(a, b ClassCount) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class)) })
	sum.Classes = sum.Classes[:min(len(sum.Classes), mostClasses)]
	return sum
}
