package upstream

import (
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What the kernel takes for a reader that has stopped does not grow with how fast it read before.
func TestReceiveBufferIsBounded(t *testing.T) {
	f := func(what string, wrap func(*net.TCPConn) syscall.RawConn) {
		t.Helper()
		ours, theirs := peers(t)
		raw := wrap(ours)
		go func() { _, _ = theirs.Write(make([]byte, 64<<20)) }() // ends with theirs at the latest
		if _, err := io.CopyN(io.Discard, ours, 64<<20); err != nil {
			t.Fatal(err)
		}
		if got := bufferOf(t, raw); (got == 2*receiveBuffer) != grantsReceiveBuffer() {
			t.Errorf("%s: the kernel takes %d bytes for it; that it grants %d is %v", what, got, 2*receiveBuffer, grantsReceiveBuffer())
		}
	}
	f("plain", func(c *net.TCPConn) syscall.RawConn {
		w := NewWire(c, NewWatch())
		return w.raw
	})
	f("TLS", func(c *net.TCPConn) syscall.RawConn {
		w := NewSecureWire(c, tls.Server, serverTLS(t, tls.VersionTLS13, "a"), NewWatch())
		return w.secure.socket.raw
	})
}

// bufferOf is what the kernel's books allow a socket to hold unread, in bytes.
func bufferOf(t testing.TB, raw syscall.RawConn) (n int) {
	t.Helper()
	if err := raw.Control(func(fd uintptr) { n, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) }); err != nil {
		t.Fatal(err)
	}
	return n
}
