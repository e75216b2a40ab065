package main

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func startServer(t *testing.T) *server {
	t.Helper()
	s, err := newServer("stable-1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.leave)
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// ask says who answers a health check, and with what.
func (s *server) ask(t *testing.T, timeout time.Duration) (name string, status int, err error) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: timeout}
	answer, err := client.Get("http://" + s.addr + "/v2/health/ready")
	if err != nil {
		return "", 0, err
	}
	defer answer.Body.Close()
	return answer.Header.Get(nameHeader), answer.StatusCode, nil
}

// The faults are real: a killed server refuses, a frozen one does not answer, and both come back at the same address.
func TestServerBreaks(t *testing.T) {
	s := startServer(t)
	well := func(when string) {
		t.Helper()
		if name, status, err := s.ask(t, patience); name != "stable-1" || status != http.StatusOK || err != nil {
			t.Fatalf("%s: %q answers %d, %v", when, name, status, err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	well("at first")

	must(s.freeze())
	if _, _, err := s.ask(t, 50*time.Millisecond); !os.IsTimeout(err) {
		t.Errorf("frozen: %v", err)
	}
	must(s.thaw())
	well("continued")

	must(s.misbehave(t.Context(), "status=500,health"))
	if _, status, err := s.ask(t, patience); status != http.StatusInternalServerError {
		t.Errorf("misbehaving: %d, %v", status, err)
	}
	if err := s.misbehave(t.Context(), "nonsense"); err == nil || !strings.Contains(err.Error(), "unknown word") {
		t.Error(err)
	}

	must(s.freeze())
	must(s.kill()) // also when it is frozen
	if _, _, err := s.ask(t, patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("killed: %v", err)
	}
	must(s.start(t.Context()))
	well("started anew")
}

func TestServeModelRefuses(t *testing.T) {
	var said strings.Builder
	if code := serveModel("x@127.0.0.1:notaport", strings.NewReader(""), &said); code != exitBroken {
		t.Errorf("exit %d: %s", code, said.String())
	}
}
