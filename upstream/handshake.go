package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"mlproxy/health"
)

// Trust is how TLS is spoken to model servers; see package health.
type Trust = health.Trust

// HandshakeError says why no TLS connection came about.
type HandshakeError struct {
	// Check is what failed, in words that tell nothing of addresses or names.
	Check string
	Err   error
}

// Error says both.
func (e *HandshakeError) Error() string { return "TLS: " + e.Check + ": " + e.Err.Error() }

// Unwrap is Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// dial makes a connection, TLS included, within connect_timeout and ctx.
func (e *Endpoint) dial(ctx context.Context, o *Options) (*Wire, error) {
	began := time.Now()
	conn, err := e.dialer(o).DialContext(ctx, "tcp", e.addr)
	if err != nil {
		return nil, whyNoConnection(err)
	}
	if !e.secure {
		return NewWire(conn, e.watch), nil
	}
	socket, ok := conn.(Socket)
	if !ok || o.TLS == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: there is nobody to say whom TLS may trust", ErrConnect)
	}
	wire := NewSecureWire(socket, tls.Client, o.TLS.Connect(e.addr), e.watch)
	if o.ConnectTimeout > 0 {
		_ = socket.SetDeadline(began.Add(o.ConnectTimeout))
	}
	cancelled := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(past) })
	err = wire.Handshake()
	if !cancelled() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = wire.Close()
		return nil, fmt.Errorf("%w: %w", ErrConnect, &HandshakeError{Check: checked(err), Err: err})
	}
	_ = socket.SetDeadline(time.Time{})
	return wire, nil
}

// checked names what failed in a handshake with a model server.
func checked(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority):
		return "its certificate is of an unknown authority"
	case errors.As(err, &name):
		return "its certificate is made out to another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or is not valid yet"
	case errors.As(err, &invalid), errors.As(err, new(*tls.CertificateVerificationError)):
		return "its certificate is not valid"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case errors.Is(err, ErrTimeout):
		return "the handshake took longer than connect_timeout"
	case rejected(err):
		return "it does not accept our certificate"
	case errors.Is(err, ErrCutOff):
		return "it closed the connection in the handshake"
	}
	return "the handshake failed"
}

// rejected says that the model server does not accept our certificate, or the want of one. In TLS 1.3 it says so after our handshake
// is complete, and what was sent meanwhile is dropped unread.
func rejected(err error) bool {
	said, ok := errors.AsType[*net.OpError](err)
	if !ok || said.Op != "remote error" {
		return false
	}
	why := said.Err.Error()
	return strings.Contains(why, "certificate") || strings.Contains(why, "access denied")
}
