package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mlproxy/config"
)

// A model server that leaves in the middle of an answer is missed soon, also when its end comes in one segment with the last bytes: of both
// together the poller tells once.
func TestEndTogetherWithBytes(t *testing.T) {
	f := func(what string, leave func(*net.TCPConn) error) {
		t.Helper()
		model, front := listen(t), listen(t)
		startProxy(t, plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}}), front)
		client := dial(t, front)
		send(t, client)
		server := accept(t, model)
		write(t, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
		_ = client.SetReadDeadline(time.Now().Add(10 * time.Second)) // the route would wait for 30
		answer, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(answer.Body, got); err != nil {
			t.Fatal(err)
		}
		cork(t, server)
		write(t, server, "4\r\nlast\r\n")
		if err := leave(server); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(answer.Body)
		if late := net.Error(nil); string(rest) != "last" || err == nil || errors.As(err, &late) && late.Timeout() {
			t.Errorf("%s: %q, %v", what, rest, err)
		}
		_ = answer.Body.Close()
	}
	f("it closes", (*net.TCPConn).Close)
	f("it ends its side", (*net.TCPConn).CloseWrite)
}

// accept is a model server's connection, on which a request without a body has come.
func accept(t *testing.T, ln net.Listener) *net.TCPConn {
	t.Helper()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func write(t *testing.T, to io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(to, s); err != nil {
		t.Fatal(err)
	}
}

// cork has the kernel send what is written next only with what follows: more of it, or the end.
func cork(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1) })
	}
	if err != nil {
		t.Fatal(err)
	}
}
