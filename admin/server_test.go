package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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
	// reloadedFor says who asked for the last reload, and why.
	reloadedFor string
	log         *lockedBuffer
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
  iris: {match: {path: /iris}, split: {a: 95, b: 5}, feedback: true, protocol: open_inference}
  search: {match: {path: /search}, blue_green: {blue: a, green: b, active: blue}}
`, section, d.url)
	c, err := config.Parse(filepath.Join(dir, "config.yaml"), []byte(src), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	registry := monitor.New()
	log := slog.New(slog.NewTextHandler(d.log, nil))
	table := new(router.Router)
	d.loop = control.New(router.NewEstate(registry), table, log)
	if err := d.loop.Begin(source.Update{Origin: "file", Reason: "start", Config: c}); err != nil {
		t.Fatal(err)
	}
	server := New(Options{
		Loop: d.loop, Table: table.Table, Registry: registry, Metrics: registry.Gatherer(), Version: "v9", Log: log,
		Ready: func() error { return d.notReady },
		Reload: func(_ context.Context, author, reason string) error {
			d.reloadedFor = author + ": " + reason
			return d.reloaded
		},
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
	drainPath    = "/api/v1/pools/b/drain"
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
	f("DELETE, PUT", "GET", drainPath)
	f("POST", "GET", "/api/v1/plan")
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
	d.expect(400, `\"tll\"`, "PUT", splitPath+"?tll=15m", `{"a": 90, "b": 10}`)
	d.expect(400, "such as 15m", "PUT", splitPath+"?ttl=15", `{"a": 90, "b": 10}`)
	d.expect(400, "such as 15m", "PUT", splitPath+"?ttl=-1s", `{"a": 90, "b": 10}`)
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

// overridesNow is what GET /api/v1/overrides answers.
func (d *desk) overridesNow() (o control.Overrides) {
	d.Helper()
	if err := json.Unmarshal([]byte(d.expect(200, "", "GET", "/api/v1/overrides", "").body), &o); err != nil {
		d.Fatal(err)
	}
	return o
}

func TestOverrides(t *testing.T) {
	d := open(t, "")
	d.expect(200, "{}", "GET", "/api/v1/overrides", "")
	d.expect(200, "", "PUT", splitPath+"?ttl=90m", `{"a": 1, "b": 1}`, "X-Reason: try")
	d.expect(200, "", "PUT", drainPath+"?ttl=1h", "", "X-Reason: maintenance")
	now := d.overridesNow()
	iris, b := now.Routes["iris"], now.Drained["b"]
	if iris.Split["b"] != 1 || iris.Reason != "try" || iris.Expires.Sub(iris.Time) != 90*time.Minute {
		t.Errorf("the override: %+v", iris)
	}
	if b.Author != "127.0.0.1" || b.Reason != "maintenance" || b.Expires.Sub(b.Time) != time.Hour {
		t.Errorf("the drain: %+v", b)
	}
	if s := d.loop.Status(); s.Routes["iris"].Share["b"] != 0 || s.Pools["b"].Drained == nil {
		t.Errorf("in force: %+v", s)
	}
	d.expect(200, "", "DELETE", drainPath, "")
	d.expect(404, "not drained", "DELETE", drainPath, "")
	d.expect(200, "", "DELETE", overridePath, "")
	if now := d.overridesNow(); len(now.Routes)+len(now.Drained) > 0 {
		t.Errorf("left: %+v", now)
	}
}

func TestDrainsThatAreRefused(t *testing.T) {
	d := open(t, "")
	d.expect(404, "unknown_pool", "PUT", "/api/v1/pools/c/drain", "")
	d.expect(404, "drain an endpoint as an endpoint", "PUT", "/api/v1/pools/127.0.0.1:1/drain", "")
	got := d.expect(422, "active one of route", "PUT", "/api/v1/pools/a/drain", "")
	if strings.Contains(got.body, "iris") {
		t.Errorf("iris has b besides: %s", got.body)
	}
	d.expect(200, "", "PUT", drainPath, "")
	d.expect(422, "no traffic but on drained", "PUT", "/api/v1/pools/a/drain", "")
	d.expect(400, "force", "PUT", drainPath+"?force=true", "")
}

