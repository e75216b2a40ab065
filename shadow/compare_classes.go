package shadow

import (
	"cmp"
	"slices"
	"strconv"

	"mlproxy/monitor"
	"mlproxy/protocol"
)

// compareClasses compares row by row what was predicted: with argmax the class, with top_k the k best classes, whatever their
// order. Of a number that is no class the tolerances say how far it may be off. That both are equally sure is not asked for:
// a confidence that differs shows among the fields alone.
func compareClasses(c *criteria, live, shadow *answer, f *finding) {
	a, b := live.facts.Outputs, shadow.facts.Outputs
	if !predicts(a) {
		f.fail(monitor.UncomparedNoPrediction)
		return
	}
	f.see(max(len(a), len(b)))
	worst := 0.0
	for row := range f.rows {
		x, y := output(a, row), output(b, row)
		agree, severity := c.row(x, y, f)
		if !x.HasValue || classOf(x) != "" { // numbers are too many for a table
			f.pairs = append(f.pairs, pair{className(x), className(y)})
		}
		if agree {
			continue
		}
		f.differ(row)
		if severity >= worst {
			worst = severity
			f.severity, f.row = severity, row
		}
	}
}

var nothing = protocol.Output{Missing: protocol.MissingTooFewRows}

// output is what was predicted for a row.
func output(of []protocol.Output, row int) *protocol.Output {
	if row >= len(of) {
		return &nothing
	}
	return &of[row]
}

func predicts(of []protocol.Output) bool {
	return slices.ContainsFunc(of, func(o protocol.Output) bool { return o.Missing == protocol.MissingNone })
}

// row compares one row. A disagreement is the worse the surer both were.
func (c *criteria) row(x, y *protocol.Output, f *finding) (agree bool, severity float64) {
	severity = 1
	switch {
	case x.Missing != protocol.MissingNone || y.Missing != protocol.MissingNone:
		agree = (x.Missing == protocol.MissingNone) == (y.Missing == protocol.MissingNone)
		f.field("class", !agree, className(x), className(y))
		return agree, severity
	case classOf(x) == "" && classOf(y) == "" && x.HasValue && y.HasValue:
		agree = c.near(x.Value, y.Value)
		f.field("value", !agree, className(x), className(y))
		return agree, severity
	}
	agree = classOf(x) == classOf(y)
	f.field("class", !agree, className(x), className(y))
	if c.mode == "top_k" && len(x.Probs) > 0 && len(y.Probs) > 0 {
		shared := overlap(best(x.Probs, c.k), best(y.Probs, c.k))
		agree = shared == 1
		severity = 1 - shared
		f.field("top_k", !agree, words(best(x.Probs, c.k)), words(best(y.Probs, c.k)))
	} else if sure(x) && sure(y) {
		severity = (x.Confidence + y.Confidence) / 2
	}
	if sure(x) && sure(y) {
		f.field("confidence", !c.near(x.Confidence, y.Confidence), number(x.Confidence), number(y.Confidence))
	}
	return agree, severity
}

func sure(o *protocol.Output) bool { return o.ConfidenceKind != protocol.NoConfidence }

// field counts a field and notes it if it differs.
func (f *finding) field(name string, differs bool, live, shadow string) {
	f.count([]byte(name), differs)
	if differs {
		f.note(name, []byte(live), []byte(shadow))
	}
}

// classOf is the predicted class, or the index of the largest of the numbers; "" when there is neither.
func classOf(o *protocol.Output) string {
	switch {
	case o.Class != "":
		return o.Class
	case len(o.Probs) > 1:
		return strconv.Itoa(best(o.Probs, 1)[0])
	}
	return ""
}

// className is what people are told was predicted.
func className(o *protocol.Output) string {
	class := classOf(o)
	switch {
	case o.Missing != protocol.MissingNone:
		return "(none)"
	case class != "":
		return class
	case o.HasValue:
		return number(o.Value)
	}
	return string(o.Text[:min(len(o.Text), longest)])
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// best are the indexes of the k largest numbers, the largest first; of equal ones the first.
func best(of []float64, k int) []int {
	order := make([]int, len(of))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(of[b], of[a]) })
	return order[:min(k, len(order))]
}

// overlap is how large a part of two equally long lists is in both.
func overlap(a, b []int) float64 {
	shared := 0
	for _, x := range a {
		if slices.Contains(b, x) {
			shared++
		}
	}
	return float64(shared) / float64(max(len(a), len(b), 1))
}

func words(indexes []int) string {
	var text []byte
	for i, n := range indexes {
		if i > 0 {
			text = append(text, ' ')
		}
		text = appendInt(text, n)
	}
	return string(text)
}

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }
