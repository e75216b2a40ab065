package proxy

import (
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/router"
)

// A connection is retired while its client sends: whichever comes first, the request is served. Without a request it ends.
func TestARequestAtTheMomentOfRetiring(t *testing.T) {
	cfg := plainConfig("127.0.0.1:1", &config.Route{Split: config.Weights{"stable": 1}})
	registry := monitor.New()
	estate := router.NewEstate(registry)
	table, err := router.Compile(cfg, estate)
	if err != nil {
		t.Fatal(err)
	}
	var tables router.Router
	tables.Swap(table)
	s := New(Options{Router: &tables, Registry: registry, Watch: estate.Endpoints.Watch()})
	f := func(name string, retire func(c *conn, client net.Conn), want bool) {
		t.Helper()
		front := listen(t)
		client := dial(t, front)
		accepted, err := front.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c := newConn(s, accepted)
		defer c.Close()
		awaited := make(chan bool, 1)
		go func() { awaited <- c.await() }()
		for since := int64(0); since <= 0 || !c.waiting.CompareAndSwap(since, retiring); since = c.waiting.Load() {
			runtime.Gosched()
		}
		retire(c, client)
		c.waiting.Store(retired)
		select {
		case got := <-awaited:
			if got != want || got && string(c.in.Bytes()) != "GET" {
				t.Errorf("%s: a request is %v, %q", name, got, c.in.Bytes())
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it waits", name)
		}
	}
	come := func(client net.Conn) {
		if _, err := client.Write([]byte("GET")); err != nil {
			t.Fatal(err)
		}
	}
	f("no request", func(c *conn, _ net.Conn) { c.wire.CutRead() }, false)
	f("the request first", func(c *conn, client net.Conn) { come(client); c.wire.CutRead() }, true)
	f("the cut first", func(c *conn, client net.Conn) {
		c.wire.CutRead()
		come(client)
		for !delivered(t, client) {
			runtime.Gosched()
		}
	}, true)
}

// delivered says that nothing which was written is still on its way: the peer has it, in its socket or read already.
func delivered(t *testing.T, c net.Conn) bool {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	unsent := -1
	if ctl := raw.Control(func(fd uintptr) { unsent, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); ctl != nil || err != nil {
		t.Fatal(ctl, err)
	}
	return unsent == 0
}
