package control

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/source"
)

func TestOverridesOutliveTheProcess(t *testing.T) {
	d := newDesk(t)
	d.expect("split", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "2 operator canary: 1, stable: 1")
	_, err := d.SetActive(t.Context(), Change{Route: "search", Author: "bob", Force: true, TTL: time.Hour}, "green")
	d.expect("switch", err, nil, "search", "3 operator green")
	_, err = d.Drain(t.Context(), Change{Author: "bob"}, "canary")
	d.expect("drain", err, nil, "iris", "4 operator canary: 0, stable: 1")

	t.Cleanup(d.run())
	d.expect("after a restart", nil, nil, "search", "1 operator green")
	s := d.Status()
	iris, search := s.Routes["iris"].Override, s.Routes["search"].Override
	switch {
	case iris.Author != "ann" || iris.Reason != "test" || iris.Split["canary"] != 1 || !iris.Expires.IsZero():
		t.Errorf("iris: %+v", iris)
	case search.Author != "bob" || search.Expires.Sub(search.Time) != time.Hour:
		t.Errorf("search: %+v", search)
	case s.Pools["canary"].Drained == nil || s.Pools["stable"].Drained != nil:
		t.Errorf("pools: %+v", s.Pools)
	}
	_, err = d.Undrain(t.Context(), Change{}, "canary")
	d.expect("undrained", err, nil, "iris", "2 operator canary: 1, stable: 1")
	_, err = d.RemoveOverride(t.Context(), Change{Route: "iris"})
	d.expect("removed", err, nil, "iris", "3 file canary: 5, stable: 95")

	t.Cleanup(d.run())
	d.expect("what was removed stays so", nil, nil, "iris", "1 file canary: 5, stable: 95")
}

func TestWhatNoLongerFitsIsDropped(t *testing.T) {
	d := newDesk(t)
	said := Overrides{
		Routes: map[string]config.Override{
			"gone":   {Split: config.Weights{"a": 1}, Author: "ann"},
			"iris":   {Split: config.Weights{"stable": 1}, Author: "ann"},
			"search": {Active: "green", Author: "ann", Expires: time.Now().Add(-time.Second)},
		},
		Drained: map[string]config.Override{
			"away": {}, "blue": {}, "canary": {Author: "bob"}, "stable": {},
			"http://127.0.0.1:1": {Author: "bob"}, "http://127.0.0.1:9": {}, d.up: {},
		},
	}
	d.stop()
	before := newStore(d.dir)
	if err := before.save(&said); err != nil {
		t.Fatal(err)
	}
	before.lock.release()
	defer d.run()()
	d.expect("routes", nil, nil, "search", "1 file blue")
	d.expect("drains", nil, nil, "iris", "1 operator canary: 0, stable: 95")
	dropped := d.Status().Memory.Dropped
	for i, want := range []string{`"gone"`, `"iris" (stable: 1, by ann`, "expired", `"away"`, `"blue"`, "the drain of endpoint", `endpoint "http://127.0.0.1:9" is no longer`, `"stable"`} {
		if len(dropped) <= i || !strings.Contains(dropped[i], want) || !strings.Contains(d.log.String(), "operators' overrides") {
			t.Errorf("dropped %q, want %s", dropped, want)
		}
	}
	if left, err := newStore(d.dir).load(); err != nil || len(left.Routes) > 0 || len(left.Drained) != 2 {
		t.Errorf("the next start would find %+v, %v", left, err)
	}
}

func TestAFileThatCannotBeBelieved(t *testing.T) {
	good, err := encode(&Overrides{Routes: map[string]config.Override{"iris": {Split: config.Weights{"stable": 1, "canary": 1}}}})
	if err != nil {
		t.Fatal(err)
	}
	f := func(want string, content []byte) {
		t.Helper()
		d := newDesk(t)
		path := filepath.Join(d.dir, storeName)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		defer d.run()()
		if dropped := strings.Join(d.Status().Memory.Dropped, "\n"); !strings.Contains(dropped, want) || !strings.Contains(d.log.String(), "set aside") {
			t.Errorf("got %q, want %q", dropped, want)
		}
		d.expect(want, nil, nil, "iris", "1 file canary: 5, stable: 95")
		aside, _ := filepath.Glob(path + ".corrupt-*")
		if len(aside) != 1 {
			t.Fatalf("%s: set aside %q", want, aside)
		}
		if kept, _ := os.ReadFile(aside[0]); !bytes.Equal(kept, content) {
			t.Errorf("%s: what was set aside is another: %s", want, kept)
		}
		d.expect("a change", d.split("iris", config.Weights{"stable": 1, "canary": 3}), nil, "iris", "2 operator canary: 3, stable: 1")
	}
	f("not what mlproxy writes", nil)
	f("not what mlproxy writes", good[:len(good)/2])
	f("checksum", bytes.Replace(good, []byte(`"canary": 1`), []byte(`"canary": 9`), 1))
	f("version 2", bytes.Replace(good, []byte(`"version": 1`), []byte(`"version": 2`), 1))
	f("checksum", []byte(`{"version": 1, "overrides": {}}`))
}

