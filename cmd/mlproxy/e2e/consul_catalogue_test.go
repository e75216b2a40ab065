package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mlproxy/modeltest"
	"mlproxy/source/consultest"
)

// hostPort is where a model server listens.
func hostPort(of string) (host string, port int) {
	u, _ := url.Parse(of)
	host, text, _ := net.SplitHostPort(u.Host)
	port, _ = strconv.Atoi(text)
	return host, port
}

// members waits until a pool has exactly these endpoints.
func (r *running) members(t *testing.T, pool string, servers ...string) {
	t.Helper()
	slices.Sort(servers)
	await(t, "the members of "+pool, func() error {
		var have []string
		for _, e := range r.status().Pools[pool].Endpoints {
			have = append(have, e.URL)
		}
		slices.Sort(have)
		return equal("what it has", strings.Join(have, " "), strings.Join(servers, " "))
	})
}

// serviceStale waits until a service's instances are said to be those of before, for a reason with this word in it; "" = until they are not.
func (r *running) serviceStale(t *testing.T, service, why string) {
	t.Helper()
	await(t, "the service to be stale for "+why, func() error {
		s, there := r.status().Consul.Services[service]
		if !there || (s.Stale == "") != (why == "") || !strings.Contains(s.Stale, why) {
			return fmt.Errorf("it is %+v", s)
		}
		return nil
	})
}

