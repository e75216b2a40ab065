package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Of a long file only the end is read, and the last lines are the same as if all of it were.
func TestLastLines(t *testing.T) {
	f := func(text string, n int, want, torn string) {
		t.Helper()
		file, err := os.Open(place(t, "journal", text))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := seekLast(file, n); err != nil {
			t.Fatal(err)
		}
		last, rest, err := lastLines(bufio.NewReader(file), n)
		if got := strings.Join(last, ""); got != want || rest != torn || err != nil {
			t.Errorf("the last %d of %d bytes: %.80q and %.80q, %v, want %.80q and %.80q", n, len(text), got, rest, err, want, torn)
		}
	}
	f("", 3, "", "")
	f("a\nb\n", 3, "a\nb\n", "")
	f("a\nb\nc", 1, "b\n", "c")
	f("a\nb\n", 0, "", "")
	long := strings.Repeat("x", 100_000) + "\n"
	f(long+"a\n"+long+"b\n", 3, "a\n"+long+"b\n", "")
	f(long+"a\n"+long+"b\n", 1, "b\n", "")
	f(strings.Repeat(long, 4), 4, strings.Repeat(long, 4), "")
	f(strings.Repeat("0123456\n", 1<<14)+"end\n", 2, "0123456\nend\n", "")
}

// Who wrote a journal may be somebody else: neither its lines nor its sum tell a terminal anything.
func TestForeignJournalsStayInTheirLines(t *testing.T) {
	file := place(t, "journal", `{"time":"\u001b[2J\n2026","route":"\u009b2J","pool":"p\r","status":200}`+"\n")
	for _, command := range []string{"tail", "stats"} {
		var out bytes.Buffer
		if code := run([]string{"journal", command, file}, &terminal{Out: &out, Err: &out}); code != 0 || strings.ContainsAny(out.String(), "\x1b\u009b\r") {
			t.Errorf("%s: %d, %q", command, code, out.String())
		}
	}
}

// A file is read to its end when another has its name, and one that was emptied from its beginning.
func TestFollowedFileIsRotated(t *testing.T) {
	name := filepath.Join(t.TempDir(), "journal")
	put := func(name string, flags int, text string) {
		t.Helper()
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := fmt.Fprint(file, text); err != nil {
			t.Fatal(err)
		}
	}
	put(name, 0, "one\ntw")
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	stop, end := context.WithCancel(t.Context())
	steps := map[string]func(){
		"one\n": func() { put(name, os.O_APPEND, "o\n") },
		"two\n": func() {
			put(name, os.O_APPEND, "late\n")
			if err := os.Rename(name, name+".1"); err != nil {
				t.Error(err)
			}
			put(name, 0, "a new file that is longer\n")
		},
		"a new file that is longer\n": func() { put(name, os.O_TRUNC, "short\n") },
		"short\n":                     end,
	}
	var seen []string
	f := followed{name: name, file: file, from: bufio.NewReader(file)}
	err = f.follow(stop, func(line string) {
		seen = append(seen, line)
		if step := steps[line]; step != nil {
			step()
		}
	})
	if got := strings.Join(seen, ""); got != "one\ntwo\nlate\na new file that is longer\nshort\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
