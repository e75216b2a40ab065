package router

import (
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/modeltest"
	"mlproxy/monitor"
	"mlproxy/trust"
)

// What TLS needs is bound to the table: the same files are the same identity, and what no table uses is forgotten.
func TestIdentities(t *testing.T) {
	authority, err := modeltest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Issue(time.Now().Add(time.Hour), "localhost")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := issued.Write(t.TempDir(), "front")
	if err != nil {
		t.Fatal(err)
	}
	e := NewEstate(monitor.New())
	compiled := func(data config.TLS, a config.PoolTLS) *Table {
		t.Helper()
		pool := func(name, url string) *config.Pool {
			return &config.Pool{Name: name, Balance: "round_robin", Endpoints: []config.Endpoint{{URL: url, Weight: 1}}}
		}
		cfg := &config.Config{TLS: data, Pools: map[string]*config.Pool{"a": pool("a", "https://h:1"), "b": pool("b", "http://h:2")}}
		cfg.Pools["a"].TLS = a
		table, err := Compile(cfg, e)
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	front := config.TLS{CertFile: cert, KeyFile: key}
	first, again := compiled(front, config.PoolTLS{}), compiled(front, config.PoolTLS{})
	if first.DataIdentity() == nil || first.DataIdentity() != again.DataIdentity() || first.AdminIdentity() != nil {
		t.Errorf("%p, %p, %p", first.DataIdentity(), again.DataIdentity(), first.AdminIdentity())
	}
	options := func(t *Table, pool int) any { return t.Pools()[pool].Options.TLS }
	if options(first, 0) == nil || options(first, 0) != options(again, 0) || options(first, 1) != nil {
		t.Error("pool a is not believed as before, or pool b is believed at all")
	}
	plain, named := compiled(config.TLS{}, config.PoolTLS{}), compiled(config.TLS{}, config.PoolTLS{ServerName: "models"})
	if plain.DataIdentity() != nil || options(named, 0) == options(first, 0) {
		t.Error("what the config says is not what is bound")
	}
	if len(e.certificates()) != 0 {
		t.Error("certificates are shown of a table that is not in force")
	}
	e.Retire(nil, first)
	if shown := e.certificates(); len(shown) != 1 || shown[0].Use != "tls" || !shown[0].Sound {
		t.Errorf("%+v", shown)
	}
	e.Retire(first, plain)
	if kept := e.Trust.Standings(func(*trust.Identity) bool { return true }); len(kept)+len(e.certificates()) != 0 {
		t.Errorf("%v are kept", kept)
	}
}
