package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"mlproxy/config"
	"mlproxy/control"
	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is an admin listener before a real loop, and what a test may do to it.
type desk struct {
	*testing.T
	url, token string
	loop       *control.Loop
	notReady   error
	reloaded   error
	log        *lockedBuffer
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// open starts a listener whose config has the given admin section.
func open(t *testing.T, section string) *desk {
	t.Helper()
	dir := t.TempDir()
	d := &desk{T: t, log: new(lockedBuffer), token: filepath.Join(dir, "token")}
	if err := os.WriteFile(d.token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.url = "http://" + ln.Addr().String()
	src := fmt.Sprintf(`version: 1
admin: {%s}
pools:
  a: {endpoints: [%[2]q]}
  b: {endpoints: ["http://127.0.0.1:1"]}
routes:
  iris: {match: {path: /iris}, split: {a: 95, b: 5}}
  search: {match: {path: /search}, blue_green: {blue: a, green: b, active: blue}}
`, section, d.url)
	c, err := config.Parse(filepath.Join(dir, "config.yaml"), []byte(src), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	registry := monitor.New()
	log := slog.New(slog.NewTextHandler(d.log, nil))
	d.loop = control.New(router.NewEstate(registry), new(router.Router), log)
	if err := d.loop.Begin(source.Update{Origin: "file", Reason: "start", Config: c}); err != nil {
		t.Fatal(err)
	}
	server := New(Options{
		Loop: d.loop, Metrics: registry.Gatherer(), Version: "v9", Log: log,
		Ready:  func() error { return d.notReady },
		Reload: func(context.Context) error { return d.reloaded },
		Listen: Listen{Data: []string{"127.0.0.1:8080"}, Admin: ln.Addr().String()},
	})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = d.loop.Run(ctx, nil) })
	running.Go(func() {
		if err := server.Serve(ln); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		_ = server.Shutdown(context.Background())
		running.Wait()
	})
	return d
}

// answer is what came back for a request.
type answer struct {
	*http.Response
	body string
}

// ask sends one request on a connection of its own; headers are "Name: value".
func (d *desk) ask(method, path, body string, headers ...string) answer {
	d.Helper()
	r, err := http.NewRequestWithContext(d.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Add(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		d.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		d.Fatal(err)
	}
	return answer{response, string(text)}
}

// expect asks and holds the status and a part of the body against what is wanted. Every error must be a problem.
func (d *desk) expect(status int, part, method, path, body string, headers ...string) answer {
	d.Helper()
	got := d.ask(method, path, body, headers...)
	if got.StatusCode != status || !strings.Contains(got.body, part) {
		d.Errorf("%s %s %s: %d %s\nwant %d with %q", method, path, body, got.StatusCode, got.body, status, part)
	}
	if status >= 400 {
		var p Problem
		err := json.Unmarshal([]byte(got.body), &p)
		if err != nil || got.Header.Get("Content-Type") != "application/problem+json" || p.Status != status || p.Reason == "" || p.Detail == "" {
			d.Errorf("%s %s: no problem+json: %v %s", method, path, err, got.body)
		}
	}
	return got
}

const (
	splitPath    = "/api/v1/routes/iris/split"
	activePath   = "/api/v1/routes/search/active"
	rollbackPath = "/api/v1/routes/search/rollback"
	overridePath = "/api/v1/routes/iris/override"
)

func TestPlaces(t *testing.T) {
	d := open(t, "")
	d.expect(200, "/api/v1/status", "GET", "/", "")
	d.expect(200, "healthy", "GET", "/-/healthy", "")
	d.expect(200, "", "HEAD", "/-/healthy", "")
	d.expect(200, "ready", "GET", "/-/ready", "")
	d.expect(200, "mlproxy_config_revision 1", "GET", "/metrics", "")
	d.expect(200, "# EOF", "GET", "/metrics", "", "Accept: application/openmetrics-text; version=1.0.0")
	d.expect(200, "goroutine", "GET", "/debug/pprof/", "")
	d.expect(200, "", "GET", "/debug/pprof/cmdline", "")
	d.expect(404, "GET / lists", "GET", "/api/v2/status", "")
	f := func(allow, method, path string) {
		t.Helper()
		if got := d.expect(405, allow, method, path, ""); got.Header.Get("Allow") != allow {
			t.Errorf("%s %s: Allow is %q", method, path, got.Header.Get("Allow"))
		}
	}
	f("GET, HEAD", "POST", "/")
	f("GET, HEAD", "DELETE", "/metrics")
	f("GET, HEAD", "OPTIONS", "/api/v1/status")
	f("POST", "GET", "/-/reload")
	f("PUT", "GET", splitPath)
	f("DELETE", "POST", overridePath)
}

func TestReady(t *testing.T) {
	d := open(t, "")
	d.notReady = errors.New("stopping")
	d.expect(503, "stopping", "GET", "/-/ready", "")
	d.expect(200, "healthy", "GET", "/-/healthy", "")
}

func TestStatus(t *testing.T) {
	d := open(t, "")
	got := d.expect(200, "", "GET", "/api/v1/status", "")
	if got.Header.Get("ETag") != `"1"` || got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers %v", got.Header)
	}
	var s Status
	if err := json.Unmarshal([]byte(got.body), &s); err != nil {
		t.Fatal(err)
	}
	iris, search := s.Routes["iris"], s.Routes["search"]
	switch {
	case s.Version != "v9" || s.Listen.Data[0] != "127.0.0.1:8080" || s.Number != 1 || s.Digest == "" || s.Applied.IsZero() || !s.Reload.OK:
		t.Errorf("head: %s", got.body)
	case iris.Split["a"] != 95 || iris.Share["b"] != 0.05 || iris.Origin != "file" || iris.Override != nil || iris.Match.Path != "/iris":
		t.Errorf("split route: %+v", iris)
	case search.Active != "blue" || search.BlueGreen.Green != "b" || search.Share["a"] != 1 || search.Split != nil:
		t.Errorf("blue/green route: %+v", search)
	case s.Pools["b"].Endpoints[0].URL != "http://127.0.0.1:1" || s.Pools["b"].Balance == "":
		t.Errorf("pools: %+v", s.Pools)
	}
}

func TestReload(t *testing.T) {
	d := open(t, "")
	d.expect(200, `"revision": 1`, "POST", "/-/reload", "")
	d.reloaded = config.Faults{
		{At: config.Position{File: "c.yaml", Line: 3, Col: 1}, What: "one", Remedy: "mend"},
		{At: config.Position{File: "c.yaml", Line: 4, Col: 1}, What: "two", Remedy: "mend"},
	}
	d.expect(422, `"c.yaml:4:1: two; mend"`, "POST", "/-/reload", "")
	d.reloaded = errors.New("no such file")
	d.expect(422, "no such file", "POST", "/-/reload", "")
	d.reloaded = control.ErrStopped
	d.expect(503, "stopping", "POST", "/-/reload", "")
}

func TestSplit(t *testing.T) {
	d := open(t, "")
	got := d.expect(200, `"revision": 2`, "PUT", splitPath, `{"a": 90, "b": 10}`, "X-Reason: looks good")
	if got.Header.Get("ETag") != `"2"` {
		t.Errorf("ETag %s", got.Header.Get("ETag"))
	}
	r := d.loop.Status().Routes["iris"]
	if r.Split["b"] != 10 || r.Origin != "operator" || r.Override.Reason != "looks good" || r.Override.Author != "127.0.0.1" {
		t.Errorf("in force: %+v", r)
	}
	if !strings.Contains(d.log.String(), `author=127.0.0.1 reason="looks good"`) {
		t.Errorf("the log does not tell of the change: %s", d.log)
	}
	d.expect(200, `"origin": "operator"`, "DELETE", overridePath, "")
	if r := d.loop.Status().Routes["iris"]; r.Split["b"] != 5 || r.Origin != "file" {
		t.Errorf("after the override: %+v", r)
	}
	d.expect(404, "no_override", "DELETE", overridePath, "")
}

func TestRefusedSplits(t *testing.T) {
	d := open(t, "")
	f := func(status int, part, body string, headers ...string) {
		t.Helper()
		d.expect(status, part, "PUT", splitPath, body, headers...)
	}
	f(422, "without b", `{"a": 90}`)
	f(422, `no pool \"c\"`, `{"a": 90, "b": 5, "c": 5}`)
	f(422, "weight 0", `{"a": 0, "b": 0}`)
	f(422, "-1", `{"a": -1, "b": 2}`)
	f(400, "twice", `{"a": 90, "b": 5, "a": 1}`)
	f(400, "not a number", `{"a": "90", "b": 5}`)
	f(400, "not a number", `{"a": null, "b": 5}`)
	f(400, "out of range", `{"a": 1e999, "b": 5}`)
	f(400, "object or a list", `{"a": {"weight": 90}, "b": 5}`)
	f(400, "no JSON object", `[90, 10]`)
	f(400, "ends too early", ``)
	f(400, "ends too early", `{"a": 90, "b": 10`)
	f(400, "follows", `{"a": 90, "b": 10} {}`)
	f(400, "right form", `{a: 90, b: 10}`)
	f(413, "1048576", strings.Repeat(" ", maxBody+1))
	f(412, "revision 1 is in force", `{"a": 90, "b": 10}`, `If-Match: "7"`)
	f(412, "no revision", `{"a": 90, "b": 10}`, `If-Match: W/"1"`)
	f(400, "several", `{"a": 90, "b": 10}`, `If-Match: "1", "2"`)
	f(400, "X-Reason", `{"a": 90, "b": 10}`, "X-Reason: "+strings.Repeat("x", 501))
	d.expect(400, `\"ttl\"`, "PUT", splitPath+"?ttl=15m", `{"a": 90, "b": 10}`)
	d.expect(404, `did you mean \"iris\"?`, "PUT", "/api/v1/routes/irs/split", `{"a": 90, "b": 10}`)
	d.expect(422, "blue/green", "PUT", "/api/v1/routes/search/split", `{"a": 90, "b": 10}`)
	if s := d.loop.Status(); s.Number != 1 {
		t.Errorf("a refused change made revision %d", s.Number)
	}
	if !strings.Contains(d.log.String(), "change refused") {
		t.Error("refused changes are not logged")
	}
	f(200, "", `{"a": 90, "b": 10}`, `If-Match: "1"`)
	f(200, "", `{"a": 80, "b": 20}`, `If-Match: *`)
}

func TestSwitchAndRollback(t *testing.T) {
	d := open(t, "")
	d.expect(409, "no_previous", "POST", rollbackPath, "")
	d.expect(409, "127.0.0.1:1", "PUT", activePath, `{"active": "green"}`)
	d.expect(422, "purple", "PUT", activePath, `{"active": "purple"}`)
	d.expect(400, "right form", "PUT", activePath, `{"active": "green", "force": true}`)
	d.expect(400, "right form", "PUT", activePath, `{"Active": "green"}`)
	d.expect(400, "true or false", "PUT", activePath+"?force=maybe", `{"active": "green"}`)
	d.expect(422, "split route", "PUT", "/api/v1/routes/iris/active", `{"active": "green"}`)
	d.expect(200, `"revision": 2`, "PUT", activePath+"?force=true", `{"active": "green"}`)
	d.expect(200, `"revision": 3`, "POST", rollbackPath, "")
	d.expect(409, "unfit", "POST", rollbackPath, "")
	d.expect(200, `"revision": 4`, "POST", rollbackPath+"?force=true", "")
	if got := d.loop.Status().Routes["search"].Active; got != "green" {
		t.Errorf("active is %s", got)
	}
}

func TestForeignPagesAreKeptOut(t *testing.T) {
	d := open(t, "allowed_hosts: [ops.example]")
	host := strings.TrimPrefix(d.url, "http://")
	f := func(status int, headers ...string) {
		t.Helper()
		part := ""
		if status == 403 {
			part = "forbidden"
		}
		d.expect(status, part, "GET", "/api/v1/status", "", headers...)
		d.expect(status, part, "GET", "/metrics", "", headers...)
	}
	f(200, "Host: localhost")
	f(200, "Host: LOCALHOST:9090")
	f(200, "Host: [::1]:9090")
	f(200, "Host: ops.example:9090")
	f(403, "Host: rebound.example")
	f(403, "Host: 10.0.0.1")
	f(403, "Host: ops.example.evil")
	f(200, "Origin: http://"+host)
	f(403, "Origin: http://evil.example")
	f(403, "Origin: null")
	f(403, "Origin: http://localhost", "Host: localhost:9090")
	d.expect(403, "evil.example", "POST", rollbackPath, "", "Origin: http://evil.example")
}

func TestHosts(t *testing.T) {
	f := func(listen, host string, want bool) {
		t.Helper()
		if got := ours(host, &config.Admin{Listen: listen, AllowedHosts: []string{"ops:1"}}); got != want {
			t.Errorf("listening on %s, Host %s: %v", listen, host, got)
		}
	}
	f("0.0.0.0:9090", "10.1.2.3:9090", true)
	f(":9090", "[2001:db8::1]:9090", true)
	f(":9090", "evil.example", false)
	f("10.1.2.3:9090", "10.1.2.3", true)
	f("10.1.2.3:9090", "10.1.2.4", false)
	f("admin.lan:9090", "Admin.LAN.:9090", true)
	f("127.0.0.1:9090", "ops:1", true)
	f("127.0.0.1:9090", "ops:2", false)
	f("127.0.0.1:9090", "", true)
}

func TestToken(t *testing.T) {
	d := open(t, "token_file: token")
	d.expect(200, "", "GET", "/api/v1/status", "")
	f := func(status int, headers ...string) {
		t.Helper()
		got := d.expect(status, "", "PUT", splitPath, `{"a": 1, "b": 1}`, headers...)
		if status == 401 && !strings.HasPrefix(got.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("WWW-Authenticate is %q", got.Header.Get("WWW-Authenticate"))
		}
	}
	f(401)
	f(401, "Authorization: Bearer wrong")
	f(401, "Authorization: Bearer ")
	f(401, "Authorization: secret")
	f(401, "Authorization: Basic secret")
	f(200, "Authorization: Bearer secret")
	f(200, "Authorization: bearer secret")
	d.expect(401, "", "POST", "/-/reload", "")
	d.expect(401, "", "DELETE", overridePath, "")
	d.expect(401, "", "POST", rollbackPath, "")

	write := func(content string) {
		if err := os.WriteFile(d.token, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("another")
	f(401, "Authorization: Bearer secret")
	f(200, "Authorization: Bearer another")
	write(" \n")
	f(500, "Authorization: Bearer ")
	if strings.Contains(d.log.String(), "secret") || strings.Contains(d.log.String(), "another") {
		t.Error("the log tells the token")
	}
}
