package config

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What the design page says: its example as far as it works now, and its defaults.
func TestDefaults(t *testing.T) {
	got := mustParse(t, `
version: 1
pools:
  iris-stable: {endpoints: [http://127.0.0.1:9001, {url: http://127.0.0.1:9002}]}
  iris-canary: {endpoints: [http://127.0.0.1:9003]}
  iris-next: {endpoints: [http://127.0.0.1:9004]}
routes:
  iris:
    match: {path: /v2/models/iris/}
    split: {iris-stable: 95, iris-canary: 5}
    sticky: [header:X-User-ID, cookie:uid, json:user_id, client_ip]
    force: {header: X-MLProxy-Pool}
    shadow: {iris-next: {}}
  search:
    match: {path: /search}
    blue_green: {blue: iris-stable, green: iris-canary, active: blue}
`)
	file := Source{Origin: FromFile}
	pool := func(name string, urls ...string) *Pool {
		p := &Pool{
			Name: name, Source: file, Balance: "least_request", ConnectTimeout: 500 * time.Millisecond, MaxConnections: 512, OnClientGone: "cancel",
			Queue: Queue{Timeout: 100 * time.Millisecond},
			Breaker: Breaker{
				ConsecutiveFailures: 5, FailureRatio: 0.5, MinRequests: 20, Window: 10 * time.Second, OpenFor: 5 * time.Second,
				HalfOpenRequests: 1, FailureStatus: []int{500, 502, 503, 504}, ProbeFirst: true,
			},
		}
		for _, u := range urls {
			p.Endpoints = append(p.Endpoints, Endpoint{URL: u, Weight: 1})
		}
		return p
	}
	retry := Retry{
		Attempts: 1, On: []string{"connect", "stale"}, Budget: 0.2, MinPerSecond: 3,
		Methods: []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"},
	}
	want := &Config{
		Version: 1, Listen: []string{"127.0.0.1:8080"},
		Limits: Limits{
			MaxConnections: 20000, MaxHeader: 16 << 10, MaxHeaderCount: 100, MaxBody: 64 << 20, MaxRoutingBody: 1 << 20,
			ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 75 * time.Second,
		},
		Shutdown: Shutdown{Drain: 30 * time.Second},
		Log:      Log{Level: "info", Format: "text", Access: Access{MaxSize: 100 << 20, Keep: 5}},
		Feedback: Feedback{Window: time.Hour, Remember: 100_000, MaxPerSecond: 100},
		Admin:    Admin{Listen: "127.0.0.1:9090"},
		StateDir: "state",
		Pools: map[string]*Pool{
			"iris-stable": pool("iris-stable", "http://127.0.0.1:9001", "http://127.0.0.1:9002"),
			"iris-canary": pool("iris-canary", "http://127.0.0.1:9003"),
			"iris-next":   pool("iris-next", "http://127.0.0.1:9004"),
		},
		Routes: map[string]*Route{
			"iris": {
				Name: "iris", Match: Match{Path: "/v2/models/iris/"}, Protocol: "none", Inspect: Inspect{1, 1 << 20}, Split: Weights{"iris-stable": 95, "iris-canary": 5},
				Sticky:      []KeySource{{"header", "x-user-id"}, {"cookie", "uid"}, {"json", "user_id"}, {"client_ip", ""}},
				ForceHeader: "x-mlproxy-pool",
				Shadow: map[string]*Shadow{"iris-next": {
					Sample: 0.1, Timeout: 2 * time.Second, MaxInFlight: 64, MaxBody: 1 << 20, MaxBytes: 16 << 20,
					Compare: Compare{Mode: "exact", Ignore: []string{}, Unordered: []string{}, K: 5, Keep: 10, Bodies: "excerpt"},
				}},
				Timeout: 30 * time.Second, BodyIdleTimeout: 30 * time.Second, Retry: retry, Source: file, ShadowFrom: file, Base: file,
			},
			"search": {
				Name: "search", Match: Match{Path: "/search"}, Protocol: "none", Inspect: Inspect{1, 1 << 20}, BlueGreen: &BlueGreen{Blue: "iris-stable", Green: "iris-canary", Active: "blue"},
				Timeout: 30 * time.Second, BodyIdleTimeout: 30 * time.Second, Retry: retry, Source: file, ShadowFrom: file, Base: file,
			},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	f := func(section string, value func(*Config) any, want any) {
		t.Helper()
		if diff := cmp.Diff(want, value(mustParse(t, "version: 1\n"+section)), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", section, diff)
		}
	}
	body := func(c *Config) any { return c.Limits.MaxBody }
	f(`limits: {max_body: "1000"}`, body, int64(1000))
	f(`limits: {max_body: 7B}`, body, int64(7))
	f(`limits: {max_body: 1.5KiB}`, body, int64(1536))
	f(`limits: {max_body: 2 kB}`, body, int64(2000))
	f(`limits: {max_body: 3MB}`, body, int64(3_000_000))
	f(`limits: {max_body: 4GiB}`, body, int64(4<<30))
	idle := func(c *Config) any { return c.Limits.IdleTimeout }
	f(`limits: {idle_timeout: 1m30s}`, idle, 90*time.Second)
	f(`limits: {idle_timeout: "0.5s"}`, idle, 500*time.Millisecond)
	f(`listen: :8080`, func(c *Config) any { return c.Listen }, []string{":8080"})
	f(`listen: [localhost:0, "[::1]:0"]`, func(c *Config) any { return c.Listen }, []string{"localhost:0", "[::1]:0"})
	f(`trusted_proxies: [10.0.0.0/8, 192.0.2.1, "2001:db8::1"]`, func(c *Config) any { return c.TrustedProxies },
		[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::1/128")})
	f(`pools: {a: {endpoints: [http://Model:9001]}}`, func(c *Config) any { return c.Pools["a"].Endpoints[0].URL }, "http://model:9001")
	f(`pools: {1: &p {endpoints: [http://m:1], host: ml.example.org}, b: {<<: *p, host: ""}}`,
		func(c *Config) any {
			return []string{c.Pools["1"].Host, c.Pools["b"].Host, c.Pools["b"].Endpoints[0].URL}
		},
		[]string{"ml.example.org", "", "http://m:1"})
}

func TestExpand(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"A": "1", "EMPTY": "", "NESTED": "${A}"}[name]
		return v, ok
	}
	f := func(in, want, wantProblem string) {
		t.Helper()
		if got, p := expand(in, env); got != want && p.none() || p.what != wantProblem {
			t.Errorf("%s: got %q %q, want %q %q", in, got, p.what, want, wantProblem)
		}
	}
	f("plain $A", "plain $A", "")
	f("${A}", "1", "")
	f("x${A}y${A}z", "x1y1z", "")
	f("${B:-2}", "2", "")
	f("${EMPTY}", "", "")
	f("${EMPTY:-3}", "3", "")
	f("${B:-}", "", "")
	f("$${A}", "${A}", "")
	f("$${A}${A}", "${A}1", "")
	f("${NESTED}", "${A}", "")
	f("${B}", "", "the environment variable B is not set")
	f("${A", "", `"${A" names no environment variable`)
	f("${}", "", `"${}" names no environment variable`)
	f("${a-b}", "", `"${a-b}" names no environment variable`)
}

// What a variable holds is one value, whatever it looks like.
func TestVariablesCannotAddKeys(t *testing.T) {
	env := func(string) (string, bool) { return "x, token_file: /etc/passwd}\nlisten: :1", true }
	c, err := Parse("config.yaml", []byte("version: 1\nstate_dir: ${X}\n"), env)
	if err == nil && (c.Admin.TokenFile != "" || c.Listen[0] != "127.0.0.1:8080") {
		t.Error("a variable changed the structure of the file")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"balance", "host", "timeout", "max_body"}
	f := func(name, want string) {
		t.Helper()
		if got := nearest(name, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
	f("balanse", "balance")
	f("hots", "host")
	f("time_out", "timeout")
	f("maxbody", "max_body")
	f("MAX_BODY", "")
	f("colour", "")
	f("", "")
	f(strings.Repeat("balance", 1000), "")
}

func TestDistanceIsSymmetric(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, random.IntN(8))
		for i := range b {
			b[i] = "abc"[random.IntN(3)]
		}
		return string(b)
	}
	for range 1000 {
		a, b := word(), word()
		if distance(a, b) != distance(b, a) || (distance(a, b) == 0) != (a == b) {
			t.Fatalf("distance of %q and %q is %d one way and %d the other", a, b, distance(a, b), distance(b, a))
		}
	}
}

func TestAt(t *testing.T) {
	c := mustParse(t, twoRoutes)
	f := func(path, want string) {
		t.Helper()
		if got := c.At(path).String(); got != "config.yaml:"+want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
	f("", "2:1")
	f("no.such.thing", "2:1")
	f("pools", "3:1")
	f("pools.a", "4:6")
	f("pools.a.balance", "4:6")
	f("pools.a.endpoints[0]", "4:19")
	f("pools.a.endpoints[7]", "4:18")
	f("routes.split.match.path", "7:25")
	f("routes.split.match.hosts[0]", "7:18")
	f("routes.split.split.b", "7:48")
	f("limits.max_body", "2:1")
}

func TestAliasesAreBounded(t *testing.T) {
	f := func(what, src string) {
		t.Helper()
		began := time.Now()
		_, err := Parse("c.yaml", []byte(src), noEnv)
		if err == nil || !strings.Contains(err.Error(), "use fewer aliases") {
			t.Errorf("%s: %.200v", what, err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s took %v", what, took)
		}
	}
	var endpoints, pools, keys strings.Builder
	for i := range 500 {
		fmt.Fprintf(&endpoints, "http://h:%d, ", i+1)
		fmt.Fprintf(&pools, "  p%d: {endpoints: *e}\n", i)
		fmt.Fprintf(&keys, "k%d: 1, ", i)
	}
	f("values behind aliases", "version: 1\npools:\n  a: {endpoints: &e ["+endpoints.String()+"]}\n"+pools.String())
	f("keys behind merges", "version: 1\npools:\n  a: &e {"+keys.String()+"}\n"+strings.ReplaceAll(pools.String(), "endpoints:", "<<:"))
}

// Files made to keep the reader busy are refused soon.
func TestHostileFiles(t *testing.T) {
	repeat := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	f := func(what, src string) {
		t.Helper()
		began := time.Now()
		if _, err := Parse("c.yaml", []byte(src), noEnv); err == nil || len(src) > maxDocument {
			t.Errorf("%s: taken, or too long to say (%d bytes)", what, len(src))
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s took %v", what, took)
		}
	}
	f("deep lists", strings.Repeat("[", 500_000))
	f("deep mappings", strings.Repeat("{a: ", 200_000))
	f("many unknown keys", "version: 1\n"+repeat(50_000, "k%d: 1\n"))
	f("many unknown pools", "version: 1\npools:\n"+repeat(15_000, " a%d: {endpoints: [http://h:1]}\n")+
		"routes: {x: {match: {path: /}, split: {"+repeat(15_000, "b%d: 1, ")+"}}}\n")
	f("many addresses", "version: 1\nlisten: ["+repeat(50_000, "h%d:1, ")+"]\n")
	f("many variables", "version: 1\nstate_dir: "+strings.Repeat("${A", 300_000))
}

func TestTooLong(t *testing.T) {
	src := "version: 1\n#" + strings.Repeat("x", maxDocument)
	if _, err := Parse("c.yaml", []byte(src), noEnv); err == nil || !strings.Contains(err.Error(), "write at most 1 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("token", "secret\n")
	write("blank", "\n")
	f := func(text, want string) {
		t.Helper()
		got := ""
		if _, err := Load(write("config.yaml", text)); err != nil {
			got = strings.ReplaceAll(err.Error(), folder+"/", "")
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
	const remedy = "; name a readable file that holds a token"
	f("version: 1\nadmin: {token_file: token, listen: :9090}\n", "")
	f("version: 1\nadmin: {token_file: tokn}\n", "config.yaml:2:21: admin.token_file: stat tokn: no such file or directory"+remedy)
	f("version: 1\nadmin: {token_file: blank}\n", "config.yaml:2:21: admin.token_file: blank is empty"+remedy)
	f("version: 1\nadmin: {token_file: ./}\n", "config.yaml:2:21: admin.token_file: "+folder+" is not a regular file"+remedy)
	f("version: 2\n", "config.yaml:1:10: version is 2; write 1")
	if _, err := Load(filepath.Join(folder, "missing.yaml")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing file: %v", err)
	}
	const existing = "; name a file in a folder that exists"
	f("version: 1\nlog: {access: {sample: 1%, file: access.log}}\n", "")
	f("version: 1\nlog: {access: {sample: 0%, file: logs/access.log}}\n", "config.yaml:2:34: log.access.file: stat logs: no such file or directory"+existing)
	f("version: 1\nlog: {access: {sample: 1%, file: logs/access.log}}\n", "config.yaml:2:34: log.access.file: stat logs: no such file or directory"+existing)
	f("version: 1\nlog: {access: {sample: 1%, file: .}}\n", "config.yaml:2:34: log.access.file: "+folder+" is a folder"+existing)
	c, err := Load(write("config.yaml", "version: 1\nadmin: {token_file: token}\nstate_dir: /var/x\n"))
	if err != nil || c.Admin.TokenFile != filepath.Join(folder, "token") || c.StateDir != "/var/x" {
		t.Errorf("paths do not start at the file's folder: %v %v", c, err)
	}
}

// FuzzParse: nothing that is read makes it panic, every fault has a place, and what is taken is taken again.
func FuzzParse(f *testing.F) {
	for _, src := range files(f, "testdata/*.yaml", "testdata/*/*.yaml", "testdata/*/good/*.yaml") {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := Parse("config.yaml", src, noEnv)
		if err != nil {
			for _, fault := range err.(Faults) {
				if fault.At.Line < 1 || fault.At.Col < 1 || fault.At.File != "config.yaml" || fault.What == "" || fault.Remedy == "" {
					t.Errorf("a fault says too little: %q", fault)
				}
			}
			return
		}
		if faults := c.check(); len(faults) > 0 {
			t.Errorf("taken, then refused:\n%v", faults)
		}
		if again, err := Parse("config.yaml", src, noEnv); err != nil || again.Digest() != c.Digest() {
			t.Errorf("read differently again: %v", err)
		}
		if _, err := Merge(c); err != nil {
			t.Error(err)
		}
		readBack(t, c)
	})
}
