package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

// TLS is how a listener proves who it is, and whom it asks to do the same. The zero value is no TLS. The paths are absolute, or
// relative to the working directory.
type TLS struct {
	CertFile, KeyFile string
	ClientCAFile      string // "" = clients need no certificate
}

// On says that the listener speaks TLS.
func (t TLS) On() bool { return t.CertFile != "" }

// PoolTLS is how the https endpoints of a pool are verified, and how mlproxy proves to them who it is.
type PoolTLS struct {
	CAFile            string // "" = the system's authorities
	ServerName        string // "" = the host of the endpoint's URL
	CertFile, KeyFile string // "" = none is shown
}

var tlsSection = section("TLS", nil,
	key("cert_file", orNothing(filePath), func(t *TLS) *string { return &t.CertFile }, "",
		"The certificate in PEM, with those that lead to its authority; without it there is no TLS. Read again when it changes. "+
			"A relative path starts at the folder of this file."),
	key("key_file", orNothing(filePath), func(t *TLS) *string { return &t.KeyFile }, "",
		"The certificate's private key in PEM."),
	key("client_ca_file", orNothing(filePath), func(t *TLS) *string { return &t.ClientCAFile }, "",
		"Authorities in PEM, of which every client must show a certificate; without it clients need none."),
)

var poolTLS = section("TLS", nil,
	key("ca_file", orNothing(filePath), func(t *PoolTLS) *string { return &t.CAFile }, "",
		"Authorities in PEM that the endpoints' certificates must come from; without it those of the system. Read again when it changes."),
	key("server_name", orNothing(tlsName), func(t *PoolTLS) *string { return &t.ServerName }, "",
		"Name that the endpoints' certificates must have; without it the host in the endpoint's URL."),
	key("cert_file", orNothing(filePath), func(t *PoolTLS) *string { return &t.CertFile }, "",
		"A certificate in PEM that is shown to endpoints that ask for one."),
	key("key_file", orNothing(filePath), func(t *PoolTLS) *string { return &t.KeyFile }, "",
		"Its private key in PEM."),
)

// LoadPair reads a certificate and its private key. The error names the file.
func LoadPair(certFile, keyFile string) (*tls.Certificate, error) {
	certs, err := os.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certs, key)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %s", certFile, keyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &pair, nil
}

// LoadAuthorities reads the certificates of authorities. A file without any is an error: nobody would be believed.
func LoadAuthorities(file string) (*x509.CertPool, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, found := x509.NewCertPool(), 0
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		found++
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %s", file, found, strings.TrimPrefix(err.Error(), "x509: "))
		}
		pool.AddCert(c)
	}
	if found == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

// checkTLS finds what is missing between the keys of TLS sections, and sections that nothing would heed.
func (c *Config) checkTLS() (faults Faults) {
	listener := func(path string, t TLS) {
		faults = append(faults, c.checkPair(path, t.CertFile, t.KeyFile)...)
		if t.ClientCAFile != "" && t.CertFile == "" && t.KeyFile == "" {
			faults = append(faults, c.Fault(path+".client_ca_file", path+" asks clients for certificates, and has none itself",
				"write cert_file and key_file beside it"))
		}
	}
	listener("tls", c.TLS)
	listener("admin.tls", c.Admin.TLS)
	if c.Consul != nil && c.Consul.CAFile != "" && !strings.HasPrefix(c.Consul.Address, "https:") {
		faults = append(faults, c.Fault("consul.ca_file", "consul.ca_file is set, and consul.address is not https://",
			"write an https:// address, or remove ca_file"))
	}
	return faults
}

// checkPoolTLS is checkTLS for a pool.
func (c *Config) checkPoolTLS(path string, p *Pool) (faults Faults) {
	faults = c.checkPair(path, p.TLS.CertFile, p.TLS.KeyFile)
	if p.TLS != (PoolTLS{}) && p.Consul == nil && len(p.Endpoints) > 0 && !p.Secure() {
		faults = append(faults, c.Fault(path, path+" is set, and no endpoint of the pool is https://", "write https:// endpoints, or remove tls"))
	}
	return faults
}

func (c *Config) checkPair(path, cert, key string) Faults {
	switch {
	case cert != "" && key == "":
		return Faults{c.Fault(path+".cert_file", path+" has cert_file and no key_file", "write key_file, the certificate's private key")}
	case cert == "" && key != "":
		return Faults{c.Fault(path+".key_file", path+" has key_file and no cert_file", "write cert_file, the key's certificate")}
	}
	return nil
}

// Secure says that TLS is spoken to some of the pool's endpoints.
func (p *Pool) Secure() bool {
	for i := range p.Endpoints {
		if strings.HasPrefix(p.Endpoints[i].URL, "https:") {
			return true
		}
	}
	return false
}

// tryTLS reads the files of the TLS sections that are no pool's, as their users will.
func (c *Config) tryTLS() Faults {
	faults := append(c.tryFiles("tls", "client_ca_file", c.TLS.ClientCAFile, c.TLS.CertFile, c.TLS.KeyFile),
		c.tryFiles("admin.tls", "client_ca_file", c.Admin.TLS.ClientCAFile, c.Admin.TLS.CertFile, c.Admin.TLS.KeyFile)...)
	if c.Consul != nil {
		faults = append(faults, c.tryFiles("consul", "ca_file", c.Consul.CAFile, "", "")...)
	}
	return faults
}

// tryPoolTLS is tryTLS for these pools.
func (c *Config) tryPoolTLS(pools []string) (faults Faults) {
	for _, name := range pools {
		t := c.Pools[name].TLS
		faults = append(faults, c.tryFiles("pools."+name+".tls", "ca_file", t.CAFile, t.CertFile, t.KeyFile)...)
	}
	return faults
}

func (c *Config) tryFiles(path, caKey, ca, cert, key string) (faults Faults) {
	if cert != "" {
		if _, err := LoadPair(cert, key); err != nil {
			faults = append(faults, c.Fault(path+".cert_file", path+": "+err.Error(), "name a certificate and its private key that can be read, in PEM"))
		}
	}
	if ca != "" {
		if _, err := LoadAuthorities(ca); err != nil {
			faults = append(faults, c.Fault(path+"."+caKey, path+"."+caKey+": "+err.Error(), "name a file of certificates that can be read, in PEM"))
		}
	}
	return faults
}

func (t *TLS) settle(folder string) {
	t.CertFile, t.KeyFile, t.ClientCAFile = from(folder, t.CertFile), from(folder, t.KeyFile), from(folder, t.ClientCAFile)
}
