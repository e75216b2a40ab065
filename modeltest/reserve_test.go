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
