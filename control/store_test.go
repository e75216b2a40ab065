package control

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"mlproxy/config"
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
	f("checksum", []byte(`{"version": 1, "content": {}}`))
	f("not what mlproxy writes", good[1:])
	f("not what mlproxy writes", bytes.Repeat([]byte{0}, len(good))) // as a file system may leave it after a crash
	f("not what mlproxy writes", append(bytes.Clone(good), good...))
	f("not what mlproxy writes", []byte("null"))
	f("not what mlproxy writes", []byte("[]"))
	f("version 0", []byte("{\"content\": {}}"))
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
	null := func(path string) error { return os.Symlink("/dev/null", path+".next") } // takes all, but cannot be flushed
	f(syscall.EINVAL, null, func(string) error { return nil })
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

// What stands in the file's place, and what a killed process left beside it, keep nothing from starting.
func TestWhatStandsInTheWay(t *testing.T) {
	f := func(name string, dropped bool) {
		t.Helper()
		d := newDesk(t)
		if err := os.MkdirAll(filepath.Join(d.dir, name, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if name == storeName+".next" { // half a file, not a folder
			_ = os.RemoveAll(filepath.Join(d.dir, name))
			if err := os.WriteFile(filepath.Join(d.dir, name), []byte(`{"version": 1, "chec`), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		defer d.run()()
		if got := len(d.Status().Memory.Dropped) > 0; got != dropped {
			t.Errorf("%s: dropped %q", name, d.Status().Memory.Dropped)
		}
		d.expect("a change", d.split("iris", config.Weights{"stable": 1, "canary": 3}), nil, "iris", "2 operator canary: 3, stable: 1")
	}
	f(storeName, true)
	f(storeName+".next", false)
}

// A folder whose names cannot be flushed to the disk has taken nothing: what is refused is not found by a restart either.
func TestAFolderThatCannotBeFlushed(t *testing.T) {
	dir := t.TempDir()
	said := func(canary float64) *Overrides {
		return &Overrides{Routes: map[string]config.Override{"iris": {Split: config.Weights{"canary": canary}}}}
	}
	s := newStore(dir)
	f := func(want *Overrides) {
		t.Helper()
		if err := unreadable(t, dir, func() error { return s.save(said(9)) }); !errors.Is(err, os.ErrPermission) {
			t.Errorf("stored, though the folder cannot be flushed: %v", err)
		}
		if got, err := newStore(dir).load(); err != nil || got.Routes["iris"].Split["canary"] != want.Routes["iris"].Split["canary"] {
			t.Errorf("a restart finds %+v, %v; want %+v", got, err, want)
		}
	}
	f(&Overrides{})
	if err := s.save(said(1)); err != nil {
		t.Fatal(err)
	}
	f(said(1))
}

// unreadable runs do while the folder may be written to, but not read. To root that means nothing, so do is run as nobody.
func unreadable(t *testing.T, dir string, do func() error) error {
	t.Helper()
	const nobody = 65534
	root := os.Getuid() == 0
	if root {
		if err := errors.Join(os.Chown(dir, nobody, nobody), filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error { return os.Chown(path, nobody, nobody) })); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o300); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(dir, 0o700) }()
	outcome := make(chan error)
	go func() {
		if root {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			_ = syscall.Setfsuid(nobody)
		}
		outcome <- do()
	}()
	return <-outcome
}
