package shadow

import "mlproxy/monitor"

const (
	mostFields = 64  // of one shadow, whose rates are told; the rest is one
	mostRows   = 256 // of one answer, that are compared
	mostNoted  = 8   // differences of one answer that are told
	longest    = 200 // bytes of a value that is told
)

// beyond is the name for all fields, or classes, for which there is no more room.
const beyond = "(other)"

// finding is what comparing two answers found. It is used again for the next two.
type finding struct {
	result   monitor.Result
	why      monitor.Uncompared // of a result that is an error
	rows     []bool             // which rows differ
	fields   map[string]rate
	noted    []Difference
	pairs    []pair  // of classes, one a row
	severity float64 // 0..1: how bad a difference is; the worst are kept
	row      int     // the first that differs
}

// rate counts how often something was compared, and how often it differed.
type rate struct{ compared, differed int64 }

// pair is what the two models said of one row.
type pair struct{ live, shadow string }

// Difference is one field in which two answers differ.
type Difference struct {
	Field string `json:"field"`
	// Live and Shadow are what stands there, cut to 200 bytes; absent where nothing does.
	Live   *string `json:"live,omitempty"`
	Shadow *string `json:"shadow,omitempty"`
}

func (f *finding) reset() {
	clear(f.fields)
	if f.fields == nil {
		f.fields = map[string]rate{}
	}
	*f = finding{fields: f.fields, rows: f.rows[:0], noted: f.noted[:0], pairs: f.pairs[:0]}
}

// fail says that the answers cannot be compared.
func (f *finding) fail(why monitor.Uncompared) {
	f.reset()
	f.result, f.why = monitor.Failed, why
}

// see makes room for n rows, all equal so far.
func (f *finding) see(n int) {
	f.rows = f.rows[:0]
	for range min(n, mostRows) {
		f.rows = append(f.rows, false)
	}
}

// count counts one value of a field.
func (f *finding) count(field []byte, differs bool) {
	r, known := f.fields[string(field)]
	if !known && len(f.fields) >= mostFields {
		field = []byte(beyond)
		r = f.fields[beyond]
	}
	r.compared++
	if differs {
		r.differed++
	}
	f.fields[string(field)] = r
}

// differ marks a row; all of them when the difference is in none.
func (f *finding) differ(row int) {
	f.result = monitor.Differ
	for i := range f.rows {
		if row < 0 || row == i {
			f.rows[i] = true
		}
	}
}

// note keeps a difference for people to look at.
func (f *finding) note(field string, live, shadow []byte) {
	if len(f.noted) < mostNoted {
		f.noted = append(f.noted, Difference{field, told(live), told(shadow)})
	}
}

// told is a value as it is told; nil for nil.
func told(v []byte) *string {
	if v == nil {
		return nil
	}
	s := string(v[:min(len(v), longest)])
	return &s
}

// differing is how many rows differ.
func (f *finding) differing() (n int) {
	for _, differs := range f.rows {
		if differs {
			n++
		}
	}
	return n
}
