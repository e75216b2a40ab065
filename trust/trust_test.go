package trust

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mlproxy/config"
	"mlproxy/modeltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a folder of certificates, and a keeper that looks when the test says so.
type bench struct {
	*testing.T
	folder    string
	authority *modeltest.Authority
	keeper    *Keeper
	told      []Change
}

func newBench(t *testing.T) *bench {
	t.Helper()
	authority, err := modeltest.NewAuthority()
	b := &bench{T: t, folder: t.TempDir(), authority: authority, keeper: NewKeeper()}
	b.must(err)
	b.keeper.Report = func(c Change) { b.told = append(b.told, c) }
	b.write("ca.pem", authority.PEM)
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) write(name string, content []byte) {
	b.Helper()
	b.must(os.WriteFile(filepath.Join(b.folder, name), content, 0o600))
}

// issue writes NAME.pem and NAME.key.
func (b *bench) issue(name string, until time.Time, hosts ...string) {
	b.Helper()
	c, err := b.authority.Issue(until, hosts...)
	b.must(err)
	_, _, err = c.Write(b.folder, name)
	b.must(err)
}

func (b *bench) file(name string) string { return filepath.Join(b.folder, name) }

// server is the identity of a listener, with or without clients' certificates.
func (b *bench) server(ca string) *Identity {
	c := config.TLS{CertFile: b.file("front.pem"), KeyFile: b.file("front.key")}
	if ca != "" {
		c.ClientCAFile = b.file(ca)
	}
	return b.keeper.Get(Listener("tls", c))
}

func (b *bench) client(cert string) *Identity {
	c := config.PoolTLS{CAFile: b.file("ca.pem")}
	if cert != "" {
		c.CertFile, c.KeyFile = b.file(cert+".pem"), b.file(cert+".key")
	}
	return b.keeper.Get(Pool("pools.a.tls", c))
}

// settle has the keeper look until what has changed was taken.
func (b *bench) settle() {
	b.keeper.look()
	b.keeper.look()
}

// shake has the two shake hands, and returns what the client came to know.
func (b *bench) shake(client, server *Identity) (tls.ConnectionState, error) {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	b.must(err)
	defer ln.Close()
	ended := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			s := tls.Server(c, server.Accept())
			err = s.Handshake()
			if err == nil {
				_, _ = s.Write([]byte("x"))
			}
			_ = s.Close()
		}
		ended <- err
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	b.must(err)
	defer c.Close()
	s := tls.Client(c, client.Connect("127.0.0.1:443"))
	err = s.Handshake()
	if err == nil {
		_, err = s.Read(make([]byte, 1)) // a ticket, or a late refusal
	}
	state := s.ConnectionState()
	_ = c.Close()
	return state, errors.Join(err, <-ended)
}

func TestHandshakes(t *testing.T) {
	b := newBench(t)
	hour := time.Now().Add(time.Hour)
	b.issue("front", hour, "127.0.0.1")
	b.issue("us", hour, "us")
	state, err := b.shake(b.client(""), b.server(""))
	b.must(err)
	if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "http/1.1" || state.DidResume {
		t.Errorf("%+v", state)
	}
	if state, err = b.shake(b.client(""), b.server("")); err != nil || !state.DidResume {
		t.Errorf("the session was not resumed: %v", err)
	}
	if _, err := b.shake(b.client("us"), b.server("ca.pem")); err != nil {
		t.Error(err)
	}
	if _, err := b.shake(b.client(""), b.server("ca.pem")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a client without a certificate: %v", err)
	}
	b.authority, err = modeltest.NewAuthority()
	b.must(err)
	b.issue("stranger", hour, "us")
	if _, err := b.shake(b.client("stranger"), b.server("ca.pem")); err == nil {
		t.Error("a client of an unknown authority is let in")
	}
}

