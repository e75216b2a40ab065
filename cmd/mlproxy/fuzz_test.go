package main

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
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

// Of a journal the last whole lines are shown, each as one line that no terminal obeys or not at all, however long the file is.
func FuzzTail(f *testing.F) {
	const line = `{"time":"2026-03-01","request_id":"a","route":"iris","pool":"p","status":200,"facts":{"rows":1,"outputs":[{"class":"x"},{"value":2}]}}`
	for _, s := range []string{
		line + "\n" + line, "\n\nnothing\n" + line + "\n", strings.Replace(line, "iris", `\u001b[2J\n\u009b`, 1) + "\n", line + "\u2028\n", "",
	} {
		f.Add(s, uint8(1), uint16(1))
		f.Add(s, uint8(3), uint16(70_000/(len(s)+1)))
	}
	name := filepath.Join(f.TempDir(), "journal")
	f.Fuzz(func(t *testing.T, text string, n uint8, times uint16) {
		text = strings.Repeat(text, min(int(times), 200_000/(len(text)+1)))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := seekLast(file, int(n)); err != nil {
			t.Fatal(err)
		}
		got, torn, err := lastLines(bufio.NewReader(file), int(n))
		lines := strings.SplitAfter(text, "\n")
		whole := lines[:len(lines)-1]
		if want := whole[max(0, len(whole)-int(n)):]; err != nil || !slices.Equal(got, want) || torn != lines[len(whole)] {
			t.Fatalf("the last %d of %q are %q and %q, %v, want %q", n, text, got, torn, err, want)
		}
		for _, line := range got {
			for _, form := range []string{"text", "json"} {
				var out strings.Builder
				(&journalTailCmd{output: output{Output: form}}).show(&terminal{Out: &out}, line)
				shown := strings.TrimSuffix(out.String(), "\n")
				if form == "json" {
					shown = strings.NewReplacer("\t", "", "\r", "").Replace(shown) // white space between its parts
				}
				if strings.ContainsFunc(shown, unicode.IsControl) {
					t.Errorf("%q is shown as %q", line, shown)
				}
			}
		}
	})
}
