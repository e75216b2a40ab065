package conformance

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// overTLS has every case played with TLS between the client and the proxy, and between the proxy and the model server.
var overTLS = flag.Bool("tls", false, "play every case over TLS")

// atOnce are the cases that hold only where much is sent and read at once. Over TLS it comes in records of 16 KiB at the most: what is wrong
// may come after the model server has seen the beginning, and a connection may be closed before the last of it is sent.
const atOnce = "TestChunks/(trailer_too_long|trailers_too_long_together|extension_too_long|extensions_too_many)$|" +
	"TestInterimAnswers/without_end$|TestBrokenAnswers/chunks,_(trailers|extension)_without_end$"

// TestEveryCaseOverTLS plays all the others again, over TLS. It is not parallel to them: cases with time limits do not like a crowd.
func TestEveryCaseOverTLS(t *testing.T) {
	if *overTLS {
		return
	}
	if err := lookAtSources(); err != nil {
		t.Fatal(err)
	}
	// a process of its own, for the flag is the same for all that play at the same time
	again := exec.Command(os.Args[0], "-tls", "-binary="+*given, "-test.skip="+atOnce, "-test.timeout=10m")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// scheme is what the client speaks.
func scheme() string {
	if *overTLS {
		return "https"
	}
	return "http"
}

// papers are the certificates of all who play, and what a config says of them.
type papers struct {
	authority      *modeltest.Authority
	pair           tls.Certificate
	listener, pool string
}

// theirs are made once, in the workshop.
var theirs = sync.OnceValue(func() *papers {
	p, err := newPapers()
	if err != nil {
		panic(err)
	}
	return p
})

func newPapers() (*papers, error) {
	authority, err := modeltest.NewAuthority()
	if err != nil {
		return nil, err
	}
	certificate, err := authority.Issue(time.Now().Add(time.Hour), "127.0.0.1")
	if err != nil {
		return nil, err
	}
	cert, key, err := certificate.Write(workshop, "all")
	if err != nil {
		return nil, err
	}
	ca := filepath.Join(workshop, "ca.pem")
	if err := os.WriteFile(ca, authority.PEM, 0o600); err != nil {
		return nil, err
	}
	pair, err := certificate.Pair()
	return &papers{
		authority: authority, pair: pair,
		listener: fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", cert, key),
		pool:     fmt.Sprintf("tls: {ca_file: %q}", ca),
	}, err
}

// cheap is the key exchange of the cases' own ends: the default one has a second, post-quantum part, which costs half of the time under the race
// detector.
var cheap = []tls.CurveID{tls.X25519}

// strict is a socket whose end is an error, as RFC 8446, section 6.1, wants it: an answer that ends so was cut off.
type strict struct{ net.Conn }

func (s strict) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func secureClient(c net.Conn) net.Conn {
	secure := tls.Client(strict{c}, &tls.Config{RootCAs: theirs().authority.Pool(), ServerName: "127.0.0.1", CurvePreferences: cheap})
	_ = secure.SetDeadline(time.Now().Add(patience))
	_ = secure.Handshake() // what is wrong with it, the first write says
	_ = secure.SetDeadline(time.Time{})
	return secure
}

// secureListener is a model server's.
type secureListener struct{ net.Listener }

func (l secureListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(strict{c}, &tls.Config{Certificates: []tls.Certificate{theirs().pair}, CurvePreferences: cheap}), nil
}

// socketOf is the socket below what may be TLS.
func socketOf(c net.Conn) *net.TCPConn {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn().(strict).Conn
	}
	return c.(*net.TCPConn)
}

// halfClose ends what one side sends, and lets it read on.
func halfClose(p *peer) (err error) {
	if secure, ok := p.Conn.(*tls.Conn); ok {
		err = secure.CloseWrite()
	}
	return errors.Join(err, socketOf(p.Conn).CloseWrite())
}
