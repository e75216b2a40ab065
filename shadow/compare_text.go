package shadow

import (
	"bytes"

	"mlproxy/monitor"
	"mlproxy/protocol"
)

const mostWords = 512 // of one text of which any may be added or removed; those beyond are compared in their places

// compareTexts compares row by row what was written, word by word: white space apart, the texts may differ in as large a share
// of the longer one's words as the tolerance says. Without a protocol that finds the texts, each whole answer is one.
func compareTexts(c *criteria, live, shadow *answer, f *finding) {
	a, b := live.facts.Outputs, shadow.facts.Outputs
	if c.adapter == nil {
		a, b = []protocol.Output{{Text: live.body}}, []protocol.Output{{Text: shadow.body}}
	}
	if !predicts(a) {
		f.fail(monitor.UncomparedNoPrediction)
		return
	}
	f.see(max(len(a), len(b)))
	for row := range f.rows {
		x, y := output(a, row), output(b, row)
		apart := distance(bytes.Fields(textOf(x)), bytes.Fields(textOf(y)))
		differs := apart > c.tolerance
		f.count([]byte("text"), differs)
		if !differs {
			continue
		}
		f.differ(row)
		f.note("text", textOf(x), textOf(y))
		if apart >= f.severity {
			f.severity, f.row = apart, row
		}
	}
}

// textOf is what was written, or the class or number that was predicted instead.
func textOf(o *protocol.Output) []byte {
	if o.Missing == protocol.MissingNone && len(o.Text) == 0 {
		return []byte(className(o))
	}
	return o.Text
}

// distance is the share of the longer text's words that must be changed, added or removed to get the other (Levenshtein, 1966): 0 for
// equal texts, 1 for those that have no word in common.
func distance(a, b [][]byte) float64 {
	longer := max(len(a), len(b))
	for len(a) > 0 && len(b) > 0 && bytes.Equal(a[0], b[0]) {
		a, b = a[1:], b[1:]
	}
	if longer == 0 || len(a)+len(b) == 0 {
		return 0
	}
	beyond := 0
	for i := mostWords; i < max(len(a), len(b)); i++ {
		if i >= len(a) || i >= len(b) || !bytes.Equal(a[i], b[i]) {
			beyond++
		}
	}
	return float64(edits(a[:min(len(a), mostWords)], b[:min(len(b), mostWords)])+beyond) / float64(longer)
}

func edits(a, b [][]byte) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		corner := row[0]
		row[0] = i + 1
		for j := range b {
			cost := 1
			if bytes.Equal(a[i], b[j]) {
				cost = 0
			}
			corner, row[j+1] = row[j+1], min(corner+cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
