package shadow

import (
	"bytes"
	"errors"
	"math"

	"mlproxy/monitor"
	"mlproxy/protocol"
)

const (
	mostValues    = 1 << 18 // of one document
	mostUnordered = 1000    // elements of a list that are paired up; longer ones are compared in their order
)

// compareJSON compares two documents value by value. Where the answer has rows, an element of a list that has one element
// for each row, or the same number for each, belongs to its row.
func compareJSON(c *criteria, live, shadow *answer, f *finding) {
	a, err := protocol.Parse(live.body, mostValues)
	b, other := protocol.Parse(shadow.body, mostValues)
	switch {
	case err == nil && other == nil:
	case errors.Is(err, protocol.ErrValues) || errors.Is(other, protocol.ErrValues):
		f.fail(monitor.UncomparedTooLarge)
		return
	default:
		f.fail(monitor.UncomparedUnreadable)
		return
	}
	f.see(max(1, live.rows))
	w := walk{criteria: c, f: f, rows: len(f.rows), row: -1}
	if w.rows == 1 {
		w.row = 0
	}
	w.values(&a, &b)
	if w.differed > 0 {
		f.severity = float64(w.differed) / float64(w.compared)
	}
}

// walk goes through two documents at once.
type walk struct {
	*criteria
	f        *finding // nil: only whether they differ is asked
	rows     int
	row      int // that the values belong to; -1 = to none
	places   []place
	field    []byte
	compared int
	differed int
}

func (w *walk) values(live, shadow *protocol.Value) {
	switch {
	case w.is(w.ignore):
	case live.Kind != shadow.Kind:
		w.count(live, shadow, false)
	case live.Kind == protocol.Object:
		w.objects(live, shadow)
	case live.Kind == protocol.List:
		w.lists(live.Items, shadow.Items)
	default:
		w.count(live, shadow, w.same(live, shadow))
	}
}

// is says whether one of the paths leads to where the walk is.
func (w *walk) is(paths []path) bool {
	for _, p := range paths {
		if p.leadsTo(w.places) {
			return true
		}
	}
	return false
}

// at compares what is at a further place; nil stands for what is not there.
func (w *walk) at(p place, live, shadow *protocol.Value) {
	w.places = append(w.places, p)
	if live != nil && shadow != nil {
		w.values(live, shadow)
	} else if !w.is(w.ignore) {
		w.count(live, shadow, false)
	}
	w.places = w.places[:len(w.places)-1]
}

func (w *walk) objects(live, shadow *protocol.Value) {
	for i := range live.Items {
		m := &live.Items[i]
		w.at(place{m.Name, -1}, m, shadow.Member(m.Name))
	}
	for i := range shadow.Items {
		if m := &shadow.Items[i]; live.Member(m.Name) == nil {
			w.at(place{m.Name, -1}, nil, m)
		}
	}
}

func (w *walk) lists(live, shadow []protocol.Value) {
	switch {
	case named(live) && named(shadow):
		w.byName(live, shadow)
		return
	case w.is(w.unordered) && len(live) <= mostUnordered && len(shadow) <= mostUnordered:
		live, shadow = w.paired(live, shadow)
	}
	whole, n := w.row, max(len(live), len(shadow))
	perRow := 0
	if whole < 0 && w.rows > 0 && len(live) > 0 && len(live)%w.rows == 0 {
		perRow = len(live) / w.rows
	}
	for i := range n {
		if perRow > 0 && i < len(live) {
			w.row = i / perRow
		}
		w.at(place{index: i}, element(live, i), element(shadow, i))
	}
	w.row = whole
}

func element(list []protocol.Value, i int) *protocol.Value {
	if i >= len(list) {
		return nil
	}
	return &list[i]
}

var nameMember = []byte("name")

// nameOf is what an element of a list is called, as the Open Inference Protocol's tensors are; nil when it is not.
func nameOf(v *protocol.Value) []byte {
	if m := v.Member(nameMember); m != nil && m.Kind == protocol.Text {
		return m.Raw
	}
	return nil
}

func named(list []protocol.Value) bool {
	for i := range list {
		if len(nameOf(&list[i])) == 0 {
			return false
		}
	}
	return len(list) > 0
}

// byName compares two lists whose elements have names, in whatever order they come.
func (w *walk) byName(live, shadow []protocol.Value) {
	find := func(in []protocol.Value, name []byte) *protocol.Value {
		for i := range in {
			if bytes.Equal(nameOf(&in[i]), name) {
				return &in[i]
			}
		}
		return nil
	}
	for i := range live {
		name := nameOf(&live[i])
		w.at(place{name, i}, &live[i], find(shadow, name))
	}
	for i := range shadow {
		if name := nameOf(&shadow[i]); find(live, name) == nil {
			w.at(place{name, i}, nil, &shadow[i])
		}
	}
}

// paired puts elements that equal each other side by side, and behind them what is left of either list.
func (w *walk) paired(live, shadow []protocol.Value) (a, b []protocol.Value) {
	taken := make([]bool, len(shadow))
	var left []protocol.Value
	for i := range live {
		j := 0
		for j < len(shadow) && (taken[j] || !w.equal(i, &live[i], &shadow[j])) {
			j++
		}
		if j == len(shadow) {
			left = append(left, live[i])
			continue
		}
		taken[j] = true
		a, b = append(a, live[i]), append(b, shadow[j])
	}
	for j := range shadow {
		if !taken[j] {
			b = append(b, shadow[j])
		}
	}
	return append(a, left...), b
}

// equal says whether two elements are, without counting anything.
func (w *walk) equal(i int, live, shadow *protocol.Value) bool {
	quiet := walk{criteria: w.criteria, places: w.places}
	quiet.at(place{index: i}, live, shadow)
	return quiet.differed == 0
}

// same compares two single values.
func (w *walk) same(live, shadow *protocol.Value) bool {
	return bytes.Equal(live.Raw, shadow.Raw) || live.Kind == protocol.Number && w.near(live.Float(), shadow.Float())
}

// near says whether two numbers are as close as one of the tolerances allows. NaN is near NaN.
func (c *criteria) near(a, b float64) bool {
	if a == b || math.IsNaN(a) && math.IsNaN(b) {
		return true
	}
	off := math.Abs(a - b)
	return off <= c.tolerance || off <= c.relative*max(math.Abs(a), math.Abs(b)) && !math.IsInf(off, 0)
}

func (w *walk) count(live, shadow *protocol.Value, same bool) {
	w.compared++
	if !same {
		w.differed++
	}
	if w.f == nil {
		return
	}
	if w.field = appendField(w.field[:0], w.places); len(w.field) == 0 {
		w.field = append(w.field, "(answer)"...)
	}
	w.f.count(w.field, !same)
	if !same {
		w.f.differ(w.row)
		w.f.note(string(w.field), glimpse(live), glimpse(shadow))
	}
}

// glimpse is a value as it is told.
func glimpse(v *protocol.Value) []byte {
	switch {
	case v == nil:
		return nil
	case v.Kind == protocol.Object:
		return []byte("{...}")
	case v.Kind == protocol.List:
		return []byte("[...]")
	}
	return append([]byte{}, v.Raw...)
}
