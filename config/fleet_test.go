package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustFleet(t *testing.T, src string) *Fleet {
	t.Helper()
	f, err := ParseFleet("mlproxy/config", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	f.Index = 12
	return f
}

func TestFleetReplacesWholeEntries(t *testing.T) {
	base := mustParse(t, strings.Replace(twoRoutes, "a: {end", "a: {max_connections: 7, end", 1))
	c, err := base.WithFleet(mustFleet(t, `
version: 1
pools:
  a: {endpoints: [http://10.0.0.1:9001], health_check: {path: /, body: "{}"}}
  c: {endpoints: [http://10.0.0.3:9001]}
routes:
  split: {match: {path: /split}, split: {a: 1, c: 1}, rate_limit: {requests_per_second: 5}}
`))
	if err != nil {
		t.Fatal(err)
	}
	a := c.Pools["a"]
	if a.MaxConnections != 512 || a.Name != "a" || a.HealthCheck.Method != "POST" || a.Words() != "consul mlproxy/config @12" || !a.Endpoints[0].Foreign {
		t.Errorf("pool a is not the fleet's whole: %+v", a)
	}
	if b := c.Pools["b"]; b.Words() != "file" || b.Endpoints[0].Foreign {
		t.Errorf("pool b is not the file's: %+v", b)
	}
	r := c.Routes["split"]
	if r.Match.Path != "/split" || r.Split["b"] != 0 || r.RateLimit.Burst != 5 || r.Key != "mlproxy/config" || r.Base != r.ShadowFrom {
		t.Errorf("route split is not the fleet's whole: %+v", r)
	}
	if c.Routes["colour"].Base.Origin != FromFile || len(base.Pools) != 2 || base.Pools["a"].MaxConnections != 7 {
		t.Error("what the fleet does not name changed, or base did")
	}
	for path, want := range map[string]string{
		"pools.a.max_connections": "mlproxy/config:4:6", "pools.b.endpoints": "config.yaml:5:18", "routes.split.split.c": "mlproxy/config:7:51",
		"routes.colour": "config.yaml:8:11", "version": "config.yaml:2:10",
	} {
		if got := c.At(path).String(); got != want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
	readBack(t, c)
	if again, err := base.WithFleet(mustFleet(t, `{"version": 1}`)); err != nil || !Same(base, again) {
		t.Errorf("a fleet that says nothing changes something: %v", err)
	}
	if same, err := base.WithFleet(nil); err != nil || same != base {
		t.Errorf("no fleet changes something: %v", err)
	}
	if none, err := mustParse(t, "version: 1").WithFleet(mustFleet(t, "version: 1\npools: {a: {endpoints: [http://10.0.0.1:1]}}")); err != nil || len(none.Pools) != 1 {
		t.Errorf("a file without pools: %v", err)
	}
}

func TestFleetIsRefused(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		fleet, err := ParseFleet("k", []byte(src))
		if _, are := err.(Faults); !are || err.Error() != want || fleet != nil {
			t.Errorf("%q\n got %v\nwant %s", src, err, want)
		}
	}
	const own = " is each machine's own; remove it, and write it in each config.yaml; only pools and routes are a fleet's"
	f("", "k:1:1: the value is empty; write one such as {version: 1, pools: {}, routes: {}}, or delete the key")
	f("[]", "k:1:1: the value is a list; write a mapping such as {version: ...}")
	f("pools: {}", "k:1:1: version is missing; write version: 1")
	f("version: 2", "k:1:10: version is 2; write 1")
	f("version: 1\nlisten: :1\nadmin: {token_file: x}\nconsul: {}", "k:2:9: listen"+own+"\nk:3:8: admin"+own+"\nk:4:9: consul"+own)
	f("version: 1\npool: {}", `k:2:1: unknown key pool; did you mean "pools"?`)
	f("version: 1\npools: {a: {endpoints: [http://h:1], host: 7}}", `k:2:44: pools.a.host is 7, which YAML does not read as text; write "7" with quotes`)
	f("version: 1\npools: {a: {endpoints: ['http://${HOST}:1']}}", `k:2:25: "${HOST}" would be a variable of this machine, and a key of Consul has none; write the value out, or $${ for a plain ${`)
}

// What is wrong between the fleet's part and the file's is placed in the one that is at fault.
func TestFleetDoesNotFit(t *testing.T) {
	base := mustParse(t, twoRoutes+"allow_endpoints: [10.0.0.0/8]\n")
	f := func(src, want string) {
		t.Helper()
		c, err := base.WithFleet(mustFleet(t, "version: 1\n"+src))
		if _, are := err.(Faults); !are || err.Error() != want || c != nil {
			t.Errorf("%s\n got %v\nwant %s", src, err, want)
		}
	}
	f("routes: {split: {match: {path: /s}, split: {a: 1, d: 1}}}", `mlproxy/config:2:54: routes.split.split.d: there is no pool "d"; known are a, b`)
	f("pools: {c: {endpoints: [http://127.0.0.1:1]}}", "mlproxy/config:2:25: pools.c.endpoints[0]: the address 127.0.0.1 is not allowed by allow_endpoints; "+
		"add its network to allow_endpoints in config.yaml, if it should be")
}

func TestFleetAsksTheCatalogue(t *testing.T) {
	fleet := mustFleet(t, "version: 1\npools: {c: {consul: {service: iris}}}")
	if _, err := mustParse(t, twoRoutes).WithFleet(fleet); err == nil || !strings.HasPrefix(err.Error(), "mlproxy/config:2:21: pools.c.consul asks Consul's catalogue, and there is no consul section") {
		t.Errorf("got %v", err)
	}
	if c, err := mustParse(t, twoRoutes+"consul: {}\n").WithFleet(fleet); err != nil || c.Pools["c"].Consul.Service != "iris" {
		t.Errorf("got %v", err)
	}
}

// Whoever may write the key may not have proxies read what is beside their config files.
func TestFleetNamesFilesOfTheFolderOnly(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"config.yaml": twoRoutes, "keys.yaml": "ann: {sha256: " + strings.Repeat("0f", 32) + "}\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base, err := Load(filepath.Join(folder, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	src := func(file string) string {
		return "version: 1\nroutes: {x: {match: {path: /x}, split: {a: 1}, api_keys: {file: " + file + "}}}"
	}
	c, err := base.WithFleet(mustFleet(t, src("keys.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(folder, "keys.yaml")}, c.Files()); diff != "" || len(c.Routes["x"].APIKeys.Keys) != 1 {
		t.Errorf("the keys were not read: %s", diff)
	}
	if _, err := base.WithFleet(mustFleet(t, src("none.yaml"))); err == nil || !strings.HasPrefix(err.Error(), "mlproxy/config:2:65: routes.x.api_keys.file: open ") {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, file := range []string{"/etc/passwd", "../keys.yaml", "a/../../keys.yaml"} {
		want := `k:2:65: routes.x.api_keys.file is "` + file + `", outside of the folder of config.yaml; write a path inside of it, such as keys.yaml`
		if _, err := ParseFleet("k", []byte(src(file))); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// A key that names a file, wherever it is added, is one that a fleet's document may not use to look around.
func TestFilesOfPoolsAndRoutesAreNearby(t *testing.T) {
	for _, k := range fleetDocument.keys {
		if k.key != "pools" && k.key != "routes" {
			continue
		}
		walk(k.key, k.shape.each.keys, func(path string, a about) {
			if isFile := strings.HasSuffix(a.key, "file") || strings.Contains(a.doc, "relative path"); isFile && !a.shape.nearby && a.shape.name != "off" {
				t.Errorf("%s may name any file of the machine", path)
			}
		})
	}
}
