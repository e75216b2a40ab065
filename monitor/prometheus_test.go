package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// tool is the path of a program of Debian's package `prometheus`; without it a test of ours proves nothing, so it fails.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing; install Debian's package `prometheus` (apt-get install prometheus), which has it", name)
	}
	return path
}

func TestPromtoolHasNothingToSay(t *testing.T) {
	r := New()
	exercise(r)
	lint := exec.Command(tool(t, "promtool"), "check", "metrics")
	lint.Stdin = strings.NewReader(exposition(t, r))
	if said, err := lint.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, said)
	}
}

// A real Prometheus scrapes the registry, and answers with what was counted.
func TestPrometheusScrapes(t *testing.T) {
	r := New()
	exercise(r)
	page := httptest.NewServer(promhttp.HandlerFor(r.Gatherer(), promhttp.HandlerOpts{}))
	defer page.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	api := startPrometheus(ctx, t, page.Listener.Addr().String())

	f := func(query, want string) {
		t.Helper()
		got := ask(ctx, api, query)
		for ; got != want && ctx.Err() == nil; got = ask(ctx, api, query) {
			pause(ctx)
		}
		if got != want {
			t.Errorf("Prometheus says %s of %s, want %s", got, query, want)
		}
	}
	f(`up{job="mlproxy"}`, "1")
	f(`mlproxy_requests_total{route="iris",pool="stable",code="200"}`, "1")
	f(`mlproxy_request_duration_seconds_bucket{route="iris",le="0.0025"}`, "1")
	f(`mlproxy_active_pool{route="search",pool="green"}`, "0")
	exercise(r)
	f(`mlproxy_requests_total{route="iris",pool="stable",code="200"}`, "2")
	r.Retire("iris", "stable")
	f(`mlproxy_requests_total{route="iris"}`, "nothing")
	if fault := lastScrapeError(ctx, t, api); fault != "" {
		t.Errorf("Prometheus could not scrape all: %s", fault)
	}
}

// startPrometheus runs one that scrapes target each second, until the test ends; the address of its API is returned once
// it answers. The port may be lost to another process between our closing it and its listening: then with another.
func startPrometheus(ctx context.Context, t *testing.T, target string) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	text := fmt.Sprintf("scrape_configs: [{job_name: mlproxy, scrape_interval: 1s, static_configs: [{targets: ['%s']}]}]", target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		address := freeAddress(t)
		exited, said := runPrometheus(ctx, t, config, address)
		if answers(ctx, exited, "http://"+address+"/-/ready") {
			return "http://" + address + "/api/v1/"
		}
		t.Logf("prometheus did not start on %s: %s", address, said())
	}
	t.Fatal("prometheus never started")
	return ""
}

func runPrometheus(ctx context.Context, t *testing.T, config, address string) (exited <-chan struct{}, said func() string) {
	t.Helper()
	log, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(ctx, tool(t, "prometheus"), "--config.file="+config, "--storage.tsdb.path="+t.TempDir(),
		"--web.listen-address="+address, "--log.level=warn")
	run.Stdout, run.Stderr = log, log
	run.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = run.Wait() // how it ended is in its log
	}()
	t.Cleanup(func() {
		_ = run.Process.Kill() // it may have ended
		<-done
		_ = log.Close()
	})
	return done, func() string {
		text, _ := os.ReadFile(log.Name())
		return string(text)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// answers polls until the address says 200 (true), or the process has exited or ctx ended (false).
func answers(ctx context.Context, exited <-chan struct{}, address string) bool {
	for {
		if _, err := fetch(ctx, address); err == nil {
			return true
		}
		select {
		case <-exited:
			return false
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// pause keeps a poll from spinning.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
}

// ask is the one value an instant query finds.
func ask(ctx context.Context, api, query string) string {
	body, err := fetch(ctx, api+"query?query="+url.QueryEscape(query))
	if err != nil {
		return err.Error()
	}
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err.Error()
	}
	switch found := answer.Data.Result; len(found) {
	case 0:
		return "nothing"
	case 1:
		return fmt.Sprint(found[0].Value[1])
	default:
		return fmt.Sprintf("%d series", len(found))
	}
}

func lastScrapeError(ctx context.Context, t *testing.T, api string) string {
	t.Helper()
	body, err := fetch(ctx, api+"targets")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data struct {
			ActiveTargets []struct{ Health, LastError string }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Data.ActiveTargets) != 1 || answer.Data.ActiveTargets[0].Health != "up" {
		return string(body)
	}
	return answer.Data.ActiveTargets[0].LastError
}

func fetch(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return body, err
}
