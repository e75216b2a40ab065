package monitor

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// prediction is what a version said of one row, as far as labels can be held against it.
type prediction struct {
	class string
	value float64 // NaN = none
	probs []float64
}

// cells is the room of a prediction in numbers.
func (p *prediction) cells() int { return 3 + len(p.class)/8 + len(p.probs) }

// score is how right one prediction was.
type score struct {
	at             int64 // ns since 1970
	right          bool
	p              float64 // said probability of 1, where the label is 0 or 1; else NaN
	y              bool
	logLoss, brier float64 // NaN without a probability
}

// clip keeps the log-loss of one wrong and certain prediction from being infinite.
const clip = 1e-6

// scoreOf holds a label against a prediction; ok is false where the two cannot be compared.
func (p *prediction) scoreOf(label any) (s score, ok bool) {
	s = score{p: math.NaN(), logLoss: math.NaN(), brier: math.NaN()}
	n, whole := labelNumber(label)
	switch {
	case whole && len(p.probs) > 2 && n < len(p.probs):
		s.right = argmax(p.probs) == n
		s.logLoss, s.brier = -math.Log(bound(p.probs[n])), 0
		for i, q := range p.probs {
			if i == n {
				q--
			}
			s.brier += q * q
		}
	case whole && n <= 1 && len(p.probs) == 2:
		s.binary(p.probs[1], n == 1)
	case whole && n <= 1 && p.value >= 0 && p.value <= 1 && p.class == "":
		s.binary(p.value, n == 1)
	case p.class != "":
		s.right = p.class == labelText(label)
	case whole && !math.IsNaN(p.value):
		s.right = p.value == float64(n)
	default:
		return s, false
	}
	return s, true
}

// binary scores a probability of 1.
func (s *score) binary(p float64, y bool) {
	s.p, s.y, s.right = p, y, p >= 0.5 == y
	truth := 0.0
	said := 1 - bound(p)
	if y {
		truth, said = 1, bound(p)
	}
	s.logLoss, s.brier = -math.Log(said), (p-truth)*(p-truth)
}

func bound(p float64) float64 { return min(max(p, clip), 1-clip) }

// labelNumber is a label as the number of a class, counted from 0.
func labelNumber(label any) (n int, whole bool) {
	switch v := label.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case float64:
		return int(v), v >= 0 && v < 1<<31 && v == math.Trunc(v)
	}
	return 0, false
}

func labelText(label any) string {
	switch v := label.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

func argmax(values []float64) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}

// mostScores bounds what a version's figures of quality are computed from.
const mostScores = 4096

// scores are the latest of one version by one source.
type scores struct {
	ring []score
	next int
}

func (s *scores) add(one score) {
	if len(s.ring) < mostScores {
		s.ring = append(s.ring, one)
		return
	}
	s.ring[s.next] = one
	s.next = (s.next + 1) % mostScores
}

// Quality is how right a version was, by the labels of a window: of the latest 4096 at most. What there were no probabilities for is absent.
type Quality struct {
	Labels   int64    `json:"labels"`
	Accuracy float64  `json:"accuracy"`
	LogLoss  *float64 `json:"log_loss,omitempty"` // probabilities clipped to 1e-6 .. 1-1e-6
	Brier    *float64 `json:"brier,omitempty"`
	AUC      *float64 `json:"auc,omitempty"`       // of two classes, with mid-ranks
	ECE      *float64 `json:"ece,omitempty"`       // of two classes, in 10 cells of equal width
	MeanP    *float64 `json:"mean_p,omitempty"`    // of two classes
	BaseRate *float64 `json:"base_rate,omitempty"` // share of label 1
}

// since is the quality of what was scored since then; nil when nothing was.
func (s *scores) since(at int64) *Quality {
	var right, judged, n, ones int64
	var logLoss, brier, sum float64
	binary := []score{}
	for _, one := range s.ring {
		if one.at < at {
			continue
		}
		n++
		if one.right {
			right++
		}
		if !math.IsNaN(one.logLoss) {
			judged++
			logLoss += one.logLoss
			brier += one.brier
		}
		if !math.IsNaN(one.p) {
			binary = append(binary, one)
			sum += one.p
			if one.y {
				ones++
			}
		}
	}
	if n == 0 {
		return nil
	}
	q := &Quality{Labels: n, Accuracy: float64(right) / float64(n)}
	if judged > 0 {
		q.LogLoss, q.Brier = share(logLoss, judged), share(brier, judged)
	}
	if total := int64(len(binary)); total > 0 {
		q.MeanP, q.BaseRate, q.ECE = share(sum, total), share(float64(ones), total), new(calibrationError(binary))
		if ones > 0 && ones < total {
			q.AUC = new(rankAUC(binary, ones))
		}
	}
	return q
}

func share(sum float64, n int64) *float64 { return new(sum / float64(n)) }

// rankAUC is the area under the ROC curve by the rank sum of Mann and Whitney; equal values have the middle of their ranks.
func rankAUC(all []score, ones int64) float64 {
	slices.SortFunc(all, func(a, b score) int { return cmp.Compare(a.p, b.p) })
	sum := 0.0
	for from := 0; from < len(all); {
		to := from
		for to < len(all) && all[to].p == all[from].p {
			to++
		}
		rank := float64(from+1+to) / 2
		for _, one := range all[from:to] {
			if one.y {
				sum += rank
			}
		}
		from = to
	}
	positive, negative := float64(ones), float64(int64(len(all))-ones)
	return (sum - positive*(positive+1)/2) / (positive * negative)
}

// calibrationError is the mean difference of said and real share of ones over 10 cells of equal width, weighted by their rows.
func calibrationError(all []score) float64 {
	const cells = 10
	var difference [cells]float64
	for _, one := range all {
		cell := min(int(cells*one.p), cells-1)
		difference[cell] += one.p
		if one.y {
			difference[cell]--
		}
	}
	sum := 0.0
	for _, d := range difference {
		sum += math.Abs(d)
	}
	return sum / float64(len(all))
}
