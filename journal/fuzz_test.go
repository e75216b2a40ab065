package journal

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every line of a journal is one that counts or one that cannot be read, whatever their order; and a sum can be shown, as figures of versions
// that are in order.
func FuzzStats(f *testing.F) {
	const line = `{"time":"2026-03-01T12:00:00.000000Z","route":"iris","pool":"a","status":503,"latency_ms":1.5,"sampling_fraction":0.25,` +
		`"facts":{"rows":2,"outputs":[{"class":"setosa"},{"missing":"cut"}],"outputs_missing":{"cut":1}}}`
	for _, s := range []string{
		line + "\n" + line[:70], "nothing\n\n" + strings.ReplaceAll(line, `"a"`, `"b"`) + "\r\n" + line + "\n", "null\n{}\n", "",
		strings.ReplaceAll(line, "0.25", "1e-320"), strings.ReplaceAll(line, "1.5", "-1e308"),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := slices.Collect(strings.Lines(text))
		sum := sumOf(t, text)
		counted := 0
		for _, v := range sum.Versions {
			counted += v.Lines
			if v.Pool == "" || v.Errors > v.Lines || v.P50 > v.P95 || v.P95 > v.P99 || v.Exchanges < 0 || len(v.Classes) > 20 {
				t.Errorf("%+v", v)
			}
			if !slices.IsSortedFunc(v.Classes, func(a, b ClassCount) int { return b.Count - a.Count }) {
				t.Errorf("the most frequent is not the first: %v", v.Classes)
			}
		}
		if counted != sum.Lines || sum.Lines+sum.Unreadable != len(lines) || sum.From > sum.To {
			t.Errorf("%d lines are %+v", len(lines), sum)
		}
		if _, err := json.Marshal(sum); err != nil {
			t.Errorf("%+v: %v", sum, err)
		}
		if slices.Reverse(lines); len(lines) > 0 {
			lines[0] = strings.TrimSuffix(lines[0], "\n") + "\n"
		}
		// The sum of shares differs in its last digits.
		near := cmp.Comparer(func(a, b float64) bool { return a == b || math.Abs(a-b) <= 1e-9*math.Abs(a) })
		if diff := cmp.Diff(sum, sumOf(t, strings.Join(lines, "")), near); diff != "" {
			t.Errorf("in another order it is another:\n%s", diff)
		}
	})
}

func sumOf(t *testing.T, text string) Summary {
	t.Helper()
	s := NewStats()
	if err := s.Read(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return s.Sum()
}
