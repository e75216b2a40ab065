package modeltest

import (
	"net"
	"testing"
)

func TestReserve(t *testing.T) {
	address, open, give, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer give()
	if c, err := net.Dial("tcp", address); err == nil {
		_ = c.Close()
		t.Error("somebody answers at a reserved port")
	}
	if ln, err := net.Listen("tcp", address); err == nil {
		_ = ln.Close()
		t.Error("a reserved port was given to somebody else")
	}
	ln, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal("nobody answers at the opened port:", err)
	}
	_ = c.Close()
}

// TestHold: whoever knows the port can listen there, time after time.
func TestHold(t *testing.T) {
	ports, give, err := Hold(2)
	if err != nil {
		t.Fatal(err)
	}
	defer give()
	address := "127.0.0.1:" + ports[1]
	for range 3 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			t.Error("somebody answers at a held port")
		}
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal("nobody answers where somebody listens:", err)
		}
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = accepted.Close() // first, so that what the system keeps of the connection is at the held port
		_ = c.Close()
		_ = ln.Close()
	}
}
