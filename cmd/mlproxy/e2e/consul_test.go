package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mlproxy/modeltest"
	"mlproxy/source/consultest"
)

// shares is the part of a config that has a proxy share the keys of an agent. Go's client keeps connections on which it has not sent
// anything yet; that one is closed on such a client at the very moment when it sends has nothing to do with Consul.
func shares(address string) string {
	return fmt.Sprintf("consul: {address: %q}\nlimits: {read_header_timeout: 5m}\n", address)
}

// fleetRoutes is what the file says of the routes that the tests steer by keys.
func fleetRoutes(blue, green *modeltest.Server) string {
	return fmt.Sprintf(`
pools:
  stable: {endpoints: [%q]}
  canary: {endpoints: [%q]}
routes:
  iris:   {match: {path: /v2/models/iris/infer}, split: {stable: 95, canary: 5}}
  search: {match: {path: /v2/models/iris/versions/}, blue_green: {blue: stable, green: canary, active: blue}}
`, blue.URL, green.URL)
}

// fleet is three proxies that share an agent.
type fleet struct {
	t       *testing.T
	agent   *consultest.Agent
	proxies []*running
}

// newFleet starts the proxies, each with a config of its own ports and folders.
func newFleet(t *testing.T, binary string) *fleet {
	t.Helper()
	f := &fleet{t: t, agent: consultest.Start(t, consultest.Options{})}
	routes := fleetRoutes(serve(t, modeltest.Options{}), serve(t, modeltest.Options{}))
	for range 3 {
		f.proxies = append(f.proxies, run(t, binary, shares(f.agent.Address())+routes))
	}
	return f
}

// all waits until every proxy has come to it.
func (f *fleet) all(what string, so func(*running) error) {
	f.t.Helper()
	for _, r := range f.proxies {
		await(f.t, what, func() error { return so(r) })
	}
}

// says waits until every proxy acts by this on a route: a split's canary share in percent, or the active colour; and from whom it has it.
func (f *fleet) says(route, want, origin string) {
	f.t.Helper()
	f.all(route+" to be "+want, func(r *running) error { return saysOf(r, route, want, origin) })
}

func saysOf(r *running, route, want, origin string) error {
	now := r.status().Routes[route]
	is := now.Active
	if is == "" {
		is = fmt.Sprint(now.Share["canary"] * 100)
	}
	return equal(route, is+" by "+now.Origin, want+" by "+origin)
}

// refuses holds that a call is refused with a status and a reason, and returns what it says.
func (r *running) refuses(status int, reason, method, path, body string) string {
	r.t.Helper()
	got, text := r.call(method, path, body)
	must(r.t, equal(path+" is answered "+text, got, status))
	if !strings.Contains(text, fmt.Sprintf("%q", reason)) {
		r.t.Errorf("%s is refused for another reason than %s: %s", path, reason, text)
	}
	return text
}

