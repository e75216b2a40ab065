package router

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
)

func limitOf(t testing.TB, perSecond float64, burst int, by string) *Limit {
	t.Helper()
	return newLimit(&config.RateLimit{RequestsPerSecond: perSecond, Burst: burst, By: by}, &buckets{}, monitor.New())
}

var someone = netip.MustParseAddr("192.0.2.1")

// A bucket takes its burst at once and then what the rate allows, and says how long to wait.
func TestTakeKeepsToRateAndBurst(t *testing.T) {
	f := func(by string) {
		t.Helper()
		l, start := limitOf(t, 10, 3, by), epoch.Add(time.Hour)
		key := &Key{bucket: new(bucket)}
		take := func(after time.Duration, want time.Duration) {
			t.Helper()
			if got := l.Take(key, someone, start.Add(after)); got != want {
				t.Errorf("%s, after %v: wait %v, want %v", by, after, got, want)
			}
		}
		for range 3 {
			take(0, 0)
		}
		take(0, 100*time.Millisecond)
		take(40*time.Millisecond, 60*time.Millisecond)
		take(100*time.Millisecond, 0)
		take(100*time.Millisecond, 100*time.Millisecond)
		for range 3 { // however long the pause, it is one burst
			take(time.Hour, 0)
		}
		take(time.Hour, 100*time.Millisecond)
	}
	f("route")
	f("client_ip")
	f("key")
}

// Among any number of callers at once a bucket gives no token twice.
func TestTakeGivesNoTokenTwice(t *testing.T) {
	for _, by := range []string{"route", "client_ip"} {
		l, now := limitOf(t, 1, 100, by), epoch.Add(time.Hour)
		var taken atomic.Int64
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for range 100 {
					if l.Take(nil, someone, now) == 0 {
						taken.Add(1)
					}
				}
			})
		}
		callers.Wait()
		if n := taken.Load(); n != 100 {
			t.Errorf("by %s: %d tokens of a burst of 100", by, n)
		}
	}
}

// An address has a bucket of its own, and an IPv6 network one together.
func TestWhoHasABucket(t *testing.T) {
	l, now := limitOf(t, 1, 1, "client_ip"), epoch.Add(time.Hour)
	f := func(client string, free bool) {
		t.Helper()
		if got := l.Take(nil, netip.MustParseAddr(client), now) == 0; got != free {
			t.Errorf("%s: taken %v, want %v", client, got, free)
		}
	}
	f("192.0.2.1", true)
	f("192.0.2.1", false)
	f("::ffff:192.0.2.1", false)
	f("192.0.2.2", true)
	f("2001:db8::1", true)
	f("2001:db8::ffff:2", false)
	f("2001:db8:0:1::1", true)
	f("fe80::1%eth0", true)
	f("fe80::2%eth1", false)
	if l.Take(nil, netip.Addr{}, now) > 0 || l.Take(nil, netip.Addr{}, now) == 0 {
		t.Error("clients without an address have no bucket together")
	}
}

// However many addresses come, memory stays as it is, and who is forgotten too early is counted.
func TestClientsAreBounded(t *testing.T) {
	registry := monitor.New()
	l := newLimit(&config.RateLimit{RequestsPerSecond: 0.001, Burst: 1, By: "client_ip"}, &buckets{}, registry)
	now := epoch.Add(time.Hour)
	const many = 3 * clientSets * clientWays
	for i := range uint32(many) {
		var raw [4]byte
		binary.BigEndian.PutUint32(raw[:], i)
		if l.Take(nil, netip.AddrFrom4(raw), now) > 0 {
			t.Fatalf("address %d is held up for others", i)
		}
	}
	forgotten := -1.0
	families, _ := registry.Gatherer().Gather()
	for _, f := range families {
		if f.GetName() == "mlproxy_rate_limit_forgotten_total" {
			forgotten = f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	if forgotten < many-clientSets*clientWays || forgotten > many {
		t.Errorf("%v limits were forgotten of %d", forgotten, many)
	}
	if n := testing.AllocsPerRun(1000, func() { l.Take(nil, someone, now) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A reload neither fills the buckets nor forgets who has one, as long as the route stays.
func TestLimitsSurviveTables(t *testing.T) {
	estate := NewEstate(monitor.New())
	table := func(perSecond float64, keys ...string) *Table {
		route := &config.Route{
			Split: config.Weights{"a": 1}, RateLimit: &config.RateLimit{RequestsPerSecond: perSecond, Burst: 1, By: "key"},
			APIKeys: &config.APIKeys{Header: "authorization", Keys: map[string]config.Key{}},
		}
		for _, name := range keys {
			route.APIKeys.Keys[name] = config.Key{SHA256: []string{hashOf(name)}}
		}
		cfg := &config.Config{
			Pools:  map[string]*config.Pool{"a": {Balance: "round_robin", Endpoints: []config.Endpoint{{URL: "http://127.0.0.1:1", Weight: 1}}}},
			Routes: map[string]*config.Route{"r": route},
		}
		compiled, err := Compile(cfg, estate)
		if err != nil {
			t.Fatal(err)
		}
		return compiled
	}
	now := epoch.Add(time.Hour)
	take := func(t *Table, key string) bool {
		r := t.Routes()[0]
		return r.Limit.Take(r.Keys.Find([]byte(key)), someone, now) == 0
	}
	first := table(1, "x", "y")
	if !take(first, "x") || take(first, "x") {
		t.Error("x has no bucket of one token")
	}
	second := table(2, "x", "z")
	estate.Retire(first, second)
	if take(second, "x") || !take(second, "z") {
		t.Error("the reload changed the bucket of x, or z has none")
	}
	if second.Routes()[0].Keys.Find([]byte("y")) != nil {
		t.Error("y is still known")
	}
}