func TestDrainsOfEndpoints(t *testing.T) {
	d := open(t, "")
	path := func(endpoint string) string { return "/api/v1/endpoints/" + url.PathEscape(endpoint) + "/drain" }
	const b = "http://127.0.0.1:1"
	d.expect(404, "unknown_endpoint", "PUT", path("127.0.0.1:2"), "")
	d.expect(422, `route \"iris\": pool \"b\" has traffic`, "PUT", path(b), "")
	d.expect(422, `route \"search\": pool \"a\" has traffic`, "PUT", path(d.url), "")
	d.expect(200, "endpoint "+b+": drained", "PUT", path("127.0.0.1:1")+"?force=true&ttl=1h", "", "X-Reason: new driver")
	if o := d.overridesNow().Drained[b]; o.Author != "127.0.0.1" || o.Reason != "new driver" || !o.Forced || o.Expires.Sub(o.Time) != time.Hour {
		t.Errorf("the drain: %+v", o)
	}
	if s := d.loop.Status().Pools; s["b"].Endpoints[0].Drained == nil || s["a"].Endpoints[0].Drained != nil || !s["b"].Endpoints[0].Fit {
		t.Errorf("in force: %+v", s)
	}
	d.expect(400, "force", "DELETE", path(b)+"?force=true", "")
	d.expect(200, "drained no more", "DELETE", path(b), "")
	d.expect(404, "not drained", "DELETE", path(b), "")
}

func TestRevisionsAndRestore(t *testing.T) {
	d := open(t, "")
	d.expect(200, "", "PUT", splitPath, `{"a": 1, "b": 1}`, "X-Reason: try")
	got := d.expect(200, "", "GET", "/api/v1/revisions", "")
	var all Revisions
	if err := json.Unmarshal([]byte(got.body), &all); err != nil || got.Header.Get("ETag") != `"2"` {
		t.Fatalf("%v: %s", err, got.body)
	}
	r := all.Revisions
	if len(r) != 2 || r[0].Number != 2 || r[0].Reason != "try" || r[0].Changes[0] != "iris: (a: 95, b: 5) -> (a: 1, b: 1)" || r[1].Origin != "file" {
		t.Errorf("revisions: %s", got.body)
	}
	d.expect(412, "stale", "POST", "/api/v1/revisions/1/restore", "", `If-Match: "1"`)
	d.expect(404, "unknown_revision", "POST", "/api/v1/revisions/9/restore", "")
	d.expect(400, "no revision", "POST", "/api/v1/revisions/x/restore", "")
	d.expect(200, `"revision": 3`, "POST", "/api/v1/revisions/1/restore", "", `If-Match: "2"`)
	d.expect(200, `"origin": "file"`, "GET", "/api/v1/routes", "")
	d.expect(200, `"revision": 4`, "PUT", activePath+"?force=true", `{"active": "green"}`)
	d.expect(200, `"revision": 5`, "POST", "/api/v1/revisions/1/restore", "")
	d.expect(409, "unfit", "POST", "/api/v1/revisions/4/restore", "")
	d.expect(200, `"revision": 6`, "POST", "/api/v1/revisions/4/restore?force=true&ttl=1h", "")
	if o := d.overridesNow().Routes["search"]; o.Active != "green" || o.Expires.IsZero() {
		t.Errorf("restored for an hour: %+v", o)
	}
}

func TestConfig(t *testing.T) {
	d := open(t, "")
	d.expect(200, "", "PUT", splitPath, `{"a": 1, "b": 3}`)
	got := d.expect(200, "b: 3", "GET", "/api/v1/config", "")
	if got.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("Content-Type %s", got.Header.Get("Content-Type"))
	}
	c, err := config.Parse("config.yaml", []byte(got.body), func(string) (string, bool) { return "", false })
	if err != nil || c.Digest() != d.loop.Status().Digest {
		t.Errorf("what is in force is not what is shown: %v\n%s", err, got.body)
	}
	d.expect(400, "none here", "GET", "/api/v1/config?full=1", "")
}

