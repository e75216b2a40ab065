package proxy

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"mlproxy/monitor"
)

// listener hands out connections wrapped for the server, within its limits.
type listener struct {
	net.Listener
	server *Server
}

// Accept waits for the next connection that may be served. Running out of file descriptors is not the end: it waits
// for some to come back.
func (l *listener) Accept() (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			if wrapped := l.server.admit(c); wrapped != nil {
				return wrapped, nil
			}
		case outOfDescriptors(err):
			l.server.counted.Rejected(monitor.RejectDescriptors)
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
		case errors.Is(err, syscall.ECONNABORTED):
		default:
			return nil, err
		}
	}
}

func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// busyAnswer is all that a connection above the limit gets: an answer that fits the socket's buffer, and the end.
var busyAnswer = func() []byte {
	body := `{"type":"about:blank","title":"Service Unavailable","status":503,"reason":"overloaded","detail":"limits.max_connections are open"}`
	return fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nX-MLProxy-Error: overloaded\r\n"+
		"Retry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}()

// admit wraps c, or refuses it when limits.max_connections are open.
func (s *Server) admit(c net.Conn) net.Conn {
	s.mu.Lock()
	if len(s.conns) >= s.inForce().maxConnections {
		s.mu.Unlock()
		s.counted.Rejected(monitor.RejectLimit)
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(busyAnswer)
		_ = c.Close()
		return nil
	}
	s.mu.Unlock()
	wrapped := newConn(s, c)
	s.mu.Lock()
	s.conns[wrapped] = struct{}{}
	s.mu.Unlock()
	s.counted.Opened()
	return wrapped
}

// dismiss forgets a connection that was closed.
func (s *Server) dismiss(c *conn) {
	s.mu.Lock()
	_, known := s.conns[c]
	delete(s.conns, c)
	s.mu.Unlock()
	if known {
		s.counted.Closed()
	}
}
