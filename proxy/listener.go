package proxy

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"mlproxy/monitor"
)

// listener hands out connections wrapped for the server, within its limits.
type listener struct {
	net.Listener
	server *Server
	once   sync.Once
}

// Close closes the listener, once: the server underneath takes a second time for a fault.
func (l *listener) Close() (err error) {
	l.once.Do(func() { err = l.Listener.Close() })
	return err
}

// Accept waits for the next connection that may be served. Running out of file descriptors is not the end: connections that only wait
// make room, and it waits for descriptors to come back.
func (l *listener) Accept() (net.Conn, error) {
	for wait := shortWait; ; {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			if wrapped := l.server.admit(c); wrapped != nil {
				return wrapped, nil
			}
		case outOfDescriptors(err):
			l.server.counted.Rejected(monitor.RejectDescriptors)
			if l.server.makeRoom() > 0 {
				wait = shortWait
			}
			time.Sleep(wait)
			wait = min(2*wait, 100*shortWait)
		case errors.Is(err, syscall.ECONNABORTED):
		default:
			return nil, err
		}
	}
}

// shortWait is how long Accept waits for a descriptor at first.
const shortWait = 5 * time.Millisecond

func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// busyAnswers are all that a connection above a limit gets: an answer that fits the socket's buffer, and the end.
var busyAnswers = map[monitor.RejectReason][]byte{
	monitor.RejectLimit: connectionAnswer(monitor.Overloaded, "Retry-After: 1\r\n", "limits.max_connections are open, and in use"),
	monitor.RejectPerIP: connectionAnswer(monitor.Overloaded, "Retry-After: 1\r\n", "limits.max_connections_per_ip are open from this address"),
}

// connectionAnswer is an answer to a whole connection, before any request on it was read.
func connectionAnswer(reason monitor.Reason, fields, detail string) []byte {
	status := statusOf[reason]
	body := fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"reason":%q,"detail":%q}`, status.phrase, status.code, reason, detail)
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nX-MLProxy-Error: %s\r\n%s"+
		"Connection: close\r\nContent-Length: %d\r\n\r\n%s", status.code, status.phrase, reason, fields, len(body), body)
}

// admit wraps c, or refuses it when there are as many as may be and none of them can give way.
func (s *Server) admit(c net.Conn) net.Conn {
	wrapped := newConn(s, c)
	reason, full := s.enlist(wrapped)
	if full && reason == monitor.RejectLimit {
		reason, full = s.makeRoomFor(wrapped)
	}
	if full {
		s.counted.Rejected(reason)
		if !wrapped.encrypted() { // a handshake is more than it is worth
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = c.Write(busyAnswers[reason])
		}
		_ = wrapped.Close()
		return nil
	}
	s.counted.Opened()
	return wrapped
}

// enlist adds c to the connections, or says which limit is full.
func (s *Server) enlist(c *conn) (reason monitor.RejectReason, full bool) {
	limits := s.inForce()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.conns) >= limits.maxConnections:
		return monitor.RejectLimit, true
	case limits.maxPerIP > 0 && s.from[c.network] >= limits.maxPerIP && !limits.trusts(c.client):
		return monitor.RejectPerIP, true
	}
	s.conns[c] = struct{}{}
	s.from[c.network]++
	return reason, false
}

// dismiss forgets a connection that was closed.
func (s *Server) dismiss(c *conn) {
	s.mu.Lock()
	_, known := s.conns[c]
	if known {
		delete(s.conns, c)
		if s.from[c.network]--; s.from[c.network] == 0 {
			delete(s.from, c.network)
		}
	}
	s.mu.Unlock()
	if known {
		s.waiting.ended()
		s.counted.Closed()
	}
}
