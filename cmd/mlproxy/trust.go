package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"mlproxy/router"
	"mlproxy/trust"
)

// secured is the admin listener, which speaks TLS as long as the config in force says so.
type secured struct {
	net.Listener
	router *router.Router
}

// Accept leaves the handshake to whoever reads first: it may take its time.
func (s secured) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if i := s.router.Table().AdminIdentity(); i != nil {
		return tls.Server(c, i.Accept()), nil
	}
	return c, nil
}

// tellTrust logs what becomes of certificate files: those that cannot be used as an error, one that has expired as a warning.
func tellTrust(log *slog.Logger) func(trust.Change) {
	return func(c trust.Change) {
		switch {
		case c.Err != nil:
			log.Error("certificate files cannot be used, keeping what was read before", "use", c.Use, "error", c.Err)
		case c.Expires.IsZero():
			log.Info("certificate files read", "use", c.Use)
		case time.Now().After(c.Expires):
			log.Warn("certificate read, which has expired", "use", c.Use, "expired", c.Expires)
		default:
			log.Info("certificate read", "use", c.Use, "expires", c.Expires)
		}
	}
}
