package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func opened(t *testing.T, name string) *output {
	t.Helper()
	o := &output{}
	if err := o.follow(filepath.Join(t.TempDir(), name), io.Discard); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.close)
	return o
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "-"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFilesAreForTheGroupAtMost(t *testing.T) {
	o := opened(t, "access.log")
	info, err := os.Stat(o.path)
	if err != nil || info.Mode().Perm()&^0o640 != 0 || info.Mode().Perm()&0o600 != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := o.follow(filepath.Join(t.TempDir(), "nowhere", "access.log"), io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder was made, or %v", err)
	}
	if _, err := o.write([]byte("a\n"), 0, 0); err != nil || content(t, o.path) != "a\n" {
		t.Errorf("after another file was refused: %v, %q", err, content(t, o.path))
	}
}

func TestAFileOfAnotherTimeGoesOn(t *testing.T) {
	f := func(before, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "access.log")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		o := &output{}
		if err := o.open(path); err != nil {
			t.Fatal(err)
		}
		defer o.close()
		if n, err := o.write([]byte("new\n"), 0, 0); n != 0 || err != nil || content(t, path) != want {
			t.Errorf("%q became %q (%d, %v), want %q", before, content(t, path), n, err, want)
		}
	}
	f("", "new\n")
	f("old\n", "old\nnew\n")
	f("old\nkilled in the mid", "old\nkilled in the mid\nnew\n")
}

func TestRotation(t *testing.T) {
	f := func(most int64, keep int, batches []string, want ...string) {
		t.Helper()
		o := opened(t, "access.log")
		for _, b := range batches {
			if n, err := o.write([]byte(b), most, keep); n != 0 || err != nil {
				t.Errorf("%q: %d dropped, %v", b, n, err)
			}
		}
		for i, w := range want {
			path := o.path
			if i > 0 {
				path = o.numbered(i)
			}
			if got := content(t, path); got != w {
				t.Errorf("most %d, keep %d, %q: file %d has %q, want %q", most, keep, batches, i, got, w)
			}
		}
	}
	in := func(batches ...string) []string { return batches }
	f(0, 2, in("a\n", "b\n", "c\n"), "a\nb\nc\n", "-")
	f(4, 2, in("a\n", "b\n"), "a\nb\n", "-")
	f(4, 2, in("a\n", "b\n", "c\n"), "c\n", "a\nb\n", "-")
	f(2, 2, in("a\n", "b\n", "c\n", "d\n"), "d\n", "c\n", "b\n", "-")
	f(2, 1, in("a\n", "b\n", "c\n", "d\n"), "d\n", "c\n", "-")
	f(2, 0, in("a\n", "b\n", "c\n", "d\n"), "d\n", "-", "-")
	f(4, 9, in("a\nb\nc\nd\ne\n"), "e\n", "c\nd\n", "a\nb\n", "-")
	f(3, 9, in("a\nb\n", "c\n"), "c\n", "b\n", "a\n", "-")
	f(4, 9, in("a\n", "longer than most\nb\n"), "b\n", "longer than most\n", "a\n", "-")
}

// Fewer files are kept from now on; files beyond a gap are somebody else's.
func TestRotationRemovesWhatIsTooMuch(t *testing.T) {
	o := opened(t, "access.log")
	for _, n := range []int{1, 2, 3, 4, 7} {
		if err := os.WriteFile(o.numbered(n), []byte(fmt.Sprint(n)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{"a\n", "b\n"} {
		if _, err := o.write([]byte(line), 2, 2); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range map[int]string{1: "a\n", 2: "1", 3: "-", 4: "-", 7: "7"} {
		if got := content(t, o.numbered(n)); got != want {
			t.Errorf("file %d has %q, want %q", n, got, want)
		}
	}
}

// While no new file can be opened lines go on into the old one, and no older file is lost by trying again.
func TestRotationThatFailsLosesNothing(t *testing.T) {
	o := opened(t, "access.log")
	write := func(line string) (int, error) { return o.write([]byte(line), 2, 2) }
	_, _ = write("a\n")
	_, _ = write("b\n")
	allow := withoutDescriptors(t)
	for range 5 {
		if n, err := write("c\n"); n != 0 || !errors.Is(err, syscall.EMFILE) {
			t.Errorf("%d dropped, %v", n, err)
		}
	}
	allow()
	if n, err := write("d\n"); n != 0 || err != nil {
		t.Errorf("then %d dropped, %v", n, err)
	}
	for file, want := range map[string]string{o.path: "d\n", o.numbered(1): "b\n" + strings.Repeat("c\n", 5), o.numbered(2): "a\n"} {
		if got := content(t, file); got != want {
			t.Errorf("%s has %q, want %q", filepath.Base(file), got, want)
		}
	}
}

// withoutDescriptors keeps files from being opened until allow.
func withoutDescriptors(t *testing.T) (allow func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	allow = func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) }
	t.Cleanup(allow)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 1, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return allow
}

// tight is a disk with room for a number of bytes.
type tight struct {
	room int
	got  strings.Builder
}

func (d *tight) Write(p []byte) (int, error) {
	n := min(d.room, len(p))
	d.room -= n
	d.got.Write(p[:n])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func TestAFullDiskTearsNoLine(t *testing.T) {
	for room := range len("first\nsecond\nthird\n") {
		d := &tight{room: room}
		o := &output{to: d}
		dropped := 0
		for range 3 {
			n, err := o.write([]byte("first\nsecond\nthird\n"), 0, 0)
			if err == nil {
				t.Fatalf("room for %d: no error", room)
			}
			dropped += n
		}
		d.room = 100
		n, err := o.write([]byte("last\n"), 0, 0)
		if n != 0 || err != nil {
			t.Errorf("room for %d: then %d, %v", room, n, err)
		}
		want := ""
		for _, line := range []string{"first\n", "second\n", "third\n", "first\n", "second\n"} {
			if len(want) < room {
				want += line
			}
		}
		want += "last\n"
		if got := d.got.String(); got != want || strings.Count(want, "\n")-1+dropped != 9 {
			t.Errorf("room for %d: %q, dropped %d; want %q", room, got, dropped, want)
		}
	}
}