// Every change looks at If-Match, and every picture of what is in force has an ETag.
func TestRevisionsAsETags(t *testing.T) {
	d := open(t, "")
	d.expect(200, "", "PUT", splitPath, `{"a": 1, "b": 1}`)
	for _, path := range []string{"/api/v1/status", "/api/v1/config", "/api/v1/routes", "/api/v1/revisions", "/api/v1/overrides"} {
		if got := d.ask("GET", path, ""); got.Header.Get("ETag") != `"2"` {
			t.Errorf("GET %s: ETag %q", path, got.Header.Get("ETag"))
		}
	}
	f := func(method, path, body string) {
		t.Helper()
		d.expect(412, "stale", method, path, body, `If-Match: "1"`)
	}
	f("PUT", splitPath, `{"a": 1, "b": 2}`)
	f("PUT", activePath+"?force=true", `{"active": "green"}`)
	f("POST", "/api/v1/routes/iris/rollback", "")
	f("DELETE", overridePath, "")
	f("POST", "/api/v1/revisions/1/restore", "")
	f("PUT", drainPath, "")
	f("POST", "/-/reload", "")
	d.expect(200, "", "PUT", drainPath, "", `If-Match: "2"`)
	f("DELETE", drainPath, "")
	if s := d.loop.Status(); s.Number != 3 {
		t.Errorf("revision %d is in force", s.Number)
	}
}

func TestPlan(t *testing.T) {
	d := open(t, "")
	src := fmt.Sprintf(`version: 1
pools:
  a: {endpoints: [%[1]q, "http://127.0.0.1:2"]}
  b: {endpoints: ["http://127.0.0.1:1"]}
routes:
  iris: {match: {path: /iris}, split: {a: 90, b: 10}, sticky: [client_ip]}
  search: {match: {path: /search}, blue_green: {blue: a, green: b, active: blue}}
`, d.url)
	f := func(src string) (p control.Plan) {
		t.Helper()
		got := d.expect(200, "", "POST", "/api/v1/plan", src)
		if err := json.Unmarshal([]byte(got.body), &p); err != nil || got.Header.Get("ETag") == "" {
			t.Fatalf("%v: %s", err, got.body)
		}
		return p
	}
	p := f(src)
	iris := p.Routes["iris"]
	if len(p.Routes) != 1 || iris.Before["b"] != 0.05 || iris.After["b"] != 0.1 || len(iris.Moves) != 1 || iris.Moves[0].To != "b" || math.Abs(iris.Moved()-0.05) > 0.003 {
		t.Errorf("routes: %+v", p.Routes)
	}
	if !slices.Equal(p.Endpoints.Come, []string{"a http://127.0.0.1:2"}) || len(p.Endpoints.Go) > 0 || len(p.Pools.Come) > 0 {
		t.Errorf("endpoints: %+v", p)
	}
	d.expect(200, "", "PUT", splitPath, `{"a": 1, "b": 1}`)
	p = f(src)
	if len(p.Routes) > 0 || len(p.Masked) != 1 || !strings.Contains(p.Masked[0], "iris: (a: 90, b: 10) is masked by the operator's (a: 1, b: 1)") {
		t.Errorf("beneath an override: %+v", p)
	}
	d.expect(422, "routs", "POST", "/api/v1/plan", src+"routs: {}\n")
	d.expect(422, "restart needed", "POST", "/api/v1/plan", src+"listen: 127.0.0.1:7\n")
	d.expect(422, "override remove iris", "POST", "/api/v1/plan", strings.Replace(src, "{a: 90, b: 10}", "{a: 1}", 1))
	d.expect(400, "none here", "POST", "/api/v1/plan?dry=1", src)
	if s := d.loop.Status(); s.Number != 2 || !s.Reload.OK {
		t.Errorf("a plan has changed something: %+v", s)
	}
	if metrics := d.ask("GET", "/metrics", "").body; strings.Contains(metrics, `pool="c"`) {
		t.Error("a plan has made series")
	}
}

func TestAFullDisk(t *testing.T) {
	d := open(t, "")
	if err := os.Symlink("/dev/full", filepath.Join(filepath.Dir(d.token), "state", "overrides.json.next")); err != nil {
		t.Fatal(err)
	}
	d.expect(507, "not_stored", "PUT", splitPath, `{"a": 1, "b": 1}`)
	d.expect(200, `"revision": 1`, "GET", "/api/v1/status", "")
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
	f(403, "Origin: http://"+host, "Origin: http://evil.example")
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
	d.expect(401, "", "PUT", drainPath, "")
	d.expect(401, "", "DELETE", drainPath, "")
	d.expect(401, "", "POST", "/api/v1/revisions/1/restore", "")
	d.expect(401, "", "POST", "/api/v1/plan", "")

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

// Profiles cost time and show what the program is at: with a token they need it.
func TestProfilesNeedTheToken(t *testing.T) {
	d := open(t, "token_file: token")
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace", "/debug/pprof/cmdline"} {
		d.expect(401, "unauthorized", "GET", path, "")
	}
	d.expect(200, "goroutine", "GET", "/debug/pprof/", "", "Authorization: Bearer secret")
	d.expect(200, "", "GET", "/metrics", "")
}

