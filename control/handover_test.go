package control

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/source"
)

// another is a second loop that begins with the desk's folder, as another process would.
func (d *desk) another(passed *os.File) (*Loop, error) {
	l := New(router.NewEstate(monitor.New()), new(router.Router), slog.New(slog.NewTextHandler(d.log, nil)))
	l.Inherit(passed)
	return l, l.Begin(source.Update{Origin: "file", Reason: "start", Config: d.config(iris)})
}

// duplicate is the file as a process has it that it was passed to.
func duplicate(t *testing.T, f *os.File) *os.File {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

func TestStateDirHasOneWriter(t *testing.T) {
	d := newDesk(t)
	_, err := d.another(nil)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d;", os.Getpid())) || !strings.Contains(err.Error(), d.dir) {
		t.Errorf("a second loop in the same folder begins with %v", err)
	}
	d.dir = t.TempDir()
	other, err := d.another(nil)
	if err != nil {
		t.Fatalf("a loop in a folder of its own begins with %v", err)
	}
	other.store.lock.release()
}

// A folder that cannot be written to keeps nobody from serving, as long as nothing is to be stored.
func TestAStateDirThatCannotBeLocked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := &desk{T: t, up: listening(t), down: "http://127.0.0.1:1", dir: file + "/state"}
	t.Cleanup(d.run())
	d.expect("a change", d.split("iris", config.Weights{"stable": 1, "canary": 1}), ErrNotStored, "iris", "1 file canary: 5, stable: 95")
	if !strings.Contains(d.log.String(), "state_dir cannot be locked") {
		t.Errorf("the log is %s", d.log)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	d.expect("once it can", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "2 operator canary: 1, stable: 1")
	if _, err := d.another(nil); !errors.Is(err, ErrInUse) {
		t.Errorf("a second loop begins with %v", err)
	}
}

func TestTheLockEndsWithItsHolder(t *testing.T) {
	d := newDesk(t)
	d.expect("split", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "2 operator canary: 1, stable: 1")
	t.Cleanup(d.run())
	d.expect("nothing", nil, nil, "iris", "1 operator canary: 1, stable: 1")
}

func TestHandover(t *testing.T) {
	d := newDesk(t)
	d.expect("split", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "2 operator canary: 1, stable: 1")
	passed, release, err := d.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.split("iris", config.Weights{"stable": 1, "canary": 2}); !errors.Is(err, ErrHandover) {
		t.Errorf("a change during the handover: %v", err)
	}
	if !d.Answers(t.Context()) {
		t.Error("a loop that holds still is taken for dead")
	}
	if err := d.reloadFile(d.config(iris, `later: {match: {path: /later}, split: {stable: 1}}`), nil); !errors.Is(err, ErrHandover) {
		t.Errorf("a reload during the handover: %v", err)
	}
	if _, known := d.Status().Routes["later"]; known {
		t.Error("the reload came into force, which the successor may not have seen")
	}
	successor, err := d.another(duplicate(t, passed))
	if err != nil {
		t.Fatalf("the successor begins with %v", err)
	}
	if got := successor.Status().Routes["iris"].Split["canary"]; got != 1 {
		t.Errorf("the successor's canary has weight %v", got)
	}
	successor.store.lock.release()
	if _, err := d.another(nil); !errors.Is(err, ErrInUse) {
		t.Errorf("the lock is gone with the successor, though its first holder lives: %v", err)
	}
	release()
	d.expect("split", d.split("iris", config.Weights{"stable": 1, "canary": 3}), nil, "iris", "4 operator canary: 3, stable: 1")
	if _, known := d.Status().Routes["later"]; !known {
		t.Error("what the file said during a handover that came to nothing is forgotten")
	}
}

// A successor that fails may have written before it did. What it wrote is not what is in force.
func TestWhatAFailedSuccessorWroteIsForgotten(t *testing.T) {
	d := newDesk(t)
	d.expect("split", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "2 operator canary: 1, stable: 1")
	_, release, err := d.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(d.store.path); err != nil {
		t.Fatal(err)
	}
	release()
	if !d.Answers(t.Context()) {
		t.Fatal("the loop does not answer")
	}
	t.Cleanup(d.run())
	d.expect("nothing", nil, nil, "iris", "1 operator canary: 1, stable: 1")
}

func TestALockOfAnotherFolderIsOfNoUse(t *testing.T) {
	d := newDesk(t)
	other, err := os.Create(filepath.Join(t.TempDir(), lockName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.another(other); !errors.Is(err, ErrInUse) {
		t.Errorf("it begins with %v", err)
	}
	if err := other.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file is left open: %v", err)
	}
}

// Whatever ends a process, its lock ends too.
func TestAKilledHolderLocksNobodyOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	w := exec.Command(os.Args[0])
	w.Env = append(os.Environ(), writerEnv+"="+dir)
	out, err := w.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	l := lock{path: filepath.Join(dir, lockName)}
	if err := l.take(); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(w.Process.Pid)) {
		t.Errorf("beside the writer: %v", err)
	}
	_ = w.Process.Kill()
	_ = w.Wait()
	if err := l.take(); err != nil {
		t.Errorf("after its end: %v", err)
	}
	l.release()
}
