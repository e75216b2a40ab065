package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mlproxy/modeltest"
	"mlproxy/source/consultest"
)

// mayAll is what docs/consul.md says that mlproxy needs.
const mayAll = `
key_prefix "mlproxy/"       { policy = "write" }
key_prefix "mlproxy-fleet/" { policy = "write" }
session_prefix ""           { policy = "write" }
service_prefix ""           { policy = "read" }
node_prefix ""              { policy = "read" }
agent_prefix ""             { policy = "read" }
`

// plagued is a proxy under load whose Consul has troubles.
type plagued struct {
	*running
	agent  *consultest.Agent
	asked  func() int64 // queries so far
	token  string       // the file
	config string
}

func newPlagued(t *testing.T, o consultest.Options) *plagued {
	t.Helper()
	p := &plagued{agent: consultest.Start(t, o), token: filepath.Join(t.TempDir(), "token")}
	address, asked := p.agent.Counted(t)
	p.asked = asked
	server, canary := serve(t, modeltest.Options{}), serve(t, modeltest.Options{})
	p.agent.Register(t, instance("iris-1", "iris", server.URL))
	p.config = fmt.Sprintf(`
consul: {address: %q, token_file: %q}
limits: {read_header_timeout: 5m}
state_dir: %q
pools:
  stable: {consul: {service: iris}}
  canary: {endpoints: [%q]}
routes:
  iris: {match: {path: /}, split: {stable: 95, canary: 5}}
`, address, p.token, t.TempDir(), canary.URL)
	p.show("nobody asks for one")
	if o.ACL {
		p.renew(t)
	}
	p.agent.Put(t, "mlproxy/routes/iris/split", "{stable: 90, canary: 10}")
	p.running = start(t, p.config)
	return p
}

// instance is a model server as it stands in the catalogue.
func instance(id, service, url string) consultest.Instance {
	host, port := hostPort(url)
	return consultest.Instance{ID: id, Name: service, Address: host, Port: port}
}

// show has the proxy use another token.
func (p *plagued) show(token string) {
	_ = os.WriteFile(p.token, []byte(token+"\n"), 0o600)
}

// renew makes a token and has the proxy use it.
func (p *plagued) renew(t *testing.T) (revoke func()) {
	t.Helper()
	token, revoke := p.agent.Token(t, fmt.Sprint("mlproxy-", time.Now().UnixNano()), mayAll)
	p.show(token)
	return revoke
}

// stale waits until the keys are said to be as of before, for a reason with this word in it; "" = until they are not.
func (p *plagued) stale(t *testing.T, why string) {
	t.Helper()
	await(t, "stale for "+why, func() error {
		now := p.status().Consul.Stale
		if (now == "") != (why == "") || !strings.Contains(now, why) {
			return fmt.Errorf("it is %q", now)
		}
		return nil
	})
}

// canary waits until the canary's share is so many percent.
func (p *plagued) canary(t *testing.T, percent int) {
	t.Helper()
	await(t, "the canary's share", func() error { return saysOf(p.running, "iris", fmt.Sprint(percent), "consul") })
}

// through has Consul suffer. No request may fail meanwhile, nor what is in force change, nor Consul be asked more than 10 times a second.
// Afterwards a key is heard again.
func (p *plagued) through(what string, suffer func(t *testing.T)) {
	p.t.Run(what, func(t *testing.T) {
		l := p.load(100, inferPath, setosa)
		before, began, asked := p.status().Digest, time.Now(), p.asked()
		suffer(t)
		must(t, equal("what is in force", p.status().Digest, before))
		p.agent.Put(t, "mlproxy/routes/iris/split", "{stable: 80, canary: 20}")
		p.canary(t, 20)
		p.agent.Put(t, "mlproxy/routes/iris/split", "{stable: 90, canary: 10}")
		p.canary(t, 10)
		p.stale(t, "")
		if n, took := p.asked()-asked, time.Since(began).Seconds(); float64(n) > 10*took+2 {
			t.Errorf("Consul was asked %d times in %.1fs", n, took)
		}
		l.endWell()
	})
}

// contact is for how long Consul has been silent.
func (p *plagued) contact() int { return p.metrics().sum("mlproxy_consul_last_contact_seconds") }

func TestConsulFaults(t *testing.T) {
	t.Parallel()
	p := newPlagued(t, consultest.Options{Durable: true, ACL: true})
	p.canary(t, 10)

	p.through("stopped", func(t *testing.T) {
		p.agent.Stop()
		p.stale(t, "consul does not answer")
		p.agent.Restart(t, true)
	})
	p.through("killed", func(t *testing.T) {
		p.agent.Kill()
		p.stale(t, "consul does not answer")
		await(t, "the gauge to grow", func() error {
			if p.contact() < 2 {
				return fmt.Errorf("mlproxy_consul_last_contact_seconds is %d", p.contact())
			}
			return nil
		})
		p.agent.Restart(t, true)
	})
	p.through("a revoked token", func(t *testing.T) {
		revoke := p.renew(t)
		revoke()
		p.agent.Put(t, "mlproxy/routes/iris/split", "{stable: 90, canary: 10} # so that Consul is asked anew\n")
		p.stale(t, "ACL")
		p.renew(t)
		p.stale(t, "")
	})
	p.through("a large key", func(t *testing.T) {
		p.agent.Put(t, "mlproxy/routes/iris/split", "{stable: 70, canary: 30} # "+strings.Repeat("x", 500<<10))
		await(t, "the key to be refused", func() error {
			return equal("the gauge", p.metrics().sum("mlproxy_consul_key_valid", "key=mlproxy/routes/iris/split"), 0)
		})
	})
	p.through("a thousand writes a second elsewhere", func(t *testing.T) { flood(t, p.agent, 2*time.Second) })
	p.through("without its data", func(t *testing.T) {
		p.agent.Kill()
		p.agent.Restart(t, false)
		p.stale(t, "ACL") // it does not know the token
		p.renew(t)
		p.stale(t, "index went back")
	})

	t.Run("a cold start without it", func(t *testing.T) {
		p.agent.Kill()
		p.signal(syscall.SIGTERM)
		p.exit(0)
		cold := start(t, p.config)
		must(t, saysOf(cold, "iris", "10", "consul"))
		must(t, equal("endpoints of the catalogue", len(cold.status().Pools["stable"].Endpoints), 1))
		cold.awaitSaid("Consul does not answer; what it said last is in force until it does")
		cold.ask(100, 2, func(int) string { return infer() })
	})
}

// A black hole takes connections and never answers.
func TestConsulFrozen(t *testing.T) {
	t.Parallel()
	p := newPlagued(t, consultest.Options{})
	p.canary(t, 10)
	p.through("frozen", func(t *testing.T) {
		p.agent.Freeze()
		p.stale(t, "nothing") // came, or was said
		if p.contact() < 5 {
			t.Errorf("mlproxy_consul_last_contact_seconds is %d", p.contact())
		}
		p.agent.Thaw()
	})
}

// flood writes 1,000 keys a second below another prefix.
func flood(t *testing.T, a *consultest.Agent, length time.Duration) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	const writers = 10
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}}
	defer client.CloseIdleConnections()
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			tick := time.NewTicker(writers * time.Millisecond)
			defer tick.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				<-tick.C
				request, _ := http.NewRequest(http.MethodPut, fmt.Sprintf("%s/v1/kv/unrelated/%d/%d", a.Address(), w, i%10), strings.NewReader(fmt.Sprint(i)))
				request.Header.Set("X-Consul-Token", consultest.Root)
				answer, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
		})
	}
	writing.Wait()
}
