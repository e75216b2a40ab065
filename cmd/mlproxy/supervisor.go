package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// supervisor is told how mlproxy does: systemd, by datagrams to its socket (sd_notify(3)). Without one nothing is told.
type supervisor struct {
	socket   string        // "" = there is none
	watchdog time.Duration // it wants to hear at least so often that all is well; 0 = not
	silent   atomic.Bool   // from now on a successor speaks
	log      *slog.Logger
}

// newSupervisor finds the supervisor in the environment.
func newSupervisor(log *slog.Logger) *supervisor {
	s := &supervisor{socket: os.Getenv("NOTIFY_SOCKET"), log: log}
	pid := os.Getenv("WATCHDOG_PID")
	if usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		s.watchdog = time.Duration(usec) * time.Microsecond
	}
	return s
}

// tell sends assignments, such as READY=1. What cannot be told is logged and forgotten: traffic does not depend on it.
func (s *supervisor) tell(assignments ...string) {
	if s.socket == "" || s.silent.Load() {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"}) // @ stands for an abstract name
	if err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, err = c.Write([]byte(strings.Join(assignments, "\n")))
		_ = c.Close()
	}
	if err != nil {
		s.log.Warn("the supervisor cannot be told", "socket", s.socket, "assignments", assignments, "error", err)
	}
}

// reloading says that a reload begins; READY=1 must follow.
func (s *supervisor) reloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	s.tell("RELOADING=1", fmt.Sprint("MONOTONIC_USEC=", now.Nano()/1000))
}

// stopping says that mlproxy ends, and how long it may take.
func (s *supervisor) stopping(within time.Duration) {
	s.tell("STOPPING=1", "STATUS=stopping; running exchanges finish", fmt.Sprint("EXTEND_TIMEOUT_USEC=", within.Microseconds()))
}

// guard tells the watchdog that all is well, twice as often as it wants to hear it, as long as alive says so. alive must heed its
// context's end.
func (s *supervisor) guard(ctx context.Context, alive func(context.Context) bool) {
	if s.socket == "" || s.watchdog <= 0 {
		return
	}
	every := time.NewTicker(s.watchdog / 2)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			within, cancel := context.WithTimeout(ctx, s.watchdog/4)
			if alive(within) {
				s.tell("WATCHDOG=1")
			} else if ctx.Err() == nil {
				s.log.Error("a part of mlproxy does not answer; the watchdog is not told that all is well", "watchdog", s.watchdog)
			}
			cancel()
		}
	}
}