// TestAChangeThatCannotBeStored makes the disk refuse in the ways that a test can bring about, at each step of storing.
func TestAChangeThatCannotBeStored(t *testing.T) {
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	f := func(want error, spoil, mend func(path string) error) {
		t.Helper()
		d := newDesk(t)
		path := filepath.Join(d.dir, storeName)
		d.expect("before", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "2 operator canary: 1, stable: 1")
		refused := func(change func() (Revision, error)) {
			must(spoil(path))
			_, err := change()
			must(mend(path))
			d.expect("refused", err, ErrNotStored, "iris", "2 operator canary: 1, stable: 1")
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		refused(func() (Revision, error) { return Revision{}, d.split("iris", config.Weights{"stable": 1, "canary": 9}) })
		refused(func() (Revision, error) { return d.Drain(t.Context(), Change{}, "canary") })
		refused(func() (Revision, error) { return d.RemoveOverride(t.Context(), Change{Route: "iris"}) })
		defer d.run()()
		d.expect("a restart finds what was in force", nil, nil, "iris", "1 operator canary: 1, stable: 1")
		d.expect("after it", d.split("iris", config.Weights{"stable": 1, "canary": 9}), nil, "iris", "2 operator canary: 9, stable: 1")
	}
	full := func(path string) error { return os.Symlink("/dev/full", path+".next") }
	f(syscall.ENOSPC, full, func(string) error { return nil }) // storing has removed the link
	f(syscall.EISDIR, func(path string) error { return os.MkdirAll(path+".next/x", 0o700) }, func(path string) error { return os.RemoveAll(path + ".next") })
	f(os.ErrExist, // what stands in the way of the renaming
		func(path string) error {
			return errors.Join(os.Rename(path, path+".was"), os.MkdirAll(path+"/x", 0o700))
		},
		func(path string) error { return errors.Join(os.RemoveAll(path), os.Rename(path+".was", path)) })
	f(syscall.ENOTDIR,
		func(path string) error {
			dir := filepath.Dir(path)
			return errors.Join(os.Rename(dir, dir+".was"), os.WriteFile(dir, nil, 0o600))
		},
		func(path string) error {
			dir := filepath.Dir(path)
			return errors.Join(os.Remove(dir), os.Rename(dir+".was", dir))
		})
}

// writerEnv turns the test binary into a process that does nothing but change overrides, and says so after each.
const writerEnv = "MLPROXY_CONTROL_WRITER"

// writer changes the split of iris again and again, counting the canary's weight up from what it finds, and prints each weight once
// it is in force.
func writer(dir string) error {
	src := fmt.Sprintf(`{version: 1, state_dir: %q, pools: {stable: {endpoints: ["http://127.0.0.1:1"]}, canary: {endpoints: ["http://127.0.0.1:1"]}},
  routes: {iris: {match: {path: /}, split: {stable: 1, canary: 0}}}}`, dir)
	file, err := config.Parse("config.yaml", []byte(src), os.LookupEnv)
	if err != nil {
		return err
	}
	l := New(router.NewEstate(monitor.New()), new(router.Router), slog.New(slog.DiscardHandler))
	if err := l.Begin(source.Update{Origin: "file", Config: file}); err != nil {
		return err
	}
	if dropped := l.Status().Memory.Dropped; len(dropped) > 0 {
		return fmt.Errorf("not all was in force again: %q", dropped)
	}
	go func() { _ = l.Run(context.Background(), nil) }()
	for n := l.Status().Routes["iris"].Split["canary"]; ; n++ {
		fmt.Println(n)
		if _, err := l.SetSplit(context.Background(), Change{Route: "iris", Reason: strings.Repeat("x", int(n)%5000)}, config.Weights{"stable": 1, "canary": n + 1}); err != nil {
			return err
		}
	}
}

// TestKilledWhileWriting ends a writing process 200 times with SIGKILL, somewhere in the middle of its writing. The next one finds
// the last change that was acknowledged, or the one after, and everything whole. A busy machine may not get to all 200 in time.
func TestKilledWhileWriting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	last, end := 0, time.Now().Add(40*time.Second)
	for round := range 200 {
		if time.Now().After(end) {
			t.Logf("%d rounds in time", round)
			break
		}
		w := exec.Command(os.Args[0])
		w.Env = append(os.Environ(), writerEnv+"="+dir)
		w.Stderr = os.Stderr
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
		first, _ := strconv.Atoi(said.Text())
		if first != last && first != last+1 {
			t.Fatalf("round %d: %d was acknowledged, and %d was there afterwards", round, last, first)
		}
		killer := time.AfterFunc(time.Duration(rand.IntN(15_000))*time.Microsecond, func() { _ = w.Process.Kill() })
		for last = first; said.Scan(); {
			last, _ = strconv.Atoi(said.Text())
		}
		killer.Stop()
		_ = w.Wait()
		if w.ProcessState.Exited() {
			t.Fatalf("round %d: the writer ended by itself: %v", round, w.ProcessState)
		}
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "*.corrupt-*")); len(aside) > 0 || last < 20 {
		t.Errorf("set aside: %q; %d changes", aside, last)
	}
}
