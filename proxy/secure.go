package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// secure has the connection speak TLS.
func (c *conn) secure(nc net.Conn, with *tls.Config) {
	socket, ok := nc.(upstream.Socket)
	if !ok {
		_ = nc.Close() // what is no socket is not spoken to in clear either
		c.wire = upstream.NewWire(nc, c.server.opt.Watch)
		return
	}
	c.wire = upstream.NewSecureWire(socket, tls.Server, with, c.server.opt.Watch)
	c.Conn = c.wire.Secure()
}

// encrypted says that the connection speaks TLS.
func (c *conn) encrypted() bool { return c.wire.Secure() != nil }

// proto is the field line that says how the client came.
func (c *conn) proto() string {
	if c.encrypted() {
		return "X-Forwarded-Proto: https\r\n"
	}
	return "X-Forwarded-Proto: http\r\n"
}

// shakesHands makes the TLS handshake where there is one, within limits.read_header_timeout. It runs on the connection's own
// goroutine: nobody waits for a client that is slow at it.
func (c *conn) shakesHands() bool {
	if !c.encrypted() {
		return true
	}
	limit := c.server.inForce().readHeader
	c.wire.ReadWithin(limit)
	c.wire.WriteWithin(limit)
	c.waiting.Store(max(1, c.server.opt.Watch.Now()))
	err := c.wire.Handshake()
	c.waiting.Store(0)
	if err == nil && c.wire.Rest() {
		return true
	}
	c.server.unshaken(c, err)
	return false
}

// unshaken counts a handshake that failed, and tells of it.
func (s *Server) unshaken(c *conn, err error) {
	reason := handshakeReason(err)
	s.counted.Rejected(reason)
	if since, say := s.failures.say(time.Now()); say {
		s.opt.Log.Info("TLS handshake failed", "client", string(c.address), "reason", reason.String(), "error", err, "others_not_logged", since)
	}
	if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil && isMethod(plain.RecordHeader) {
		answerInClear(plain.Conn)
	}
}

// handshakeReason is what a failed handshake is counted as. Some errors of crypto/tls are known by their words alone.
func handshakeReason(err error) monitor.RejectReason {
	said, isNet := errors.AsType[*net.OpError](err)
	words := func(some string) bool { return err != nil && strings.Contains(err.Error(), some) }
	switch {
	case err == nil, errors.Is(err, upstream.ErrTimeout):
		return monitor.RejectTLSTimeout
	case errors.Is(err, upstream.ErrCutOff), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return monitor.RejectTLSClosed
	case errors.As(err, new(tls.RecordHeaderError)):
		return monitor.RejectTLSClear
	case errors.As(err, new(*tls.CertificateVerificationError)), words("client didn't provide a certificate"):
		return monitor.RejectTLSClientCertificate
	case isNet && said.Op == "remote error":
		return monitor.RejectTLSRefused
	case words("unsupported application protocols"):
		return monitor.RejectTLSProtocol
	case words("unsupported versions"), words("no cipher suite supported"):
		return monitor.RejectTLSVersion
	}
	return monitor.RejectTLSFailed
}

// isMethod says that what should have been a record of TLS begins like a request.
func isMethod(b [5]byte) bool {
	for i, c := range b {
		letter := c >= 'A' && c <= 'Z'
		if !letter && (i < 3 || c != ' ' && c != '/' && c != '*') {
			return false
		}
	}
	return true
}

var clearAnswer = connectionAnswer(monitor.BadRequest, "", "this port speaks TLS; use https://")

// answerInClear tells a client that does not speak TLS that it should. What else it sends is read for a while, lest the answer be lost.
func answerInClear(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(lingerFor))
	if _, err := conn.Write(clearAnswer); err != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, conn, lingerBytes)
}

// hush lets one line a second be logged of what clients may cause as often as they like.
type hush struct {
	mu     sync.Mutex
	last   time.Time
	passed int // since then
}

// say says whether to log now, and how many were not logged before.
func (h *hush) say(now time.Time) (passed int, yes bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.last) < time.Second {
		h.passed++
		return 0, false
	}
	passed, h.passed, h.last = h.passed, 0, now
	return passed, true
}
