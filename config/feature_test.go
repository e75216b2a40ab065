package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const twoPools = `
version: 1
pools:
  a: {endpoints: [http://127.0.0.1:9001]}
  b: {endpoints: [http://127.0.0.1:9002]}
`

// A key of a feature in the making is refused, but for values that switch it off; its default stands all the while.
func TestKeysOfFeaturesInTheMaking(t *testing.T) {
	f := func(feature, value, want string) {
		t.Helper()
		if features[feature] {
			return
		}
		_, err := Parse("config.yaml", []byte(value), noEnv)
		got := ""
		if err != nil {
			_, got, _ = strings.Cut(err.Error(), ": ")
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", value, got, want)
		}
	}
	pool := func(feature, value, want string) {
		t.Helper()
		f(feature, "version: 1\npools: {a: {endpoints: [http://127.0.0.1:9001], "+value+"}}\n", want)
	}
	route := func(feature, value, want string) {
		t.Helper()
		f(feature, twoPools+"routes: {x: {match: {path: /}, split: {a: 1, b: 1}, "+value+"}}\n", want)
	}
	const remedy = " is not available yet; remove it"
	pool("health", "health_check: {path: /}", "pools.a.health_check"+remedy)
	pool("health", "health_check: {}", "pools.a.health_check"+remedy)
	pool("health", "health_check: false", "")
	pool("health", "breaker: {window: 1s}", "pools.a.breaker"+remedy)
	pool("health", "breaker: null", "")
	pool("health", "panic_threshold: 50%", "pools.a.panic_threshold"+remedy)
	pool("health", "slow_start: 10s", "pools.a.slow_start"+remedy)
	f("health", "version: 1\npools: {a: {endpoints: [{url: http://127.0.0.1:9001, weight: 2}]}}",
		"pools.a.endpoints[0].weight is 2, and other weights than 1 are not available yet; remove it")
	pool("queue", "max_in_flight: 1", "pools.a.max_in_flight"+remedy)
	pool("queue", "queue: {size: 10, timeout: 1s}", "pools.a.queue.size"+remedy)
	pool("queue", "queue: {size: 0, timeout: 1s}", "")
	f("queue", "version: 1\nlimits: {max_in_flight: 1}", "limits.max_in_flight"+remedy)
	route("failover", "failover: [b]", "routes.x.failover"+remedy)
	route("failover", "failover: []", "")
	route("retry", "retry: {on: [connect, 503]}", "routes.x.retry.on[1] is 503, which is not available yet; write connect or stale")
	f("access_log", "version: 1\nlog: {access: {sample: 1%, file: x}}", "log.access.sample"+remedy)
	f("access_log", "version: 1\nlog: {access: {sample: 0%, file: x, max_size: 1MiB, keep: 1}}", "")
	f("tracing", "version: 1\ntracing: {endpoint: http://127.0.0.1:4318}", "tracing"+remedy)
	f("tracing", "version: 1\ntracing: false", "")
}

func TestDefaultsStandBesideWhatIsSwitchedOff(t *testing.T) {
	want := mustParse(t, "version: 1\npools: {a: {endpoints: [http://127.0.0.1:9001]}}\n")
	got := mustParse(t, "version: 1\npools: {a: {endpoints: [http://127.0.0.1:9001], health_check: false, queue: {size: 0}, max_in_flight: 0, "+
		"panic_threshold: 0%, slow_start: 0s}}\nlog: {access: {sample: 0%}}\nlimits: {max_in_flight: 0}\n")
	if got.Digest() != want.Digest() {
		t.Error(cmp.Diff(want.Pools, got.Pools))
	}
}

func TestValuesOfFeatures(t *testing.T) {
	f := func(feature string, of func(*Config) any, want any) {
		t.Helper()
		if !features[feature] {
			return
		}
		src := files(t, "testdata/"+feature+"/good/all.yaml")["testdata/"+feature+"/good/all.yaml"]
		if diff := cmp.Diff(want, of(mustParse(t, string(src)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", feature, diff)
		}
	}
	f("health", func(c *Config) any { return c.Pools["a"].HealthCheck }, &HealthCheck{
		Path: "/v2/models/iris/infer?n=1", Method: "POST", Interval: 10 * time.Second, Timeout: 2 * time.Second, Rise: 1, Fall: 5, Status: []int{200, 201},
		Body:        "{\"inputs\": [{\"name\": \"x\", \"shape\": [1], \"datatype\": \"FP32\", \"data\": [1.5]}]}\n",
		ContentType: "application/json",
		Expect:      map[string]string{"outputs.0.name": "class", "outputs.0.data.0": "1", "ok": "true", "id": "7"},
	})
	f("health", func(c *Config) any { return c.Pools["b"].HealthCheck }, (*HealthCheck)(nil))
	f("health", func(c *Config) any { return c.Pools["c"].HealthCheck }, &HealthCheck{
		Path: "/health", Method: "PUT", Interval: 2 * time.Second, Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3, Status: []int{200},
		Body: "ping", ContentType: "text/plain; charset=utf-8", Expect: map[string]string{},
	})
	f("health", func(c *Config) any { return c.Pools["a"].Breaker }, Breaker{
		ConsecutiveFailures: 3, FailureRatio: 0.25, MinRequests: 10, Window: 30 * time.Second, OpenFor: time.Second, HalfOpenRequests: 2, FailureStatus: []int{},
	})
	f("health", func(c *Config) any {
		return []any{c.Pools["a"].PanicThreshold, c.Pools["a"].SlowStart, c.Pools["a"].Endpoints}
	},
		[]any{0.5, 30 * time.Second, []Endpoint{{URL: "http://127.0.0.1:9001", Weight: 2.5}, {URL: "http://127.0.0.1:9002", Weight: 1}}})
	f("failover", func(c *Config) any { return c.Routes["y"].Failover }, []string{"b", "a"})
	f("retry", func(c *Config) any { return c.Routes["x"].Retry.On }, []string{"connect", "stale", "reset", "timeout", "502", "503", "504"})
	f("queue", func(c *Config) any { return []any{c.Limits.MaxInFlight, c.Pools["a"].MaxInFlight, c.Pools["a"].Queue} },
		[]any{1000, 8, Queue{100, time.Second}})
	f("access_log", func(c *Config) any { return c.Log.Access }, Access{Sample: 0.5, File: "access.log"})
	f("tracing", func(c *Config) any { return c.Tracing }, &Tracing{"http://collector:4318/v1/traces", 1})
}
