package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLeast(t *testing.T) {
	got := least([]vitals{{3, 20, 7}, {2, 30, 9}, {5, 10, 8}})
	if diff := cmp.Diff(vitals{2, 10, 7}, got); diff != "" || least(nil) != (vitals{}) {
		t.Error(diff)
	}
}

// Growth is allowed up to a tenth, or up to what noise makes; everything else is found.
func TestSoakIsJudged(t *testing.T) {
	f := func(early, late vitals, failed, events int, want string) {
		t.Helper()
		r := &soaked{Early: early, Late: late, Requests: 100, Failed: failed, Events: events}
		r.judge()
		if got := strings.Join(r.Broken, "; "); got != want {
			t.Errorf("%+v, %+v: %q, want %q", early, late, got, want)
		}
	}
	f(vitals{40 << 20, 90, 90}, vitals{56 << 20, 140, 140}, 2, 1, "")
	f(vitals{1000, 1000, 1000}, vitals{1000, 1100, 1100}, 0, 1, "")
	f(vitals{0, 90, 90}, vitals{16<<20 + 1, 141, 141}, 3, 0, "memory grew from 0 to 16777217; goroutines grew from 90 to 141; "+
		"descriptors grew from 90 to 141; 3 of 100 requests failed; no stream brought an event")
	f(vitals{320 << 20, 1000, 0}, vitals{352<<20 + 1, 1101, 0}, 0, 1, "memory grew from 335544320 to 369098753; goroutines grew from 1000 to 1101")
}

func TestSoakIsPrinted(t *testing.T) {
	r := &soaked{Lasted: time.Minute, Troubles: 3, Requests: 200, Failed: 1, Failures: map[string]int{"EOF": 1}, Events: 9, Early: vitals{1e6, 2, 3}, Late: vitals{4e6, 5, 6}}
	var got strings.Builder
	r.print(&got)
	want := `
1m0s: 3 troubles, 200 requests, 1 failed (0.50%), 9 events of streams
what clients saw: 1× EOF
LEAST AT REST  FIRST QUARTER  LAST QUARTER  ALLOWED
memory         1.0 MB         4.0 MB        +10% or 16 MiB
goroutines     2              5             +10% or 50
descriptors    3              6             +10% or 50
held
`
	if diff := cmp.Diff(want[1:], got.String()); diff != "" {
		t.Error(diff)
	}
}
