package protocol

import (
	"bytes"
	"encoding/csv"
	"io"
	"strings"
	"testing"
)

func TestCells(t *testing.T) {
	f := func(document string, want ...[]string) {
		t.Helper()
		got := readCells([]byte(document))
		if len(got) != len(want) || countRows([]byte(document)) != len(want) {
			t.Fatalf("%q: %d rows %q, counted %d; want %d", document, len(got), got, countRows([]byte(document)), len(want))
		}
		for i := range want {
			if strings.Join(got[i], "|") != strings.Join(want[i], "|") || len(got[i]) != len(want[i]) {
				t.Errorf("%q: row %d is %q, want %q", document, i, got[i], want[i])
			}
		}
	}
	f("")
	f("\n\r\n")
	f("a,b\n1,2\n", []string{"a", "b"}, []string{"1", "2"})
	f("\xef\xbb\xbfa,b\r\n1,2", []string{"a", "b"}, []string{"1", "2"})
	f("a,b\r1,2\r", []string{"a", "b"}, []string{"1", "2"})
	f("a\n\n1\n\n", []string{"a"}, []string{"1"})
	f("a,b\n,\n1,\n", []string{"a", "b"}, []string{"", ""}, []string{"1", ""})
	f("a\n\"\"\n", []string{"a"}, []string{""})
	f("\"x,\ny\",z\n", []string{"x,\ny", "z"})
	f("\"say \"\"so\"\"\",z", []string{`say ""so""`, "z"})
	f("\"a\"b,c", []string{"a", "c"})
	f("a\"b\",c", []string{`a"b"`, "c"})
	f("\"never closed,\n1,2", []string{"never closed,\n1,2"})
	f("x,", []string{"x", ""})
}

func readCells(document []byte) (rows [][]string) {
	for c := newCells(document); c.next(); {
		if c.column == 0 {
			rows = append(rows, nil)
		}
		rows[c.row] = append(rows[c.row], string(c.value))
	}
	return rows
}

func TestNextLine(t *testing.T) {
	f := func(document string, want ...string) {
		t.Helper()
		var got []string
		for line, rest := nextLine([]byte(document)); len(line) > 0; line, rest = nextLine(rest) {
			got = append(got, string(line))
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: %q, want %q", document, got, want)
		}
	}
	f("")
	f(" \r\n\n")
	f("\xef\xbb\xbf{}\r\n\r\n[1]\n 2 ", "{}", "[1]", "2")
}

// FuzzCells holds the cells against the standard library wherever it takes the document too.
func FuzzCells(f *testing.F) {
	for _, seed := range []string{"a,b\n1,\n", "\"a\"\"b\",\"c\nd\"\r\n", "\xef\xbb\xbfx\n\n,,\n", "\"", "a\r", "\"a\"b\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		got := readCells(document)
		if bytes.IndexByte(document, '\r') >= 0 || bytes.HasPrefix(document, []byte("\xef\xbb\xbf")) {
			return // the library keeps a lone CR, turns CRLF in quotes into LF, and takes a byte order mark for text
		}
		r := csv.NewReader(bytes.NewReader(document))
		r.FieldsPerRecord = -1
		var want [][]string
		for {
			record, err := r.Read()
			if err == io.EOF {
				break
			}
			if err != nil {
				return
			}
			want = append(want, record)
		}
		if len(got) != len(want) {
			t.Fatalf("%q; the library has %q", got, want)
		}
		for i, row := range got {
			if len(row) != len(want[i]) {
				t.Fatalf("%q; the library has %q", got, want)
			}
			for j, cell := range row {
				// In quotes, doubled quotes stand as they are; outside of them neither doubles.
				if cell != want[i][j] && strings.ReplaceAll(cell, `""`, `"`) != want[i][j] {
					t.Fatalf("%q; the library has %q", got, want)
				}
			}
		}
	})
}
