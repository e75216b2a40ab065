package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/source"
)

// writerEnv turns the test binary into a process that does nothing but change what operators say, of every kind, and tells of it;
// fileLimitEnv lets it write no more than so many bytes to a file.
const (
	writerEnv    = "MLPROXY_CONTROL_WRITER"
	fileLimitEnv = "MLPROXY_CONTROL_FILE_LIMIT"
)

// wish is what operators say in that process: the canary's weight, 0 where the file's split is in force, and whether it is drained.
type wish struct {
	weight  float64
	drained bool
}

func (w wish) String() string { return fmt.Sprint(w.weight, " ", w.drained) }

// writerLoop begins a loop on the state in dir.
func writerLoop(dir string) (*Loop, error) {
	src := fmt.Sprintf(`{version: 1, state_dir: %q, pools: {stable: {endpoints: ["http://127.0.0.1:1"]}, canary: {endpoints: ["http://127.0.0.1:1"]}},
  routes: {iris: {match: {path: /}, split: {stable: 1, canary: 0}}}}`, dir)
	file, err := config.Parse("config.yaml", []byte(src), os.LookupEnv)
	if err != nil {
		return nil, err
	}
	l := New(router.NewEstate(monitor.New()), new(router.Router), slog.New(slog.DiscardHandler))
	if err := l.Begin(source.Update{Origin: "file", Config: file}); err != nil {
		return nil, err
	}
	if dropped := l.Status().Memory.Dropped; len(dropped) > 0 {
		return nil, fmt.Errorf("not all was in force again: %q", dropped)
	}
	return l, nil
}

// found is what is in force.
func found(l *Loop) (w wish) {
	s := l.Status()
	if o := s.Routes["iris"].Override; o != nil {
		w.weight = o.Split["canary"]
	}
	w.drained = s.Pools["canary"].Drained != nil
	return w
}

// writer prints what it finds, and then before each change what is to be, and after it what is.
func writer(dir string) error {
	if limit := os.Getenv(fileLimitEnv); limit != "" {
		return limitedWriter(dir, limit)
	}
	l, err := writerLoop(dir)
	if err != nil {
		return err
	}
	go func() { _ = l.Run(context.Background(), nil) }()
	now := found(l)
	fmt.Println("is", now)
	was := map[int64]wish{l.Status().Number: now}
	for {
		next, do := anyChange(l, now, was)
		fmt.Println("next", next)
		r, err := do()
		if err != nil {
			return err
		}
		if now = found(l); now != next {
			return fmt.Errorf("%v is in force, not %v", now, next)
		}
		if _, known := was[r.Number]; !known { // what is changed beneath a drain is no revision of its own
			was[r.Number] = now
		}
		fmt.Println("is", now)
	}
}

// anyChange is any change, and what will be in force after it. was are earlier revisions.
func anyChange(l *Loop, now wish, was map[int64]wish) (next wish, do func() (Revision, error)) {
	ctx, c := context.Background(), Change{Route: "iris", Author: "ann", Reason: strings.Repeat("x", rand.IntN(400)), TTL: time.Duration(rand.IntN(2)) * time.Hour}
	next = now
	switch kind := rand.IntN(5); {
	case kind == 0 && now.weight > 0:
		next.weight = 0
		return next, func() (Revision, error) { return l.RemoveOverride(ctx, Change{Route: "iris"}) }
	case kind == 1 && now.drained:
		next.drained = false
		return next, func() (Revision, error) { return l.Undrain(ctx, Change{}, "canary") }
	case kind == 1:
		next.drained = true
		return next, func() (Revision, error) { return l.Drain(ctx, c, "canary") }
	case kind == 2:
		for _, kept := range l.Revisions() {
			if old := was[kept.Number]; old.weight != now.weight {
				next.weight = old.weight
				return next, func() (Revision, error) { return l.Restore(ctx, c, kept.Number) }
			}
		}
	}
	next.weight = now.weight + 1 + float64(rand.IntN(1000))
	return next, func() (Revision, error) {
		return l.SetSplit(ctx, c, config.Weights{"stable": 1, "canary": next.weight})
	}
}