// What is written to Consul's keys is in force on three proxies, and so is what an operator says through any of them.
func TestConsulFleet(t *testing.T) {
	t.Parallel()
	f := newFleet(t, mlproxy)
	a, b, c := f.proxies[0], f.proxies[1], f.proxies[2]
	loads := []*load{a.load(60, inferPath, setosa), b.load(60, inferPath, setosa), c.load(60, inferPath, setosa)}

	t.Run("keys", func(t *testing.T) {
		f := &fleet{t, f.agent, f.proxies}
		f.says("iris", "5", "file")
		f.agent.Put(t, "mlproxy/routes/iris/split", "# a tenth\n{stable: 90, canary: 10}")
		f.says("iris", "10", "consul")
		f.agent.Put(t, "mlproxy/routes/search/active", "green")
		f.says("search", "green", "consul")
		f.all("the digests to agree", func(r *running) error { return equal("the digest", r.status().Digest, a.status().Digest) })
		said := a.cli(0, "status")
		for _, words := range []string{"mlproxy/routes/iris/split", "consul"} {
			if !strings.Contains(said, words) {
				t.Errorf("the status does not speak of %q:\n%s", words, said)
			}
		}
		f.agent.Put(t, "mlproxy/routes/iris/split", "{stable: 90, canari: 10}")
		f.all("the key to be refused", func(r *running) error {
			return equal("mlproxy_consul_key_valid", r.metrics().sum("mlproxy_consul_key_valid", "key=mlproxy/routes/iris/split"), 0)
		})
		f.agent.Put(t, "mlproxy/routes/search/active", "blue") // heard beside the wrong one
		f.says("search", "blue", "consul")
		f.says("iris", "10", "consul")
		if k := b.status().Consul.Keys["mlproxy/routes/iris/split"]; k.Valid || !strings.Contains(k.Fault, "canari") || k.InForce == "" {
			t.Errorf("the status of the wrong key is %+v", k)
		}
		b.awaitSaid("a key of Consul is refused")
		f.agent.Delete(t, "mlproxy/routes/iris/split")
		f.agent.Delete(t, "mlproxy/routes/search/active")
		f.says("iris", "5", "file")
		f.says("search", "blue", "file")
	})

	t.Run("operators", func(t *testing.T) {
		f := &fleet{t, f.agent, f.proxies}
		said := a.cli(0, "split", "iris", "stable=80", "canary=20", "--reason", "ramp up", "--wait", "20s")
		if !strings.Contains(said, "all 3 proxies act by it") {
			t.Errorf("--wait says: %s", said)
		}
		for _, r := range f.proxies { // at once: that is what --wait has waited for
			must(t, saysOf(r, "iris", "20", "operator"))
		}
		b.cli(0, "switch", "search", "green")
		f.says("search", "green", "operator")
		f.agent.Put(t, "mlproxy/routes/iris/split", "{stable: 85, canary: 15}")
		c.awaitSaid("a change of a route is masked by a layer above")
		c.cli(0, "rollback", "search")
		f.says("search", "blue", "file")
		f.agent.Delete(t, "mlproxy/routes/iris/split")
		for _, r := range f.proxies {
			history := r.cli(0, "history")
			for _, words := range []string{"ramp up", "canary: 20"} {
				if !strings.Contains(history, words) {
					t.Errorf("the history does not speak of %q:\n%s", words, history)
				}
			}
		}
		c.cli(0, "override", "remove", "iris")
		f.says("iris", "5", "file")
		a.cli(0, "split", "iris", "stable=60", "canary=40", "--ttl", "1500ms")
		f.says("iris", "40", "operator")
		f.says("iris", "5", "file") // by its end
		f.all("the key to be deleted", func(r *running) error {
			_, there := r.status().Consul.Keys["mlproxy/overrides/iris"]
			return equal("it is there", there, false)
		})
	})

	t.Run("a file of keys that the document alone names", func(t *testing.T) {
		f := &fleet{t, f.agent, []*running{a}}
		keys := filepath.Join(filepath.Dir(a.file), "keys.yaml")
		_, entry := makeKey(t, "ann")
		must(t, os.WriteFile(keys, []byte(entry), 0o600))
		f.agent.Put(t, "mlproxy/config", "version: 1\nroutes:\n  guarded: {match: {path: /guarded}, split: {stable: 1}, api_keys: {file: keys.yaml}}\n")
		f.all("the route to be guarded", func(r *running) error {
			answer, _ := r.post("/guarded", "{}")
			return equal("without a key", answer.StatusCode, http.StatusUnauthorized)
		})
		key, entry := makeKey(t, "bob")
		must(t, os.WriteFile(keys, []byte(entry), 0o600))
		f.all("a new key to be good", func(r *running) error {
			answer, _ := r.post("/guarded", "{}", "Authorization: Bearer "+key)
			return equal("with a key", answer.StatusCode != http.StatusUnauthorized, true)
		})
		f.agent.Delete(t, "mlproxy/config")
		f.all("the route to be gone", func(r *running) error { return equal("routes", len(r.status().Routes), 2) })
	})

	t.Run("restore", func(t *testing.T) {
		f := &fleet{t, f.agent, f.proxies}
		before := b.status().Number
		a.cli(0, "split", "iris", "stable=50", "canary=50")
		f.says("iris", "50", "operator")
		b.cli(0, "restore", fmt.Sprint(before))
		f.says("iris", "5", "file")
	})

	t.Run("two at once", func(t *testing.T) {
		f := &fleet{t, f.agent, f.proxies}
		for range 5 {
			statuses := make(chan int, 2)
			for i, r := range f.proxies[:2] {
				go func() {
					status, _ := r.call(http.MethodPut, "/api/v1/routes/iris/split", fmt.Sprintf(`{"stable": 1, "canary": %d}`, i))
					statuses <- status
				}()
			}
			one, other := <-statuses, <-statuses
			for _, status := range []int{one, other} {
				if status != http.StatusOK && status != http.StatusPreconditionFailed {
					t.Errorf("two changes at once are answered %d and %d", one, other)
				}
			}
			if one == http.StatusPreconditionFailed && other == one {
				t.Error("both changes are refused")
			}
			f.all("agreement", func(r *running) error { return equal("the digest", r.status().Digest, a.status().Digest) })
		}
		a.cli(0, "override", "remove", "iris")
		f.says("iris", "5", "file")
	})

	for _, l := range loads {
		l.endWell()
	}

	t.Run("one behind", func(t *testing.T) {
		c.freeze()
		said := a.cli(1, "split", "iris", "stable=70", "canary=30", "--wait", "1s")
		c.thaw()
		if !strings.Contains(said, "1 of 3 proxies do not act by it yet") || !strings.Contains(said, c.admin) {
			t.Errorf("--wait says: %s", said)
		}
		must(t, saysOf(b, "iris", "30", "operator"))
		f.says("iris", "30", "operator")
	})

	t.Run("without Consul", func(t *testing.T) {
		f.agent.Kill()
		a.refuses(http.StatusServiceUnavailable, "fleet", http.MethodPut, "/api/v1/routes/iris/split", `{"stable": 99, "canary": 1}`)
		must(t, saysOf(a, "iris", "30", "operator"))
		a.cli(0, "split", "iris", "stable=99", "canary=1", "--local")
		must(t, saysOf(a, "iris", "1", "operator"))
		must(t, saysOf(b, "iris", "30", "operator"))
		a.cli(0, "override", "remove", "iris", "--local")
		must(t, saysOf(a, "iris", "30", "operator"))
	})
}

