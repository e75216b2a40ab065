package journal

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// writerEnv turns the test binary into a process that does nothing but write numbered lines to a log that is rotated all the time.
const writerEnv = "MLPROXY_JOURNAL_WRITER"

const keptFiles = 3

// writer goes on from the number it is given, and prints each number once it is written.
func writer(path, from string) error {
	o := &output{}
	if err := o.follow(path, io.Discard); err != nil {
		return err
	}
	n, err := strconv.Atoi(from)
	for ; err == nil; n++ {
		if _, err = o.write(fmt.Appendf(nil, "line %d %s\n", n, strings.Repeat("x", n%50)), 400, keptFiles); err == nil {
			fmt.Println(n)
		}
	}
	return err
}

// TestKilledWhileRotating ends processes with SIGKILL, each somewhere in the middle of writing or rotating. No line that was written is
// lost but with the oldest file, none is torn or twice but the one that was on its way, and the next process goes on.
func TestKilledWhileRotating(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	from := 0
	for round := range 60 {
		w := exec.CommandContext(t.Context(), os.Args[0])
		w.Env = append(os.Environ(), writerEnv+"="+path+" "+strconv.Itoa(from))
		out, err := w.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		if !said.Scan() {
			t.Fatalf("round %d: the writer did not begin: %v", round, w.Wait())
		}
		killer := time.AfterFunc(time.Duration(rand.IntN(10_000))*time.Microsecond, func() { _ = w.Process.Kill() })
		last := from
		for ok := true; ok; ok = said.Scan() {
			last, _ = strconv.Atoi(said.Text())
		}
		killer.Stop()
		_ = w.Wait()
		if w.ProcessState.Exited() {
			t.Fatalf("round %d: the writer ended by itself: %v", round, w.ProcessState)
		}
		if err := whole(path, last); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		from = last + 2 // the one that was on its way is neither missed nor written again
	}
}

// whole holds the files to what was written, up to the line of that number.
func whole(path string, last int) error {
	var all []byte
	o := output{path: path}
	for n := keptFiles; n >= 0; n-- {
		name := path
		if n > 0 {
			name = o.numbered(n)
		}
		b, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		all = append(all, b...)
	}
	lines := bytes.Split(all, newline)
	if len(all) == 0 || exists(o.numbered(keptFiles+1)) {
		return fmt.Errorf("%d bytes are kept, or too many files", len(all))
	}
	before, seen := 0, false
	for i, line := range lines[:len(lines)-1] {
		var n int
		if _, err := fmt.Sscanf(string(line), "line %d", &n); err != nil || len(line) < 5+len(strconv.Itoa(n)) {
			return fmt.Errorf("line %d is torn: %q", i, line)
		}
		if i > 0 && n != before+1 && n != before+2 {
			return fmt.Errorf("line %d follows line %d", n, before)
		}
		before, seen = n, seen || n == last
	}
	if !seen {
		return fmt.Errorf("line %d was written, and is not there; the last is %d", last, before)
	}
	return nil
}
