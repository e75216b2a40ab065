package main

import (
	"net"
	"testing"
)

func TestSocketFits(t *testing.T) {
	bind := func(address string) *net.TCPListener {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return ln.(*net.TCPListener)
	}
	local, everywhere := bind("127.0.0.1:0"), bind("0.0.0.0:0")
	port := func(ln *net.TCPListener) string {
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		return port
	}
	f := func(s socket, kind, address string, want bool) {
		t.Helper()
		if got := s.fits(kind, address); got != want {
			t.Errorf("%+v fits %s %s: %v", s, kind, address, got)
		}
	}
	f(socket{ln: local, name: "data"}, dataSocket, "127.0.0.1:"+port(local), true)
	f(socket{ln: local, name: "data"}, dataSocket, "localhost:"+port(local), true)
	f(socket{ln: local, name: "data"}, dataSocket, "127.0.0.1:0", true)
	f(socket{ln: local, name: "data"}, adminSocket, "127.0.0.1:"+port(local), false)
	f(socket{ln: local, name: "mlproxy.socket"}, adminSocket, "127.0.0.1:"+port(local), true)
	f(socket{ln: local, name: "data"}, dataSocket, "127.0.0.1:1", false)
	f(socket{ln: local, name: "data"}, dataSocket, "0.0.0.0:"+port(local), false)
	f(socket{ln: everywhere, name: "data"}, dataSocket, "127.0.0.1:"+port(everywhere), false)
	f(socket{ln: everywhere, name: "data"}, dataSocket, ":"+port(everywhere), true)
	f(socket{ln: everywhere, name: "data"}, dataSocket, "[::]:"+port(everywhere), true)
	f(socket{ln: local, name: "data", used: true}, dataSocket, "127.0.0.1:0", false)
	f(socket{ln: local, name: "data", of: "nowhere.example:80"}, dataSocket, "nowhere.example:80", true)
}

func TestWhatSystemdSaysIsRead(t *testing.T) {
	for _, count := range []string{"", "x", "-1"} {
		if _, err := fromSystemd(count, ""); err == nil {
			t.Errorf("LISTEN_FDS=%q is taken", count)
		}
	}
	t.Setenv("LISTEN_PID", "1") // another's
	t.Setenv("LISTEN_FDS", "x")
	if given, err := inherit(); err != nil || len(given.sockets) > 0 {
		t.Errorf("what is meant for another process is taken: %v, %v", given, err)
	}
}
