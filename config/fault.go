package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a source, counted from 1. A source without lines, such as an operator's command, has Line 0.
type Position struct {
	File      string
	Line, Col int
}

// String gives file:line:col, or the file alone when the line is not known.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Fault is one thing wrong with a config.
type Fault struct {
	At     Position
	What   string // what is wrong
	Remedy string // what would be right
}

// Error says all three on one line.
func (f Fault) Error() string {
	return fmt.Sprintf("%s: %s; %s", f.At, f.What, f.Remedy)
}

// Faults are all the faults of one config, sorted by place.
type Faults []Fault

// Error says one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// orNil sorts the faults and drops repeated ones, as an alias brings them; no faults are no error.
func (fs Faults) orNil() error {
	if len(fs) == 0 {
		return nil
	}
	slices.SortStableFunc(fs, compareFaults)
	return slices.Compact(fs)
}

func compareFaults(a, b Fault) int {
	return cmp.Or(
		cmp.Compare(a.At.File, b.At.File),
		cmp.Compare(a.At.Line, b.At.Line),
		cmp.Compare(a.At.Col, b.At.Col),
		cmp.Compare(a.What, b.What),
		cmp.Compare(a.Remedy, b.Remedy),
	)
}

// problem is a fault whose place is not known yet; the zero problem is none.
type problem struct {
	what, remedy string
}

func (p problem) none() bool { return p.what == "" }

// manyNames is where names are no longer compared one by one, so that a hostile file cannot keep the reader busy.
const manyNames = 1000

// didYouMean is the remedy for an unknown name: the nearest known one, else all of them.
func didYouMean(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "remove it, or define it first"
	}
	if len(known) > manyNames {
		return fmt.Sprintf("write one of the %d that are defined", len(known))
	}
	const most = 20
	known = slices.Sorted(slices.Values(known))
	if more := len(known) - most; more > 0 {
		return fmt.Sprintf("known are %s and %d more", strings.Join(known[:most], ", "), more)
	}
	return "known are " + strings.Join(known, ", ")
}

// nearest is the known name fewest edits away, "" when none is near enough to be a typing slip.
func nearest(name string, known []string) string {
	if len(known) > manyNames {
		return ""
	}
	best, least := "", max(2, len(name)/3)+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if len(k) > 2*len(name)+2 || len(name) > 2*len(k)+2 {
			continue
		}
		if d := distance(name, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance is the edit distance in which a swap of two neighbours costs one (optimal string alignment).
func distance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			swap := i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1]
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+oneUnless(a[i-1] == b[j-1]))
			if swap {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}

func oneUnless(same bool) int {
	if same {
		return 0
	}
	return 1
}
