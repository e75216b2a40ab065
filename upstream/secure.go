package upstream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// secured is what a wire over TLS has besides: the connection's two layers, and ways to look without waiting. Waiting is
// done on the socket and without a buffer; a byte that waits there need not be one of a message (TLS 1.3 sends tickets of
// sessions after the handshake), so whether one came is for TLS to say.
type secured struct {
	*tls.Conn
	socket *socket
	heard  peeking // the reader's own; the wire's may be used by others meanwhile
	call   func(fd uintptr) bool
	b      [1]byte
}

// socket is the connection below TLS. Its end is an error: TLS has an end of its own (close_notify), and takes one that
// comes without it, between two records, for no worse, so that whoever can cut a connection could make an answer end there
// (RFC 8446, section 6.1).
type socket struct {
	Socket
	raw  syscall.RawConn
	now  bool // reads take what is there, or fail with errNothing
	p    []byte
	n    int
	err  error
	call func(fd uintptr)
}

// Socket is a connection of the system's, such as a [net.TCPConn].
type Socket interface {
	net.Conn
	syscall.Conn
}

// NewSecureWire speaks TLS over conn, which side, [tls.Server] or [tls.Client], begins. Nothing is sent before Handshake.
func NewSecureWire(conn Socket, side func(net.Conn, *tls.Config) *tls.Conn, c *tls.Config, w *Watch) *Wire {
	s := &socket{Socket: conn}
	s.raw, _ = conn.SyscallConn() // it fails only for a connection that is none
	boundReads(s.raw)
	s.call = s.readNow
	layer := side(s, c)
	wire := NewWire(layer, w)
	wire.secure = &secured{Conn: layer, socket: s}
	wire.secure.call = wire.secure.arrived
	return wire
}

// Secure is the connection's TLS layer; nil when it has none.
func (w *Wire) Secure() *tls.Conn {
	if w.secure == nil {
		return nil
	}
	return w.secure.Conn
}

// Handshake agrees on keys with the peer; it must come before anything else. ReadWithin and WriteWithin bound it.
func (w *Wire) Handshake() error { return plain(w.secure.Handshake()) }

// ErrCutOff says that the connection below TLS ended while TLS had not.
var ErrCutOff = errors.New("the connection ended without TLS saying so")

// Read is for TLS.
func (s *socket) Read(p []byte) (n int, err error) {
	if s.now {
		s.p, s.err = p, nil
		err = s.raw.Control(s.call)
		s.p = nil
		if n = s.n; err == nil {
			err = s.err
		}
	} else {
		n, err = s.Socket.Read(p)
	}
	if err == io.EOF {
		err = ErrCutOff
	}
	return n, err
}

func (s *socket) readNow(fd uintptr) {
	n, errno := sysRead(int(fd), s.p)
	for errno == syscall.EINTR {
		n, errno = sysRead(int(fd), s.p)
	}
	s.n = n
	switch {
	case errno == syscall.EAGAIN:
		s.err = errNothing
	case errno != 0:
		s.err = errno
	case n == 0:
		s.err = io.EOF
	}
}

// errNothing says that a read would have had to wait. As a temporary error it leaves TLS as it is.
var errNothing error = nothingYet{}

type nothingYet struct{}

func (nothingYet) Error() string   { return "nothing has come yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }

// readNow reads what is there, if need be errNothing.
func (s *secured) readNow(p []byte) (int, error) {
	s.socket.now = true
	n, err := s.Read(p)
	s.socket.now = false
	return n, err
}

// await waits until a byte waits in the socket, or its end.
func (s *secured) await() error { return s.socket.raw.Read(s.call) }

func (s *secured) arrived(fd uintptr) bool {
	s.heard.at(fd)
	return s.heard.err != syscall.EAGAIN && s.heard.err != syscall.EINTR
}

// quiet says that TLS has nothing to tell, not even an end, once it has seen all that came.
func (s *secured) quiet() bool {
	_, err := s.readNow(s.b[:])
	return err == errNothing
}

// readSecure is readBorrowed over TLS.
func (w *Wire) readSecure() ([]byte, int, error) {
	if err := w.sendHeld(); err != nil {
		return nil, 0, err
	}
	for {
		p := Borrow()
		n, err := w.secure.readNow(p)
		if n > 0 {
			return p, n, nil // an error comes again
		}
		Return(p)
		if err == errNothing {
			err = w.secure.await()
		}
		if err != nil {
			return nil, 0, plain(err)
		}
	}
}

// hungUpSecurely is hungUp where the peer's last word is an alert of TLS: it waits unread like a request would.
func hungUpSecurely(fd int) bool {
	return departed(fd, func() bool {
		var b [64]byte
		n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err == nil && (n == 0 || farewell(b[:n]))
	})
}

// farewell says that b, all that came before the end, is one record of an alert. In TLS 1.3 it looks like any other, but none of a
// request is so short: 2 bytes, their kind and the tag (RFC 8446, section 5.2).
func farewell(b []byte) bool {
	const head, alert, data, sealed = 5, 21, 23, 2 + 1 + 16
	if len(b) < head {
		return false
	}
	n := int(b[3])<<8 | int(b[4])
	return head+n == len(b) && (b[0] == alert || b[0] == data && n == sealed)
}
