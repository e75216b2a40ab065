package control

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockName is the file in state_dir whose lock says who may write there. It holds the process id of the one that does.
const lockName = "lock"

// lock is the exclusive right to write to state_dir. The system takes it back when the last process that has the file open ends,
// however it ends; a process that was passed the open file has the same lock, not another.
type lock struct {
	path string
	file *os.File // nil until taken
}

// inherit takes what may be the lock's file, opened and locked by the process that passed it on; one of another folder is of no use.
func (l *lock) inherit(passed *os.File) {
	l.file = passed
	if l.held() {
		l.sign()
	} else {
		l.release()
	}
}

// held says whether the lock was taken, and the file is still where others look for it: somebody may have removed the folder.
func (l *lock) held() bool {
	if l.file == nil {
		return false
	}
	there, err := os.Stat(l.path)
	ours, failed := l.file.Stat()
	return err == nil && failed == nil && os.SameFile(there, ours)
}

// take locks the folder, made when it is not there, for this process, unless it has been already; ErrInUse says which other has it.
func (l *lock) take() error {
	if l.held() {
		return nil
	}
	l.release()
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		defer f.Close()
		return fmt.Errorf("%w: %s is %s; stop that one, or give this one a state_dir of its own", ErrInUse, filepath.Dir(l.path), holder(f))
	case err != nil:
		_ = f.Close()
		return fmt.Errorf("%s cannot be locked: %w", l.path, err)
	}
	l.file = f
	l.sign()
	return nil
}

// holder says whose a locked folder is.
func holder(f *os.File) string {
	pid, err := io.ReadAll(io.LimitReader(f, 20))
	if err != nil || len(pid) == 0 {
		return "another mlproxy's"
	}
	return "that of the mlproxy with pid " + strings.TrimSpace(string(pid))
}

// sign writes this process's id into the file, for people; the lock itself does not depend on it.
func (l *lock) sign() {
	if l.file != nil && l.file.Truncate(0) == nil {
		_, _ = l.file.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	}
}

// release gives the lock up, unless it was passed on.
func (l *lock) release() {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}
