package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

// Sketch is the distribution of numbers: count, sum, least and greatest exactly, quantiles to 1% of their value (DDSketch, Masson et al.,
// VLDB 2019). Sketches merge without loss, in any order. The zero value is empty; 1,024 buckets for each sign bound its size, and span
// nine orders of magnitude: beyond, the smallest numbers share a bucket.
type Sketch struct {
	with *ddsketch.DDSketchWithExactSummaryStatistics // nil while empty
}

const (
	sketchAccuracy = 0.01
	sketchBuckets  = 1024
)

var (
	sketchMapping, _ = mapping.NewLogarithmicMapping(sketchAccuracy) // fails only for accuracies that are none
	sketchStore      = store.Provider(func() store.Store { return store.NewCollapsingLowestDenseStore(sketchBuckets) })
)

// Add adds a number; NaN and the infinities are none.
func (s *Sketch) Add(v float64) { s.addMany(v, 1) }

// addMany adds the same number so many times.
func (s *Sketch) addMany(v float64, times int) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	if s.with == nil {
		s.with = ddsketch.NewDDSketchWithExactSummaryStatistics(sketchMapping, sketchStore)
	}
	_ = s.with.AddWithCount(v, float64(times)) // what is too large to be told apart is not added
}

// Merge adds all numbers of o.
func (s *Sketch) Merge(o *Sketch) error {
	if o.with == nil {
		return nil
	}
	if s.with == nil {
		s.with = o.with.Copy()
		return nil
	}
	return s.with.MergeWith(o.with)
}

// Count is how many numbers there are.
func (s *Sketch) Count() int64 {
	if s.with == nil {
		return 0
	}
	return int64(s.with.GetCount())
}

// Quantile is the number that the share q (0 to 1) of all do not exceed; 0 when there is none.
func (s *Sketch) Quantile(q float64) float64 {
	if s.with == nil {
		return 0
	}
	v, err := s.with.GetValueAtQuantile(q)
	if err != nil {
		return 0
	}
	return v
}

// sketchText is a sketch as JSON: what people want to know, and what programs merge.
type sketchText struct {
	Count  int64   `json:"count"`
	Mean   float64 `json:"mean"`
	Min    float64 `json:"min"`
	P50    float64 `json:"p50"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
	Sketch []byte  `json:"sketch"`
}

// MarshalJSON writes the usual quantiles, and in "sketch" everything (DDSketch's own encoding, in base64); null when empty.
func (s *Sketch) MarshalJSON() ([]byte, error) {
	if s.with == nil {
		return []byte("null"), nil
	}
	t := sketchText{Count: s.Count(), P50: s.Quantile(.5), P90: s.Quantile(.9), P99: s.Quantile(.99)}
	t.Mean = s.with.GetSum() / s.with.GetCount()
	t.Min, _ = s.with.GetMinValue()
	t.Max, _ = s.with.GetMaxValue()
	s.with.Encode(&t.Sketch, false)
	return json.Marshal(t)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Sketch) UnmarshalJSON(text []byte) error {
	var t sketchText
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	s.with = nil
	if len(t.Sketch) == 0 {
		return nil
	}
	with, err := ddsketch.DecodeDDSketchWithExactSummaryStatistics(t.Sketch, sketchStore, nil)
	if err != nil {
		return fmt.Errorf("the sketch cannot be read: %w", err)
	}
	if !with.Equals(sketchMapping) {
		return errors.New("the sketch is of another accuracy; merge those of equal versions of mlproxy")
	}
	s.with = with
	return nil
}