// Who guesses is not listened to for a while, not even when right; others are.
func TestGuessedTokens(t *testing.T) {
	d := open(t, "token_file: token")
	for range mostWrongHere {
		d.expect(401, "", "PUT", splitPath, `{"a": 1, "b": 1}`, "Authorization: Bearer guess")
	}
	got := d.expect(429, "rate_limited", "PUT", splitPath, `{"a": 1, "b": 1}`, "Authorization: Bearer secret")
	if after, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || after < 1 || after > 60 {
		t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
	}
	d.expect(200, "", "GET", "/api/v1/status", "")
}

func TestAttempts(t *testing.T) {
	var a attempts
	now := time.Unix(1e9, 0)
	wrong := func() error { return &Problem{Status: http.StatusUnauthorized} }
	f := func(from string, after time.Duration, do func() error, want int) {
		t.Helper()
		status := 0
		if err := a.try(netip.MustParseAddr(from), now.Add(after), do); err != nil {
			status = problemOf(err).Status
		}
		if status != want {
			t.Errorf("%s after %v: %d, want %d", from, after, status, want)
		}
	}
	right := func() error { return nil }
	for range 2 * mostWrong {
		f("192.0.2.1", 0, right, 0)
	}
	for range mostWrong {
		f("192.0.2.1", time.Second, wrong, 401)
		f("2001:db8::1", time.Second, wrong, 401)
	}
	f("192.0.2.1", wrongWithin-time.Second, right, 429)
	f("2001:db8::2", wrongWithin-time.Second, right, 429)
	f("192.0.2.2", wrongWithin-time.Second, right, 0)
	f("192.0.2.1", wrongWithin+time.Second, wrong, 401)
	for i := range uint32(3 * mostGuesses) {
		_ = a.try(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now, wrong)
	}
	if len(a.wrong) > mostGuesses {
		t.Errorf("%d addresses are remembered", len(a.wrong))
	}
}

// What is refused is logged with all that an audit asks for, and nobody can write a line of their own.
func TestRefusalsAreAudited(t *testing.T) {
	d := open(t, "token_file: token")
	f := func(part string, status int, method, path, body string, headers ...string) {
		t.Helper()
		before := len(d.log.String())
		d.expect(status, "", method, path, body, headers...)
		line := d.log.String()[before:]
		for _, part := range []string{"audit=true", "author=127.0.0.1", "method=" + method, "revision=", fmt.Sprintf("status=%d", status), part} {
			if !strings.Contains(line, part) {
				t.Errorf("%s %s: %q is not in %s", method, path, part, line)
			}
		}
		if strings.Count(line, "\n") != 1 {
			t.Errorf("%s %s is logged as %q", method, path, line)
		}
	}
	const token = "Authorization: Bearer secret"
	f("reason=because", 401, "PUT", splitPath, `{"a": 1, "b": 1}`, "X-Reason: because")
	f("path=", 403, "GET", "/api/v1/status", "", "Host: evil.example")
	f(`reason="x=1 audit=false"`, 422, "PUT", splitPath, `{"a": 1}`, token, "X-Reason: x=1 audit=false")
	f("", 412, "PUT", splitPath, `{"a": 1, "b": 1}`, token, "If-Match: \"99\"")
	f("", 404, "POST", "/api/v1/routes/none/rollback", "", token)
	f("", 400, "PUT", splitPath, `{"a": 1, "b": 1}`, token, "X-Reason: \u009b2J")
	f("", 400, "PUT", splitPath, `{"a": 1, "b": 1}`, token, "X-Reason: \u202eevil")
	f("", 413, "PUT", splitPath, `{"a": 1`+strings.Repeat(" ", maxBody)+"}", token)
	d.expect(200, "", "POST", "/-/reload", "", token, "X-Reason: new keys")
	if d.reloadedFor != "127.0.0.1: new keys" {
		t.Errorf("reloaded for %q", d.reloadedFor)
	}
}
