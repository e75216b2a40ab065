package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mlproxy/config"
)

// Spec names the files of one end of TLS, and what they are for.
type Spec struct {
	// Use says where the config names them: "tls", "admin.tls", "pools.iris.tls".
	Use string
	// Cert and Key are shown to the other end. A client may have none.
	Cert, Key string
	// Authorities are whom certificates of the other end must come from. Empty: of servers, the system's; of clients none is asked.
	Authorities string
	// ServerName is what servers' certificates must be made out to; empty = the host that was asked for.
	ServerName string
}

// Listener is the spec of a listener.
func Listener(use string, c config.TLS) Spec {
	return Spec{Use: use, Cert: c.CertFile, Key: c.KeyFile, Authorities: c.ClientCAFile}
}

// Pool is the spec of a pool with https endpoints.
func Pool(use string, c config.PoolTLS) Spec {
	return Spec{Use: use, Cert: c.CertFile, Key: c.KeyFile, Authorities: c.CAFile, ServerName: c.ServerName}
}

func (s *Spec) files() bool { return s.Cert != "" || s.Authorities != "" }

// Identity is one end of TLS: whom it believes, and what it shows. What it gives out is of the files as last read.
type Identity struct {
	spec Spec
	now  atomic.Pointer[material] // never nil

	// What the keeper knows of the files; its mutex guards it.
	seen, read stamps
	err        error
}

// material is what was read at one time.
type material struct {
	pair        *tls.Certificate // nil = none
	authorities *x509.CertPool   // nil = the system's, or nobody's is asked for
	listener    *tls.Config

	mu      sync.Mutex
	clients map[string]*tls.Config // by address
}

// protocols are what is agreed on: HTTP/2 is not spoken on either side.
var protocols = []string{"http/1.1"}

// errNothing says that there never were files that could be used.
var errNothing = errors.New("mlproxy has no usable certificate")

// nothing is what an identity has before its files could be read: it shows nothing and believes nobody.
func nothing() *material {
	m := &material{authorities: x509.NewCertPool(), clients: map[string]*tls.Config{}}
	m.listener = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errNothing }}
	return m
}

func load(s *Spec) (m *material, err error) {
	m = &material{clients: map[string]*tls.Config{}}
	if s.Cert != "" {
		if m.pair, err = config.LoadPair(s.Cert, s.Key); err != nil {
			return nil, err
		}
	}
	if s.Authorities != "" {
		if m.authorities, err = config.LoadAuthorities(s.Authorities); err != nil {
			return nil, err
		}
	}
	m.listener = m.common()
	if m.authorities != nil {
		m.listener.ClientAuth, m.listener.ClientCAs = tls.RequireAndVerifyClientCert, m.authorities
	}
	return m, nil
}

// common is what both ends have. Records are as large as they may be: each costs a system call.
func (m *material) common() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, DynamicRecordSizingDisabled: true}
	if m.pair != nil {
		c.Certificates = []tls.Certificate{*m.pair}
	}
	return c
}

// Accept is for a connection of a client. Tickets of sessions hold until the files change.
func (i *Identity) Accept() *tls.Config { return i.now.Load().listener }

// Connect is for a connection to a server at addr, host:port. Sessions are resumed with that server only, and only as long as the
// files stay: nobody is believed on the word of an authority that is believed no more.
func (i *Identity) Connect(addr string) *tls.Config {
	m := i.now.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.clients[addr]
	if c == nil {
		if len(m.clients) >= mostClients {
			clear(m.clients)
		}
		c = m.common()
		c.RootCAs, c.ServerName = m.authorities, i.spec.ServerName
		if host, _, err := net.SplitHostPort(addr); err == nil && c.ServerName == "" {
			c.ServerName = host
		}
		c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		m.clients[addr] = c
	}
	return c
}

// mostClients bounds the servers whose sessions are kept.
const mostClients = 4096

// expires is when the certificate ends; zero when there is none.
func (m *material) expires() time.Time {
	if m.pair == nil || m.pair.Leaf == nil {
		return time.Time{}
	}
	return m.pair.Leaf.NotAfter
}