// A changed pair is in force once it has settled; half of one, or none, never is.
func TestChangedFilesAreReadAgain(t *testing.T) {
	b := newBench(t)
	first, second := time.Now().Add(time.Hour).Truncate(time.Second), time.Now().Add(2*time.Hour).Truncate(time.Second)
	b.issue("front", first, "127.0.0.1")
	server := b.server("")
	ends := func() time.Time { return server.Accept().Certificates[0].Leaf.NotAfter }
	f := func(what string, want time.Time, sound bool, told int) {
		t.Helper()
		if len(b.told) != told {
			t.Errorf("%s: told %v", what, b.told)
		}
		s := b.keeper.Standings(func(*Identity) bool { return true })
		if len(s) != 1 || s[0].Sound != sound || !s[0].Expires.Equal(want) || !ends().Equal(want) {
			t.Errorf("%s: %+v, in force until %v; want %v", what, s, ends(), want)
		}
	}
	f("at first", first, true, 1)
	b.settle()
	f("unchanged", first, true, 1)
	b.issue("front", second, "127.0.0.1")
	b.keeper.look()
	f("not settled", first, true, 1)
	b.keeper.look()
	f("changed", second, true, 2)

	b.write("front.key", []byte("not a key"))
	b.settle()
	f("a broken key", second, false, 3)
	b.settle()
	f("still broken, said once", second, false, 3)
	b.must(os.Remove(b.file("front.key")))
	b.settle()
	f("no key", second, false, 4)
	b.issue("front", first, "127.0.0.1")
	b.settle()
	f("mended", first, true, 5)
	if last := b.told[len(b.told)-1]; last.Use != "tls" || last.Err != nil || !last.Expires.Equal(first) {
		t.Errorf("%+v", last)
	}
	if _, err := b.shake(b.client(""), server); err != nil {
		t.Error(err)
	}
}

// A client that was believed on the word of an authority is not believed any more once that is gone, ticket or not; nor is a server.
func TestSessionsEndWithTheirAuthority(t *testing.T) {
	b := newBench(t)
	hour := time.Now().Add(time.Hour)
	b.issue("front", hour, "127.0.0.1")
	b.issue("us", hour, "us")
	b.write("clients.pem", b.authority.PEM)
	server, client := b.server("clients.pem"), b.client("us")
	for range 2 {
		if _, err := b.shake(client, server); err != nil {
			t.Fatal(err)
		}
	}
	other, err := modeltest.NewAuthority()
	b.must(err)
	b.write("ca.pem", other.PEM)
	b.settle()
	if _, err := b.shake(client, server); err == nil {
		t.Error("a server of an authority that is gone is believed")
	}
	b.write("ca.pem", b.authority.PEM)
	b.settle()
	if _, err := b.shake(client, server); err != nil {
		t.Error(err)
	}
	b.write("clients.pem", other.PEM)
	b.settle()
	if _, err := b.shake(client, server); err == nil {
		t.Error("a client of an authority that is gone is let in")
	}
}

// Without files that can be used nothing is shown and nobody is believed, until there are some.
func TestAnIdentityWithoutUsableFiles(t *testing.T) {
	b := newBench(t)
	server := b.server("")
	b.write("ca.pem", []byte("nothing in PEM"))
	client := b.client("")
	if _, err := b.shake(client, server); err == nil {
		t.Error("a handshake without certificates")
	}
	b.issue("front", time.Now().Add(time.Hour), "127.0.0.1")
	b.settle()
	if _, err := b.shake(client, server); err == nil {
		t.Error("a server is believed on nobody's word")
	}
	b.write("ca.pem", b.authority.PEM)
	b.settle()
	if _, err := b.shake(client, server); err != nil {
		t.Error(err)
	}
}

func TestConnect(t *testing.T) {
	keeper := NewKeeper()
	i := keeper.Get(Pool("pools.a.tls", config.PoolTLS{}))
	f := func(i *Identity, addr, name string) {
		t.Helper()
		c := i.Connect(addr)
		if c.ServerName != name || c.InsecureSkipVerify || c.RootCAs != nil || c.MinVersion != tls.VersionTLS12 || c != i.Connect(addr) {
			t.Errorf("%s: %+v", addr, c)
		}
	}
	f(i, "models.example.org:443", "models.example.org")
	f(i, "[::1]:443", "::1")
	f(keeper.Get(Pool("pools.b.tls", config.PoolTLS{ServerName: "models"})), "10.0.0.1:443", "models")
	for range mostClients + 2 {
		i.Connect(strings.Repeat("h", len(i.now.Load().clients)+1) + ":1")
	}
	if n := len(i.now.Load().clients); n > mostClients {
		t.Errorf("%d servers are remembered", n)
	}
	if len(keeper.Standings(func(*Identity) bool { return true })) != 0 {
		t.Error("there is something to say of files that are none")
	}
	if keeper.Get(Pool("pools.a.tls", config.PoolTLS{})) != i {
		t.Error("the same spec is another identity")
	}
	keeper.Retain(func(*Identity) bool { return false })
	if keeper.Get(Pool("pools.a.tls", config.PoolTLS{})) == i {
		t.Error("what nobody wanted is still there")
	}
}
