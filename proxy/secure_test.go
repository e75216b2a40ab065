package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"mlproxy/modeltest"
	"mlproxy/monitor"
	"mlproxy/upstream"
)

// Some reasons are known by the words of crypto/tls alone, so real handshakes must fail in each way.
func TestHandshakeReasons(t *testing.T) {
	authority, err := modeltest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Issue(time.Now().Add(time.Hour), "localhost")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := issued.Pair()
	if err != nil {
		t.Fatal(err)
	}
	f := func(want monitor.RejectReason, server *tls.Config, client *tls.Config) {
		t.Helper()
		server.Certificates, server.NextProtos = []tls.Certificate{pair}, []string{"http/1.1"}
		client.ServerName = "localhost"
		if client.RootCAs == nil {
			client.RootCAs = authority.Pool()
		}
		ours, theirs := net.Pipe()
		defer theirs.Close()
		told := make(chan error, 1)
		go func() {
			told <- tls.Server(ours, server).Handshake()
			_ = ours.Close()
		}()
		_ = tls.Client(theirs, client).Handshake()
		_ = theirs.Close()
		if err := <-told; handshakeReason(err) != want {
			t.Errorf("%v is counted as %v, want %v", err, handshakeReason(err), want)
		}
	}
	asks := func() *tls.Config {
		return &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), MaxVersion: tls.VersionTLS12}
	}
	f(monitor.RejectTLSProtocol, &tls.Config{}, &tls.Config{NextProtos: []string{"h2"}})
	f(monitor.RejectTLSVersion, &tls.Config{MinVersion: tls.VersionTLS12}, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	f(monitor.RejectTLSVersion, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
		&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}})
	f(monitor.RejectTLSRefused, &tls.Config{MaxVersion: tls.VersionTLS12}, &tls.Config{RootCAs: x509.NewCertPool()})
	f(monitor.RejectTLSClientCertificate, asks(), &tls.Config{})
	f(monitor.RejectTLSClientCertificate, asks(), &tls.Config{
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
	})

	g := func(err error, want monitor.RejectReason) {
		t.Helper()
		if got := handshakeReason(err); got != want {
			t.Errorf("%v is counted as %v, want %v", err, got, want)
		}
	}
	g(nil, monitor.RejectTLSTimeout) // the handshake was complete as its time was over
	g(upstream.ErrTimeout, monitor.RejectTLSTimeout)
	g(upstream.ErrCutOff, monitor.RejectTLSClosed)
	g(io.EOF, monitor.RejectTLSClosed)
	g(&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, monitor.RejectTLSClosed)
	g(tls.RecordHeaderError{Msg: "x"}, monitor.RejectTLSClear)
	g(errors.New("anything else"), monitor.RejectTLSFailed)
}

func TestMethodsAreTold(t *testing.T) {
	f := func(b string, want bool) {
		t.Helper()
		if isMethod([5]byte([]byte(b))) != want {
			t.Errorf("%q: %t", b, !want)
		}
	}
	f("GET /", true)
	f("PRI *", true)
	f("\x16\x03\x01\x02\x00", false)
	f("SSH-2", false)
	f("get /", false)
}

// Of a flood of failures one line a second is logged, and how many were not.
func TestHush(t *testing.T) {
	var h hush
	now := time.Now()
	got := ""
	for _, at := range []time.Duration{0, 1, time.Second - 1, time.Second, 2*time.Second - 1, 3 * time.Second} {
		if passed, yes := h.say(now.Add(at)); yes {
			got += fmt.Sprintf("%v:%d ", at, passed)
		}
	}
	if want := "0s:0 1s:2 3s:1 "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
