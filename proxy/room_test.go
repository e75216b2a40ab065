package proxy

import (
	"fmt"
	"testing"
)

func TestDispensable(t *testing.T) {
	type waiting struct {
		since int64
		used  bool
	}
	f := func(want string, of ...waiting) {
		t.Helper()
		var idle []*conn
		for _, w := range of {
			c := &conn{}
			c.waiting.Store(w.since)
			c.used.Store(w.used)
			idle = append(idle, c)
		}
		var got []int64
		for _, c := range dispensable(idle) {
			got = append(got, c.waiting.Load())
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%v: those since %v go, want %s", of, got, want)
		}
	}
	f("[]")
	f("[7]", waiting{7, true})
	f("[3]", waiting{5, false}, waiting{3, false})
	f("[2 9]", waiting{1, true}, waiting{9, false}, waiting{2, false}, waiting{3, true})
	f("[9 1]", waiting{3, true}, waiting{9, false}, waiting{1, true})
}
