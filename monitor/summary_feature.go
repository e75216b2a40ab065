package monitor

import (
	"math"

	"mlproxy/protocol"
)

// FeatureSummary is one named column of what a version was asked.
type FeatureSummary struct {
	Values  int64   `json:"values"`
	Missing int64   `json:"missing"`
	Numbers int64   `json:"numbers"` // values that are finite numbers
	Sum     float64 `json:"sum"`     // of these
	Chars   int64   `json:"chars"`   // code points of the values that are texts
}

// maxFeatures bounds the names of features, which clients choose: further ones share otherName.
const maxFeatures = protocol.MaxFeatures

func (s *Summary) addFeature(name string, f FeatureSummary) {
	if s.Features == nil {
		s.Features = map[string]*FeatureSummary{}
	}
	if s.Features[name] == nil && (len(s.Features) >= maxFeatures || len(name) > maxLabel || !printable(name)) {
		name = otherName
	}
	sum := s.Features[name]
	if sum == nil {
		sum = new(FeatureSummary)
		s.Features[name] = sum
	}
	sum.Values += f.Values
	sum.Missing += f.Missing
	sum.Numbers += f.Numbers
	sum.Chars += f.Chars
	if total := sum.Sum + f.Sum; !math.IsInf(total, 0) && !math.IsNaN(total) {
		sum.Sum = total // JSON has no infinity
	}
}

func (s *Summary) addFeatures(f *protocol.Facts) {
	for i := range f.Features {
		v := &f.Features[i]
		s.addFeature(v.Name, FeatureSummary{int64(v.Values), int64(v.Missing), int64(v.Numbers), v.Sum, int64(v.Chars)})
	}
}
