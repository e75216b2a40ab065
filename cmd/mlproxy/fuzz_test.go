package main

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

// A weight that is taken is a number, and every argument gives one.
func FuzzWeights(f *testing.F) {
	for _, s := range []string{"stable=90 canary=10", "a=1 a=2", "a", "=1", "a=", "a=-1", "a=NaN b=Inf", "a=1e400", "a=0x1p-2", "a=1=2", "a=1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Fields(line)
		split, err := weights(args)
		if err != nil {
			return
		}
		if len(split) != len(args) {
			t.Fatalf("%q: %v", args, split)
		}
		for _, w := range split {
			if math.IsNaN(w) || math.IsInf(w, 0) {
				t.Fatalf("%q: %v", args, split)
			}
		}
	})
}

// What the log prints no terminal obeys, and what was harmless is as it was.
func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"plain\n", "\x7f", "\u009b2J", "\u202eevil", "\xff\xfe", "é 𝛑", "\U000e0001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var out strings.Builder
		n, err := printable{&out}.Write([]byte(line))
		if n != len(line) || err != nil {
			t.Fatal(n, err)
		}
		if got := out.String(); strings.ContainsFunc(got, obeyed) || !utf8.ValidString(got) || !strings.ContainsFunc(line, obeyed) && got != line {
			t.Errorf("%q is printed as %q", line, got)
		}
	})
}
