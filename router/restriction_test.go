package router

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/upstream"
)

// An endpoint that somebody else than the file names is connected to only where allow_endpoints says, whatever its name stands for now;
// one that the file names is connected to wherever it is.
func TestForeignEndpointsAreRestricted(t *testing.T) {
	address := listen(t)
	_, port, _ := net.SplitHostPort(address)
	f := func(url string, foreign bool, network string, want bool) {
		t.Helper()
		cfg := &config.Config{
			Pools: map[string]*config.Pool{"p": {
				Name: "p", Balance: "round_robin", ConnectTimeout: 10 * time.Second,
				Endpoints: []config.Endpoint{{URL: url, Weight: 1, Foreign: foreign}},
			}},
			AllowEndpoints: []config.EndpointRule{{Network: netip.MustParsePrefix(network)}},
		}
		table, err := Compile(cfg, NewEstate(monitor.New()))
		if err != nil {
			t.Fatal(err)
		}
		pool := table.Pools()[0]
		err = pool.Reach(context.Background())
		c, tried := pool.Endpoints[0].Acquire(pool.Options, true, nil)
		if tried == nil {
			c.Release(false)
		}
		if (err == nil) != want || (tried == nil) != want {
			t.Errorf("%s, foreign %v, allowed %s: %v, %v", url, foreign, network, err, tried)
		}
		if !want && (!strings.Contains(err.Error(), "allow_endpoints") || !errors.Is(tried, config.ErrNotAllowed) || !errors.Is(tried, upstream.ErrConnect)) {
			t.Errorf("%s: it is not said why: %v, %v", url, err, tried)
		}
	}
	f("http://"+address, true, "127.0.0.0/8", true)
	f("http://"+address, true, "10.0.0.0/8", false)
	f("http://localhost:"+port, true, "10.0.0.0/8", false)
	f("http://localhost:"+port, true, "127.0.0.1/32", true)
	f("http://localhost:"+port, false, "10.0.0.0/8", true)
	f("http://[::ffff:127.0.0.1]:"+port, true, "10.0.0.0/8", false)
}
