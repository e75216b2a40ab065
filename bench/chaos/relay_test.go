package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// A relay that is well passes everything, and each illness shows as what it is called.
func TestRelay(t *testing.T) {
	answer := bytes.Repeat([]byte("0123456789"), 100)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // whoever sends a byte is answered, and that is all
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1))
			_, _ = c.Write(answer)
			_ = c.Close()
		}
	}()
	r, err := openRelay(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	f := func(ill illness, want int, end error, least time.Duration) {
		t.Helper()
		if err := r.falls(t.Context(), ill); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c, err := net.Dial("tcp", r.Listen)
		if ill.down {
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("down: %v", err)
			}
			return
		} else if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte("?"))
		_ = c.SetReadDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(c)
		if len(got) != want || !errors.Is(err, end) || !bytes.HasPrefix(answer, got) || time.Since(began) < least {
			t.Errorf("%+v: %d bytes after %v, %v", ill, len(got), time.Since(began), err)
		}
	}
	well := func() { f(illness{}, 1000, nil, 0) }
	well()
	f(illness{toxic: "latency", with: set{"latency": 20}}, 1000, nil, 20*ms)
	f(illness{toxic: "bandwidth", with: set{"rate": 50}}, 1000, nil, 20*ms)
	f(illness{toxic: "slicer", with: set{"average_size": 50, "delay": 1000}}, 1000, nil, 19*ms)
	f(illness{toxic: "slow_close", with: set{"delay": 20}}, 1000, nil, 20*ms)
	f(illness{toxic: "limit_data", with: set{"bytes": 100}}, 100, nil, 0)
	f(illness{toxic: "reset_peer", with: set{"timeout": 0}}, 0, syscall.ECONNRESET, 0)
	f(vanishing, 0, nil, 0)
	f(illness{down: true}, 0, nil, 0)
	well()
	if err := r.falls(t.Context(), illness{toxic: "hiccups"}); err == nil {
		t.Error("an illness that toxiproxy does not know makes nobody ill, and that is not said")
	}
}