// TestKilledWhileWriting ends processes 200 times with SIGKILL, each somewhere in the middle of its writing. The next one finds the last
// change that was acknowledged, or the one that was on its way, and everything whole.
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	const hands, kills = 4, 50
	var running sync.WaitGroup
	for range hands {
		running.Go(func() {
			k := &killing{T: t, dir: filepath.Join(t.TempDir(), "state")}
			for round := 0; round < kills && !t.Failed(); round++ {
				if err := k.round(); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			}
			if aside, _ := filepath.Glob(filepath.Join(k.dir, "*.corrupt-*")); len(aside) > 0 || k.changes == 0 {
				t.Errorf("set aside: %q; %d changes", aside, k.changes)
			}
		})
	}
	running.Wait()
}

// killing is one folder of state, and what its last writer said.
type killing struct {
	*testing.T
	dir      string
	is, next string // acknowledged, and on its way
	changes  int
	said     []string
}

// round starts a writer, holds what it finds against what was said, and kills it. Should the time of the whole test run out, the
// kills that are missing are a failure.
func (k *killing) round() error {
	w := exec.CommandContext(k.Context(), os.Args[0])
	w.Env = append(os.Environ(), writerEnv+"="+k.dir)
	var complaint strings.Builder
	w.Stderr = &complaint
	out, err := w.StdoutPipe()
	if err != nil {
		return err
	}
	if err := w.Start(); err != nil {
		return err
	}
	said := bufio.NewScanner(out)
	said.Scan()
	first, ok := strings.CutPrefix(said.Text(), "is ")
	switch {
	case !ok:
		return fmt.Errorf("the writer did not begin: %w: %s", w.Wait(), complaint.String())
	case k.is == "":
	case first != k.is && first != k.next:
		_ = w.Process.Kill()
		_ = w.Wait()
		return fmt.Errorf("%s was acknowledged, %s was on its way, and %s was there afterwards; the one before said %q", k.is, k.next, first, k.said)
	}
	k.is, k.next = first, first
	killer := time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { _ = w.Process.Kill() })
	k.said = []string{first}
	for said.Scan() {
		k.said = append(k.said, said.Text())
		if is, done := strings.CutPrefix(said.Text(), "is "); done {
			k.is, k.changes = is, k.changes+1
		} else if next, begun := strings.CutPrefix(said.Text(), "next "); begun {
			k.next = next
		}
	}
	killer.Stop()
	_ = w.Wait()
	if w.ProcessState.Exited() {
		return fmt.Errorf("the writer ended by itself: %v: %s", w.ProcessState, complaint.String())
	}
	return nil
}

// limitedWriter makes a change that fits, lets the system take files of limit bytes only, and makes one that does not fit: the
// system then writes a part of it.
func limitedWriter(dir, limit string) error {
	l, err := writerLoop(dir)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	go func() { _ = l.Run(ctx, nil) }()
	if _, err := l.SetSplit(ctx, Change{Route: "iris"}, config.Weights{"stable": 1, "canary": 1}); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	var most syscall.Rlimit
	if _, err := fmt.Sscan(limit, &most.Cur); err != nil {
		return err
	}
	most.Max = most.Cur
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &most); err != nil {
		return err
	}
	_, err = l.SetSplit(ctx, Change{Route: "iris", Reason: strings.Repeat("x", 5000)}, config.Weights{"stable": 1, "canary": 2})
	if !errors.Is(err, ErrNotStored) || !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("a change written in part: %w", err)
	}
	fmt.Println("is", found(l))
	return nil
}

// A change of which the disk takes a part is refused; the one before stays in force, and is what a restart finds.
func TestAChangeThatIsStoredInPart(t *testing.T) {
	for _, limit := range []string{"0", "1", "300", "4096"} {
		dir := filepath.Join(t.TempDir(), "state")
		w := exec.CommandContext(t.Context(), os.Args[0])
		w.Env = append(os.Environ(), writerEnv+"="+dir, fileLimitEnv+"="+limit)
		out, _ := w.CombinedOutput()
		want := wish{weight: 1}
		if !strings.HasPrefix(string(out), "is "+want.String()+"\n") {
			t.Errorf("at %s bytes: %s", limit, out)
		}
		l, err := writerLoop(dir)
		if err != nil {
			t.Fatalf("at %s bytes: %v", limit, err)
		}
		if got := found(l); got != want {
			t.Errorf("at %s bytes a restart finds %v", limit, got)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*.next")); len(left) > 0 {
			t.Errorf("at %s bytes %q is left", limit, left)
		}
	}
}
