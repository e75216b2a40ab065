package config

import (
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
		ConsecutiveFailures: 3, FailureRatio: 0.25, MinRequests: 10, Window: 30 * time.Second, OpenFor: time.Second, HalfOpenRequests: 2, FailureStatus: []int{}, ProbeFirst: true,
	})
	f("health", func(c *Config) any {
		return []any{c.Pools["a"].PanicThreshold, c.Pools["a"].SlowStart, c.Pools["a"].Endpoints}
	},
		[]any{0.5, 30 * time.Second, []Endpoint{{URL: "http://127.0.0.1:9001", Weight: 2.5}, {URL: "http://127.0.0.1:9002", Weight: 1}}})
	f("inspect", func(c *Config) any {
		x, y, z := c.Routes["x"], c.Routes["y"], c.Routes["z"]
		return []any{x.Protocol, x.Inspect, y.Protocol, y.Inspect, z.Protocol, z.Inspect}
	}, []any{"open_inference", Inspect{0.25, 64 << 10}, "openai", Inspect{1, 1 << 20}, "none", Inspect{0, 1 << 20}})
	f("extract", func(c *Config) any { return c.Routes["x"].Extract }, Extract{
		ExtractRequest{
			Rows: "data.features", Text: "data.text", Image: "img", Features: []string{"age", "income"},
			Missing: []string{"", "nan", "", "NA", "-999", "1.50"},
		},
		ExtractResponse{
			Prediction: "result.#.label", Confidence: "result.#.score", Probabilities: "result.#.probs",
			MissingWhen: []string{"result==null", "status=='no_match'"}, Error: "error.msg", RequestID: "trace.id", Model: `meta.a\.b`,
			Version: "meta.model_version", Output: "y", Scores: "softmax",
		},
	})
	f("compare", func(c *Config) any {
		return []any{c.Routes["x"].Shadow["c"].Compare, c.Routes["x"].Shadow["c"].NoiseProbe}
	}, []any{
		Compare{
			Mode: "json", Tolerance: 0.01, RelativeTolerance: 1e-6, Ignore: []string{"id", `outputs.#.a\.b`}, Unordered: []string{"tags"},
			K: 3, Keep: 0, Bodies: "hash",
		}, 0.05,
	})
	f("failover", func(c *Config) any { return c.Routes["y"].Failover }, []string{"b", "a"})
	f("retry", func(c *Config) any { return c.Routes["x"].Retry.On }, []string{"connect", "stale", "reset", "timeout", "502", "503", "504"})
	f("queue", func(c *Config) any { return []any{c.Limits.MaxInFlight, c.Pools["a"].MaxInFlight, c.Pools["a"].Queue} },
		[]any{1000, 8, Queue{100, time.Second}})
	f("admission", func(c *Config) any { return c.Limits.MaxConnectionsPerIP }, 20)
	f("admission", func(c *Config) any {
		return []any{c.Routes["x"].APIKeys, c.Routes["x"].RateLimit, c.Routes["y"].APIKeys, c.Routes["y"].RateLimit, c.Routes["z"].APIKeys, c.Routes["z"].RateLimit}
	}, []any{
		&APIKeys{File: "/etc/mlproxy/keys.yaml", Header: "x-api-key"}, &RateLimit{0.5, 10, "route"},
		&APIKeys{File: "keys.yaml", Header: "authorization"}, &RateLimit{50, 50, "key"}, (*APIKeys)(nil), &RateLimit{0.1, 1, "client_ip"},
	})
	f("consul", func(c *Config) any { return c.Consul }, &Consul{
		Address: "https://consul.example.org:8501", CAFile: "ca.pem", TokenFile: "token", Prefix: "team/mlproxy", Register: &Registration{"mlproxy", []string{"edge", "eu,west"}},
	})
	f("consul", func(c *Config) any {
		return []*Catalogue{c.Pools["a"].Consul, c.Pools["b"].Consul, c.Pools["c"].Consul}
	}, []*Catalogue{
		{Service: "iris", Tags: []string{}, PassingOnly: true},
		{Service: "iris", Tags: []string{"v2", "gpu"}, Datacenter: "eu-west", Near: "_agent"},
		nil,
	})
	f("access_log", func(c *Config) any { return c.Log.Access }, Access{Sample: 0.5, File: "access.log"})
	f("feedback", func(c *Config) any { return []any{c.Feedback, c.Routes["x"].Feedback, c.Routes["y"].Feedback} },
		[]any{Feedback{KeyFile: "/etc/mlproxy/receipts", Window: 2 * time.Hour, Remember: 5000, MaxPerSecond: 7}, true, false})
	f("journal", func(c *Config) any { return c.Journal }, &Journal{
		File: "predictions.jsonl", Sample: .05, MaxSize: 1 << 30, MaxAge: time.Hour, Keep: 3, Bodies: true,
		Redact: []string{"user.name", "inputs.*.data"}, Hash: []string{"user.id"}, Fsync: "interval",
	})
	f("tracing", func(c *Config) any { return c.Tracing }, &Tracing{"http://collector:4318/v1/traces", 1})
}
