package source

import (
	"crypto/x509"
	"errors"
	"testing"

	"mlproxy/config"
	"mlproxy/source/consultest"
)

// An agent that speaks TLS is asked like any other, and only if its certificate is of an authority that is believed at that moment.
func TestASecureAgent(t *testing.T) {
	t.Parallel()
	a := consultest.Start(t, consultest.Options{TLS: true, ACL: true})
	believed := new(x509.CertPool)
	var unreadable error
	c := consul(t, a, func(o *ConsulOptions) {
		o.Address = a.Secure()
		o.Authorities = func() (*x509.CertPool, error) { return believed, unreadable }
		o.Token = func() (string, error) { return consultest.Root, nil }
	})
	if _, err := c.Put(t.Context(), "config", []byte("1"), 0); !errors.Is(err, ErrUnreachable) {
		t.Errorf("an agent of an unknown authority: %v", err)
	}
	_, unreadable = config.LoadAuthorities("nowhere.pem")
	if _, err := c.Put(t.Context(), "config", []byte("1"), 0); !errors.Is(err, ErrUnreachable) || !errors.Is(err, unreadable) {
		t.Errorf("no authorities: %v", err)
	}
	believed, unreadable = a.Authority.Pool(), nil
	if _, err := c.Put(t.Context(), "config", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	wantNext(t, keysOf(t, c), "config=1")
}
