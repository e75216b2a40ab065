package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// The files that TLS sections name are tried: what is wrong with one is a fault with its place.
func TestLoadTriesTLSFiles(t *testing.T) {
	folder := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	authority, err := modeltest.NewAuthority()
	must(err)
	for _, name := range []string{"a", "b"} {
		c, err := authority.Issue(time.Now().Add(time.Hour), "localhost")
		must(err)
		_, _, err = c.Write(folder, name)
		must(err)
	}
	must(os.WriteFile(filepath.Join(folder, "ca.pem"), authority.PEM, 0o600))
	must(os.WriteFile(filepath.Join(folder, "broken.pem"), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0o600))
	must(os.WriteFile(filepath.Join(folder, "empty.pem"), nil, 0o600))

	f := func(src string, want ...string) {
		t.Helper()
		file := filepath.Join(folder, "config.yaml")
		must(os.WriteFile(file, []byte("version: 1\n"+src), 0o600))
		_, err := Load(file)
		if len(want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", src, err)
			}
			return
		}
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v; want %s", src, err, part)
			}
		}
	}
	f("tls: {cert_file: a.pem, key_file: a.key, client_ca_file: ca.pem}")
	f("tls: {cert_file: a.pem, key_file: b.key}", "config.yaml:2:18: tls: ", "a.pem with ", "private key does not match public key; name a certificate")
	f("tls: {cert_file: none.pem, key_file: a.key}", ":2:18: tls: ", "none.pem: no such file")
	f("tls: {cert_file: a.pem, key_file: none.key}", ":2:18: tls: ", "none.key: no such file")
	f("tls: {cert_file: a.key, key_file: a.key}", ":2:18: tls: ", "failed to find certificate PEM data")
	f("admin: {tls: {cert_file: a.pem, key_file: a.key, client_ca_file: a.key}}", ":2:66: admin.tls.client_ca_file: ", "a.key holds no certificate")
	f(`pools: {a: {endpoints: ["https://h:1"], tls: {ca_file: ca.pem, cert_file: a.pem, key_file: a.key}}}`)
	f(`pools: {a: {endpoints: ["https://h:1"], tls: {ca_file: empty.pem}}}`, "pools.a.tls.ca_file: ", "empty.pem holds no certificate")
	f(`pools: {a: {endpoints: ["https://h:1"], tls: {ca_file: broken.pem}}}`, "broken.pem: certificate 1: malformed certificate")
	f(`pools: {a: {endpoints: ["https://h:1"], tls: {ca_file: .}}}`, "pools.a.tls.ca_file: ", "is a directory")
	f("tls: {cert_file: a.pem, key_file: b.key}\nadmin: {tls: {cert_file: none.pem, key_file: a.key}}", ":2:18: tls: ", ":3:26: admin.tls: ")
}
