package health

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// believing believes one server.
type believing struct {
	roots *x509.CertPool
	asked string
}

func (b *believing) Connect(addr string) *tls.Config {
	b.asked = addr
	return &tls.Config{RootCAs: b.roots, ServerName: "example.com"}
}

// Probes of https endpoints believe whom the check believes, and nobody else.
func TestProbesOverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	server.StartTLS()
	defer server.Close()
	ask := func(trust Trust) error {
		return Check{Path: "/", Timeout: time.Minute, TLS: trust}.withDefaults().ask(t.Context(), newClient(), server.URL)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	believes := &believing{roots: roots}
	if err := ask(believes); err != nil || believes.asked != server.Listener.Addr().(*net.TCPAddr).String() {
		t.Errorf("%v, asked for %s", err, believes.asked)
	}
	for _, stranger := range []Trust{nil, &believing{roots: x509.NewCertPool()}} {
		if err := ask(stranger); err == nil || !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("%v: %v", stranger, err)
		}
	}
}

// A check that believes others is another one; whom one believes may change meanwhile.
func TestChecksDifferByTrust(t *testing.T) {
	a, b := &believing{}, &believing{}
	check := func(trust Trust) *Check { return Check{Path: "/", TLS: trust}.withDefaults() }
	f := func(x, y *Check, want bool) {
		t.Helper()
		if x.same(y) != want {
			t.Errorf("%v and %v: same %t", x, y, !want)
		}
	}
	f(check(a), check(a), true)
	f(check(a), check(b), false)
	f(check(a), check(nil), false)
	f(check(nil), check(nil), true)
	f(nil, check(nil), false)
	f(nil, nil, true)
}
