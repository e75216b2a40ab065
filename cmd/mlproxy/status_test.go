package main

import (
	"strings"
	"testing"
	"time"

	"mlproxy/admin"
	"mlproxy/config"
	"mlproxy/control"
)

// aStatus is of a proxy whose last reload was refused, with one route of each kind.
func aStatus(now time.Time) *admin.Status {
	return &admin.Status{
		Version: "v1.2.3", Listen: admin.Listen{Data: []string{"127.0.0.1:8080"}, Admin: "127.0.0.1:9090"},
		Status: control.Status{
			Revision: control.Revision{Number: 7, Digest: "d1", Applied: now.Add(-3 * time.Minute), Origin: "operator"},
			Memory:   control.Memory{Fault: "disk full", Dropped: []string{"gone is gone"}},
			Reload:   control.Reload{At: now.Add(-5 * time.Second), Faults: []string{"config.yaml:3:1: what; remedy"}},
			Routes: map[string]control.RouteStatus{
				"search": {
					Match: control.MatchStatus{Hosts: []string{"a.example"}, Path: "/search", Methods: []string{"POST"}},
					BlueGreen: &control.BlueGreenStatus{
						Blue: "sb", Green: "sg", Pending: &control.PendingStatus{Said: control.Said{Origin: "file"}, Active: "blue", Pool: "sb", Since: now.Add(-10 * time.Second), Why: "pool sb: down"},
					}, Active: "green", Origin: "file",
					Share: map[string]float64{"sb": 0, "sg": 1}, InFlight: map[string]int64{"sb": 0, "sg": 12},
				},
				"iris": {
					Match: control.MatchStatus{Model: "iris"}, Origin: "operator",
					Split: config.Weights{"stable": 2, "canary": 1}, Share: map[string]float64{"stable": 2. / 3, "canary": 1. / 3},
					InFlight: map[string]int64{"stable": 3, "canary": 0}, Shadow: map[string]float64{"next": 0.2},
					Override: &control.OverrideStatus{
						Override:    config.Override{Author: "10.0.0.7", Reason: "careful", Expires: now.Add(4 * time.Minute)},
						MaskedSplit: config.Weights{"stable": 9, "canary": 1}, Beneath: control.Said{Origin: "file"},
					},
					Masked: &control.MaskStatus{
						Said:  control.Said{Origin: "consul", Key: "mlproxy/routes/iris/split", Index: 12},
						Split: config.Weights{"stable": 9, "canary": 1}, Since: now.Add(-time.Minute), Remedy: "mlproxy override remove iris",
					},
				},
			},
			Pools: map[string]control.PoolStatus{
				"stable": {Balance: "round_robin", Drained: &config.Override{Expires: now.Add(10 * time.Second)}, Endpoints: []control.EndpointStatus{
					{URL: "http://a:1", InFlight: 2, Fit: true, Breaker: "closed", Probe: "up"},
					{URL: "http://a:2", InFlight: 1, Breaker: "open", Probe: "off", Since: now.Add(-2 * time.Second), Why: "5 failures in a row"},
					{URL: "http://a:4", Breaker: "closed", Probe: "down", Drained: &config.Override{Expires: now.Add(20 * time.Second)}},
				}},
				"next": {Endpoints: []control.EndpointStatus{{URL: "http://a:3", Breaker: "closed", Probe: "down", Since: now, Why: "refused"}}},
			},
		},
	}
}

func TestStatusPage(t *testing.T) {
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	var out strings.Builder
	page{&out, false, now}.write(aStatus(now))
	const want = `The config file was refused 5s ago; revision 7 stays in force:
  config.yaml:3:1: what; remedy

Overrides cannot be stored; a restart would bring back older ones:
  disk full

At the start, not all overrides could be in force again:
  gone is gone

No endpoint of pool next is fit to serve:
  next: http://a:3 has been unfit for 0s: refused

stable: http://a:2 has been unfit for 2s: 5 failures in a row
iris: consul mlproxy/routes/iris/split @12 changed to (stable=9 canary=1) 1m ago, without effect; for that: mlproxy override remove iris
iris: the override ends in 4m; then it is (stable=9 canary=1), as the config file says
search: the switch to blue by the config file has been pending for 10s: pool sb: down
stable: the drain ends in 10s
stable: the drain of http://a:4 ends in 20s

mlproxy v1.2.3  revision 7 by operator, 3m ago, digest d1
data 127.0.0.1:8080  admin 127.0.0.1:9090

ROUTE   REQUESTS               POOL    ROLE              SHARE   IN FLIGHT  SET BY
iris    model=iris             stable  split 2, drained  66.67%  3          operator 10.0.0.7: careful, ends in 4m
                               canary  split 1           33.33%  0
                               next    shadow            20%
search  POST a.example/search  sg      green, active     100%    12         file, blue pending
                               sb      blue, idle        0%      0

POOL    BALANCE      ENDPOINT    FIT           IN FLIGHT
next                 http://a:3  probes: down  0
stable  round_robin  http://a:1  yes           2
                     http://a:2  breaker open  1
                     http://a:4  drained       0
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	now := time.Now()
	var out strings.Builder
	page{&out, true, now}.write(aStatus(now))
	if !strings.HasPrefix(out.String(), "\x1b[31mThe config file was refused") {
		t.Errorf("what is wrong is not red: %q", out.String()[:40])
	}
	if (&terminal{Out: &out}).coloured() {
		t.Error("colours for a writer that is no terminal")
	}
}

func TestAgo(t *testing.T) {
	now := time.Now()
	f := func(d time.Duration, want string) {
		t.Helper()
		if got := (page{now: now}).ago(now.Add(-d)); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	f(-time.Second, "0s")
	f(59*time.Second, "59s")
	f(61*time.Second, "1m")
	f(61*time.Minute, "1h01m")
	f(49*time.Hour, "2d")
}
