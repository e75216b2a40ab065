package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An upgrade without a lost request: on SIGUSR2 the process starts its own file anew, which may be another by now, and gives it the
// listening sockets and the lock of state_dir. The new process, the successor, does all that can fail, probes the endpoints, says "ready" and
// waits for "go". Only then does the old one stop accepting and let its exchanges finish; what connects in between waits in the sockets'
// queue, which both share. While the successor reads the state, the old one changes none. Whatever goes wrong before "go", the
// successor is ended and the old process goes on.

const (
	upgradeWithin = time.Minute     // for a successor to be ready
	probedWithin  = 5 * time.Second // for the endpoints of a successor to have been probed
	readyWord     = "ready\n"
	goWord        = "go\n"
)

// successor is the new process as the old one sees it.
type successor struct {
	process *os.Process
	talk    *os.File
	ended   chan struct{} // closed when it has
	state   string        // how; read after ended
}

// binaryFile is the file that this process was started from, by the name it was started with: a link may lead to another file tomorrow.
func binaryFile() (string, error) {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// upgrade has a successor take over, and then calls stop. When that fails, all is as it was; the log says why.
func (p *program) upgrade(ctx context.Context, stop func()) {
	if !p.upgrading.CompareAndSwap(false, true) {
		p.log.Warn("an upgrade is under way; this SIGUSR2 does nothing")
		return
	}
	pid, err := p.handOver(ctx)
	if err != nil {
		p.upgrading.Store(false)
		p.log.Error("the upgrade failed, this process goes on", "error", err)
		return
	}
	p.log.Info("a new process serves; this one lets its exchanges finish", "successor", pid)
	p.super.silent.Store(true)
	p.succeeded.Store(true)
	stop()
}

// handOver starts a successor and lets it serve.
func (p *program) handOver(ctx context.Context) (pid int, err error) {
	if os.Getpid() == 1 {
		return 0, errors.New("a container ends with its first process, which this is; replace the container instead")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, upgradeWithin, fmt.Errorf("the new process was not ready within %v", upgradeWithin))
	defer cancel()
	lock, release, err := p.loop.Hold(ctx)
	if err != nil {
		return 0, err
	}
	s, err := p.beget(lock)
	if err == nil {
		err = s.ready(ctx)
	}
	if err != nil {
		release()
		return 0, err
	}
	p.super.tell(fmt.Sprint("MAINPID=", s.process.Pid))
	_, err = s.talk.WriteString(goWord)
	if err != nil {
		p.super.tell(fmt.Sprint("MAINPID=", os.Getpid()))
		s.end()
		release()
		return 0, fmt.Errorf("the new process was ready, then gone: %w", err)
	}
	return s.process.Pid, nil
}

// beget starts a successor. Descriptors are handed on as numbers: an *os.File would make the sockets, which both share, blocking.
func (p *program) beget(lock *os.File) (*successor, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pair[1])
	names, files := []string{"before"}, []uintptr{0, 1, 2, uintptr(pair[1])}
	if lock != nil {
		names, files = append(names, "lock"), append(files, lock.Fd())
	}
	for _, s := range p.sockets {
		fd, err := duplicate(s.ln)
		if err != nil {
			_ = unix.Close(pair[0])
			return nil, err
		}
		defer unix.Close(fd)
		names, files = append(names, s.name+"="+s.of), append(files, uintptr(fd))
	}
	env := append(slices.DeleteFunc(os.Environ(), personal), handoverEnv+"="+strings.Join(names, ","))
	pid, err := syscall.ForkExec(p.binary, os.Args, &syscall.ProcAttr{Env: env, Files: files})
	if err != nil {
		_ = unix.Close(pair[0])
		return nil, fmt.Errorf("%s cannot be started: %w", p.binary, err)
	}
	p.log.Info("a new process was started; waiting until it is ready", "successor", pid, "binary", p.binary, "within", upgradeWithin)
	return watched(pid, os.NewFile(uintptr(pair[0]), "successor"))
}

// personal says whether a variable of the environment is meant for one process.
func personal(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains([]string{handoverEnv, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"}, name)
}

// duplicate is another descriptor of a listener's socket, for whoever closes it.
func duplicate(ln *net.TCPListener) (fd int, err error) {
	raw, err := ln.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := raw.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(failed, err)
}

// watched is the successor of that pid, whose end will be noticed.
func watched(pid int, talk *os.File) (*successor, error) {
	process, err := os.FindProcess(pid)
	if err != nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		return nil, err
	}
	s := &successor{process: process, talk: talk, ended: make(chan struct{})}
	go func() { // ends with the successor, or with this process
		if state, err := process.Wait(); err == nil {
			s.state = state.String()
		}
		close(s.ended)
	}()
	return s, nil
}

// ready waits until the successor says that it is; one that does not in time is ended.
func (s *successor) ready(ctx context.Context) error {
	said := make(chan error, 1)
	go func() {
		word, err := bufio.NewReader(s.talk).ReadString('\n')
		if err == nil && word != readyWord {
			err = fmt.Errorf("the new process says %q, not %q; is it mlproxy?", word, readyWord)
		}
		said <- err
	}()
	var err error
	select {
	case err = <-said:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	s.end()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the new process ended before it was ready, with %s", s.state)
	}
	return fmt.Errorf("%w; it was ended", err)
}

// end ends the successor and waits for that.
func (s *successor) end() {
	_ = s.process.Kill()
	<-s.ended
	_ = s.talk.Close()
}

// succeed is the successor's part: it has the endpoints probed, says that it is ready, and waits until it may serve. It is false when
// stop or failed come before that. A process that was started in no other's place may serve at once.
func (p *program) succeed(stop, failed <-chan struct{}) bool {
	if p.before == nil {
		return true
	}
	defer p.before.Close()
	p.probed(stop)
	_, _ = p.before.WriteString(readyWord)
	heard := make(chan string, 1)
	go func() {
		word, _ := bufio.NewReader(p.before).ReadString('\n')
		heard <- word
	}()
	select {
	case word := <-heard:
		if word != goWord {
			p.log.Warn("the process before this one ended by itself; serving in its place")
		}
		return true
	case <-stop:
	case <-failed:
	}
	return false
}

// probed waits, not for long, until the endpoints' first probes have answered: they decide which may be used.
func (p *program) probed(stop <-chan struct{}) {
	late := time.NewTimer(probedWithin)
	defer late.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for p.waitsForProbes() {
		select {
		case <-again.C:
		case <-late.C:
			p.log.Warn("some endpoints have not been probed yet; serving without", "waited", probedWithin)
			return
		case <-stop:
			return
		}
	}
}

func (p *program) waitsForProbes() bool {
	for _, pool := range p.loop.Status().Pools {
		for _, e := range pool.Endpoints {
			if e.Probe == "waiting" {
				return true
			}
		}
	}
	return false
}
