package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The watchdog hears of a program as long as it lives; an abstract socket is one as any other.
func TestWatchdog(t *testing.T) {
	name := fmt.Sprint("@mlproxy-test-", os.Getpid())
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	_ = socket.SetReadDeadline(time.Now().Add(patience))
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "20000")
	s := newSupervisor(slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	var alive, asked atomic.Int64
	alive.Store(1)
	guarded := newGroup()
	guarded.Go(func() error {
		s.guard(ctx, func(context.Context) bool { asked.Add(1); return alive.Load() == 1 })
		return nil
	})
	message := make([]byte, 100)
	for range 3 {
		n, err := socket.Read(message)
		if err != nil || string(message[:n]) != "WATCHDOG=1" {
			t.Fatalf("heard %q, %v", message[:n], err)
		}
	}
	alive.Store(0)
	for from, late := asked.Load(), time.After(patience); asked.Load() < from+3; {
		select {
		case <-late:
			t.Fatal("nobody asks whether it is alive")
		case <-time.After(time.Millisecond):
		}
	}
	stop()
	_ = guarded.Wait()
	s.tell("END=1")
	said := 0
	for ; ; said++ {
		if n, err := socket.Read(message); err != nil || string(message[:n]) == "END=1" {
			break
		}
	}
	if said > 10 {
		t.Errorf("a program that is not alive was praised %d times", said)
	}
}

func TestWatchdogOfAnother(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "1")
	if s := newSupervisor(slog.New(slog.DiscardHandler)); s.watchdog != 0 {
		t.Errorf("it is taken for this process's: %v", s.watchdog)
	}
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	if s := newSupervisor(slog.New(slog.DiscardHandler)); s.watchdog != 20*time.Millisecond {
		t.Errorf("it is %v", s.watchdog)
	}
}

func TestASupervisorThatIsGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", t.TempDir()+"/nobody")
	var log bytes.Buffer
	s := newSupervisor(slog.New(slog.NewTextHandler(&log, nil)))
	s.tell("READY=1")
	if !strings.Contains(log.String(), "cannot be told") {
		t.Errorf("the log is %s", &log)
	}
	log.Reset()
	s.silent.Store(true)
	s.tell("READY=1")
	if log.Len() > 0 {
		t.Errorf("it speaks: %s", &log)
	}
}
