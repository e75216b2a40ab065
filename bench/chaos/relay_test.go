package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
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
	defer r.close()
	f := func(ill illness, want int, end error, least time.Duration) {
		t.Helper()
		r.falls(ill)
		began := time.Now()
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte("?"))
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if ill.vanishAfter > 0 {
			_ = c.SetReadDeadline(time.Now().Add(100 * ms))
		}
		got, err := io.ReadAll(c)
		if len(got) != want || !errors.Is(err, end) || !bytes.HasPrefix(answer, got) || time.Since(began) < least {
			t.Errorf("%+v: %d bytes after %v, %v", ill, len(got), time.Since(began), err)
		}
	}
	f(illness{}, 1000, nil, 0)
	f(illness{latency: 20 * ms}, 1000, nil, 20*ms)
	f(illness{perSecond: 50_000}, 1000, nil, 20*ms)
	f(illness{slice: 50}, 1000, nil, 19*ms)
	f(illness{lateClose: 20 * ms}, 1000, nil, 20*ms)
	f(illness{resetAfter: 100}, 100, syscall.ECONNRESET, 0)
	f(illness{vanishAfter: 100}, 100, os.ErrDeadlineExceeded, 0)
	r.falls(illness{shut: true})
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("shut: %d, %v", n, err)
	}
	if most := r.most.Load(); most != 1000 {
		t.Errorf("%d bytes were carried, want 1000", most)
	}
}
