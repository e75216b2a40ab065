package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"mlproxy/modeltest"
)

// serve starts a model server until the test ends.
func serve(t *testing.T, o modeltest.Options) *modeltest.Server {
	t.Helper()
	s, err := modeltest.Start(o)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// broken starts a model server that misbehaves, in the words of its X-Modeltest header.
func broken(t *testing.T, words string) *modeltest.Server {
	t.Helper()
	s := serve(t, modeltest.Options{})
	must(t, s.Misbehave(words))
	return s
}

// dead is the URL of a model server that is not there.
func dead(t *testing.T) string {
	t.Helper()
	address, _, give, err := modeltest.Reserve()
	must(t, err)
	t.Cleanup(give)
	return "http://" + address
}

// remote is a model server in a process of its own: its URL.
type remote string

// serveApart starts a model server in a process of its own until the test ends.
func serveApart(t *testing.T) remote {
	t.Helper()
	return servedBy(t, modelserver)
}

// servedBy starts a program that prints its URL and serves until its standard input ends, until the test does.
func servedBy(t *testing.T, program string, args ...string) remote {
	t.Helper()
	server := exec.Command(program, args...)
	alive, err := server.StdinPipe()
	must(t, err)
	out, err := server.StdoutPipe()
	must(t, err)
	must(t, server.Start())
	t.Cleanup(func() {
		_ = alive.Close()
		if err := server.Wait(); err != nil {
			t.Errorf("the model server ended with %v", err)
		}
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return remote(strings.TrimSpace(url))
}

func (s remote) stats(t *testing.T) (stats modeltest.Stats) {
	t.Helper()
	status, text := call(t, http.MethodGet, string(s)+"/modeltest/stats", "")
	must(t, equal("the status of stats", status, http.StatusOK))
	must(t, json.Unmarshal([]byte(text), &stats))
	return stats
}

// versions are three model servers apart, and the pools of a config with one of them each.
func versions(t *testing.T) (servers map[string]remote, pools string) {
	t.Helper()
	servers, pools = map[string]remote{}, "pools:\n"
	for _, name := range []string{"stable", "canary", "next"} {
		servers[name] = serveApart(t)
		pools += fmt.Sprintf("  %s: {endpoints: [%q]}\n", name, servers[name])
	}
	return servers, pools
}
