package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"mlproxy/modeltest"
)

// The series of a pool that leaves the config leave with it.
func TestSeriesOfRetiredPoolsDisappear(t *testing.T) {
	config := func(pools ...string) string {
		split, shadow, text := "", "", "pools:\n"
		for _, p := range pools {
			text += fmt.Sprintf("  %s: {endpoints: [%q]}\n", p, dead(t))
			if strings.HasPrefix(p, "shadow") {
				shadow += p + ": {sample: 100%}, "
			} else {
				split += p + ": 1, "
			}
		}
		return text + fmt.Sprintf("routes:\n  iris: {match: {path: /}, split: {%s}, shadow: {%s}}\n", split, shadow)
	}
	r := start(t, config("a", "b", "shadow-a", "shadow-b"))
	f := func(pool string, has bool) {
		t.Helper()
		series := r.metrics().sum("mlproxy_split_weight", "pool="+pool)
		_, text := r.call(http.MethodGet, "/metrics", "")
		if n := strings.Count(text, fmt.Sprintf("pool=%q", pool)); n > 0 != has {
			t.Errorf("%s has %d series (split_weight %d), want some: %v", pool, n, series, has)
		}
	}
	f("b", true)
	f("shadow-b", true)
	r.rewrite(config("a", "shadow-a"))
	status, text := r.reload()
	must(t, equal("the reload "+text, status, http.StatusOK))
	f("a", true)
	f("shadow-a", true)
	f("b", false)
	f("shadow-b", false)
}

// What the binary shows is as Prometheus wants it: promtool has nothing to say of it, and a real Prometheus that scrapes it
// answers with the right count.
func TestPrometheusScrapesTheBinary(t *testing.T) {
	r := start(t, simply(serve(t, modeltest.Options{}).URL))
	const n = 123
	r.ask(n, 1, func(int) string { return infer() })
	r.awaitSum(n, "mlproxy_requests_total")

	_, page := r.call(http.MethodGet, "/metrics", "")
	lint := exec.Command("promtool", "check", "metrics")
	lint.Stdin = strings.NewReader(page)
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v (it comes with Debian's package prometheus)\n%s", err, out)
	}

	p := startPrometheus(t, r.admin)
	f := func(query, want string) {
		t.Helper()
		await(t, query, func() error { return equal(query, p.ask(query), want) })
	}
	f(`up{job="mlproxy"}`, "1")
	f(`sum(mlproxy_requests_total{route="all",pool="a",code="200"})`, fmt.Sprint(n))
	f(`sum(mlproxy_assignments_total{by="rotation"})`, fmt.Sprint(n))
	f(`sum(mlproxy_request_duration_seconds_count{pool="a"})`, fmt.Sprint(n))
	f(`histogram_quantile(0.99, mlproxy_upstream_duration_seconds_bucket{pool="a"}) > bool 0`, "1")
}

// prometheus is a real Prometheus.
type prometheus struct {
	t       *testing.T
	address string
}

// startPrometheus has a Prometheus scrape an address, until the test ends.
func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, "global: {scrape_interval: 200ms}\n"+
		"scrape_configs: [{job_name: mlproxy, static_configs: [{targets: [%q]}]}]\n", target), 0o600))
	cmd := exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+dir, "--web.listen-address=127.0.0.1:0")
	said := &words{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; install Debian's package prometheus", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	p := &prometheus{t: t}
	await(t, "Prometheus to listen", func() error {
		m := regexp.MustCompile(`msg="Listening on" address=(\S+)`).FindStringSubmatch(said.String())
		if m == nil {
			return fmt.Errorf("it says:\n%s", said)
		}
		p.address = m[1]
		return nil
	})
	return p
}

// ask is the value of a query that has one; "" when it has none yet.
func (p *prometheus) ask(query string) string {
	p.t.Helper()
	_, text := call(p.t, http.MethodGet, "http://"+p.address+"/api/v1/query?query="+url.QueryEscape(query), "")
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if json.Unmarshal([]byte(text), &answer) != nil || len(answer.Data.Result) != 1 {
		return ""
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1])
}

// words are what a program says, to be read while it says more.
type words struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}