// 200 switches by key while three proxies are asked without a pause: no request fails.
func TestConsulSwitchesUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFleet(t, swift)
	loads := make([]*load, len(f.proxies))
	for i, r := range f.proxies {
		loads[i] = r.load(100, "/v2/models/iris/versions/1/infer", setosa)
	}
	const switches = 200
	colours := []string{"green", "blue"}
	for i := range switches {
		f.agent.Put(t, "mlproxy/routes/search/active", colours[i%2])
		f.all("a switch", func(r *running) error { return equal("the active colour", r.active(), colours[i%2]) })
	}
	for i, r := range f.proxies {
		loads[i].endWell()
		must(t, equal("the revision", r.status().Number, switches+1))
	}
}

// active is the active colour of the route search, by the metrics.
func (r *running) active() string {
	if r.metrics().sum("mlproxy_active_pool", "route=search", "pool=canary") == 1 {
		return "green"
	}
	return "blue"
}

// freeze stops the process as SIGSTOP does, until thaw or the end of the test.
func (r *running) freeze() {
	r.t.Helper()
	r.signal(syscall.SIGSTOP)
	r.t.Cleanup(r.thaw) // before the process is to end
}

func (r *running) thaw() { _ = syscall.Kill(r.pid, syscall.SIGCONT) }