// A pool's endpoints come from the catalogue, and whatever happens there, no request is lost.
func TestConsulCatalogue(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t, consultest.Options{})
	first, heavy, light := serve(t, modeltest.Options{}), serve(t, modeltest.Options{}), serve(t, modeltest.Options{})
	r := start(t, shares(agent.Address())+fmt.Sprintf(`
allow_endpoints: [127.0.0.0/8]
pools:
  iris: {consul: {service: iris, tags: [v1], passing_only: true}, endpoints: [%q], balance: round_robin, breaker: {open_for: 1h}}
routes:
  iris: {match: {path: /}, split: {iris: 1}}
`, first.URL))
	join := func(id, url string, change ...func(*consultest.Instance)) {
		t.Helper()
		i := instance(id, "iris", url)
		i.Tags = []string{"v1", "gpu"}
		for _, f := range change {
			f(&i)
		}
		agent.Register(t, i)
	}
	l := r.load(200, inferPath, setosa)

	r.serviceStale(t, "iris with v1", "no passing instance")
	r.members(t, "iris", first.URL) // as the file says, until there are any
	l.more(20)
	must(t, equal("the file's endpoint serves", first.Stats().Begun > 0, true))

	join("other", first.URL, func(i *consultest.Instance) { i.Tags = []string{"v2"} })
	join("heavy", heavy.URL, func(i *consultest.Instance) { i.Weight = 3 })
	r.members(t, "iris", heavy.URL)
	join("light", light.URL)
	r.members(t, "iris", heavy.URL, light.URL)
	r.serviceStale(t, "iris with v1", "")
	h, s, f := heavy.Stats().Begun, light.Stats().Begun, first.Stats().Begun
	r.ask(400, 1, func(int) string { return infer() })
	h, s, f = heavy.Stats().Begun-h, light.Stats().Begun-s, first.Stats().Begun-f
	if f > 2 || h < 2*s || h > 4*s {
		t.Errorf("the weights are 3 and 1, the requests %d and %d, and %d at the file's endpoint", h, s, f)
	}

	t.Run("an address that is not allowed", func(t *testing.T) {
		join("metadata", "http://169.254.169.254:80")
		await(t, "it to be refused", func() error {
			return equal("the reason is there", r.status().Consul.Refused["http://169.254.169.254:80"] != "", true)
		})
		r.members(t, "iris", heavy.URL, light.URL)
		agent.Deregister(t, "metadata")
	})

	t.Run("flapping", func(t *testing.T) {
		began, revision := time.Now(), r.status().Number
		for i := 0; time.Since(began) < 2*time.Second; i++ {
			agent.SetStatus(t, "light", []string{"critical", "passing"}[i%2])
		}
		agent.SetStatus(t, "light", "passing")
		r.members(t, "iris", heavy.URL, light.URL)
		must(t, equal("the revision: nobody changed the config", r.status().Number, revision))
	})

	t.Run("all critical, and none at all", func(t *testing.T) {
		agent.SetStatus(t, "light", "critical")
		r.members(t, "iris", heavy.URL)
		agent.SetStatus(t, "heavy", "critical")
		r.serviceStale(t, "iris with v1", "no passing instance of iris with v1 any more; the last 1 are kept")
		r.members(t, "iris", heavy.URL)
		agent.Deregister(t, "heavy")
		agent.Deregister(t, "light")
		l.more(100)
		r.members(t, "iris", heavy.URL)
		r.serviceStale(t, "iris with v1", "are kept")
		join("light", light.URL)
		r.members(t, "iris", light.URL)
		r.serviceStale(t, "iris with v1", "")
	})
	l.endWell()

	t.Run("what is known of an endpoint stays", func(t *testing.T) {
		sick := broken(t, "status=500")
		join("sick", sick.URL)
		r.members(t, "iris", light.URL, sick.URL)
		open := func() error {
			call(t, http.MethodPost, "http://"+r.data+inferPath, setosa)
			for _, e := range r.status().Pools["iris"].Endpoints {
				if e.URL == sick.URL {
					return equal("the breaker", e.Breaker, "open")
				}
			}
			return fmt.Errorf("%s is not there", sick.URL)
		}
		await(t, "the breaker to open", open)
		join("heavy", heavy.URL)
		r.members(t, "iris", light.URL, sick.URL, heavy.URL)
		must(t, open())
		agent.Deregister(t, "sick")
		r.members(t, "iris", light.URL, heavy.URL)
	})

	t.Run("one that leaves", func(t *testing.T) {
		g := newGate(t)
		join("slow", g.URL)
		r.members(t, "iris", light.URL, heavy.URL, g.URL)
		slow := make(chan string, 3)
		for range 7 { // one of them comes to it, at the least
			go func() { slow <- r.read("/slow") }()
		}
		<-g.arrived
		agent.Deregister(t, "slow")
		r.members(t, "iris", light.URL, heavy.URL)
		close(g.slow)
		finished := 0
		for range 7 {
			if <-slow == "200 done" {
				finished++
			}
		}
		if finished == 0 {
			t.Error("the slow request was cut")
		}
	})
}

// A proxy stands in the catalogue while it is ready, and no more when it drains.
func TestConsulRegistration(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t, consultest.Options{})
	g := newGate(t)
	r := start(t, fmt.Sprintf("consul: {address: %q, register: {name: edge, tags: [blue]}}\n", agent.Address())+simply(g.URL))
	passing := func() string {
		_, text := call(t, http.MethodGet, agent.Address()+"/v1/health/service/edge?passing&tag=blue", "")
		var found []struct {
			Service struct {
				Address string
				Port    int
			}
		}
		must(t, json.Unmarshal([]byte(text), &found))
		var all []string
		for _, f := range found {
			all = append(all, net.JoinHostPort(f.Service.Address, strconv.Itoa(f.Service.Port)))
		}
		return strings.Join(all, " ")
	}
	await(t, "the proxy to stand there", func() error { return equal("what passes", passing(), r.data) })
	slow := make(chan string, 1)
	go func() { slow <- r.read("/slow") }()
	<-g.arrived
	r.signal(syscall.SIGTERM)
	await(t, "the listener to close", func() error { return refused(r.data) })
	must(t, equal("what passes once it takes nothing new", passing(), ""))
	close(g.slow)
	must(t, equal("the slow answer", <-slow, "200 done"))
	r.exit(0)
}
