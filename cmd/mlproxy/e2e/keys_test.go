package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mlproxy/modeltest"
)

// seen keeps the heads of the requests that a model server got.
type seen struct {
	mu    sync.Mutex
	heads []http.Header
}

func (s *seen) take(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heads = append(s.heads, r.Header.Clone())
}

func (s *seen) all() []http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]http.Header(nil), s.heads...)
}

// post sends a request with further fields, `Name: value`, and returns the answer, whose body it has read.
func (r *running) post(path, body string, fields ...string) (*http.Response, string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://"+r.data+path, strings.NewReader(body))
	must(r.t, err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Add(name, value)
	}
	answer, err := outside.Do(request)
	must(r.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(r.t, err)
	return answer, string(text)
}

// makeKey has the program make a key, and returns it with the line for the file.
func makeKey(t *testing.T, name string) (key, entry string) {
	t.Helper()
	var said bytes.Buffer
	command := exec.Command(swift, "key", "new", name)
	command.Stderr = &said
	out, err := command.Output()
	must(t, err)
	lines := strings.Fields(said.String())
	return lines[len(lines)-1], string(out)
}

// Who has no key, or not one for the route, gets nowhere; who has one gets through, and the key goes no further.
func TestAPIKeys(t *testing.T) {
	live, copied := new(seen), new(seen)
	model := serve(t, modeltest.Options{OnRequest: live.take})
	shadow := serve(t, modeltest.Options{OnRequest: copied.take})
	dir := t.TempDir()
	keyA, entryA := makeKey(t, "team-a")
	keyB, entryB := makeKey(t, "team-b")
	file, log := filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "access.log")
	write := func(text string) {
		must(t, os.WriteFile(file+".new", []byte(text), 0o600))
		must(t, os.Rename(file+".new", file))
	}
	write(entryA + strings.Replace(entryB, "}", ", routes: [other]}", 1))
	r := start(t, fmt.Sprintf(`
log: {level: debug, access: {sample: 100%%, file: %q}}
pools: {a: {endpoints: [%q]}, next: {endpoints: [%q]}}
routes:
  iris:
    match: {path: /v2/}
    split: {a: 1}
    api_keys: {file: %q}
    shadow: {next: {sample: 100%%, forward_credentials: true}}
  other: {match: {path: /other/}, split: {a: 1}, api_keys: {file: %q, header: X-API-Key}}
  by-model: {match: {path: /v1/, model: llama}, split: {a: 1}, api_keys: {file: %q}}
`, log, model.URL, shadow.URL, file, file, file))

	f := func(path, body string, status int, reason string, fields ...string) *http.Response {
		t.Helper()
		answer, text := r.post(path, body, fields...)
		if answer.StatusCode != status || answer.Header.Get("X-MLProxy-Error") != reason {
			t.Errorf("%s with %q: %s %q, want %d %q\n%s", path, fields, answer.Status, answer.Header.Get("X-MLProxy-Error"), status, reason, text)
		}
		return answer
	}
	f(inferPath, setosa, 200, "", "Authorization: Bearer "+keyA, "X-Other: 1")
	f(inferPath, setosa, 200, "", "authorization: bearer  "+keyA)
	bare := f(inferPath, setosa, 401, "unauthorized")
	must(t, equal("the challenge", bare.Header.Get("WWW-Authenticate"), `Bearer realm="mlproxy"`))
	f(inferPath, setosa, 401, "unauthorized", "Authorization: Bearer "+keyA+"x")
	f(inferPath, setosa, 401, "unauthorized", "Authorization: Basic "+keyA)
	f(inferPath, setosa, 401, "unauthorized", "Authorization: "+keyA)
	f(inferPath, setosa, 401, "unauthorized", "X-API-Key: "+keyA)
	f(inferPath, setosa, 401, "unauthorized", "Authorization: Bearer "+keyA, "Authorization: Bearer x")
	f(inferPath, setosa, 401, "unauthorized", "Authorization: Bearer x", "Authorization: Bearer "+keyA)
	f(inferPath+"?key="+keyA, setosa, 401, "unauthorized")
	f(inferPath, setosa, 403, "forbidden", "Authorization: Bearer "+keyB)
	f("/other/v2/models/iris/infer", setosa, 404, "", "X-API-Key: "+keyB) // the model server has no such place
	other := f("/other/", setosa, 401, "unauthorized", "Authorization: Bearer "+keyB)
	must(t, equal("the challenge", other.Header.Get("WWW-Authenticate"), `APIKey realm="mlproxy", header="x-api-key"`))
	f("/v1/completions", `{"model":"llama","prompt":"x"}`, 401, "unauthorized")
	f("/v1/completions", `{"model":"other"}`, 404, "no_route", "Authorization: Bearer "+keyA)

	await(t, "the copies", func() error { return equal("copies", len(copied.all()), 2) })
	must(t, equal("requests that reached the model server", len(live.all()), 3))
	for _, head := range append(live.all(), copied.all()...) {
		if text := fmt.Sprint(head); strings.Contains(text, "mlp_") || head.Get("Authorization") != "" || head.Get("X-Api-Key") != "" {
			t.Errorf("a key went on: %s", text)
		}
	}
	r.awaitSum(8, "mlproxy_errors_total", "route=iris", "pool=", "reason=unauthorized")
	r.awaitSum(1, "mlproxy_errors_total", "route=iris", "pool=", "reason=forbidden")
	r.awaitSum(1, "mlproxy_errors_total", "route=by-model", "pool=", "reason=unauthorized")

	// A key that is taken away is worth nothing as soon as its file says so, and the other way round.
	write(entryB)
	await(t, "the new keys", func() error {
		answer, _ := r.post(inferPath, setosa, "Authorization: Bearer "+keyA)
		return equal("the status", answer.StatusCode, 401)
	})
	f(inferPath, setosa, 200, "", "Authorization: Bearer "+keyB)
	write("team-b: {sha256: nothing}\n")
	r.awaitSaid("config refused, keeping revision")
	f(inferPath, setosa, 200, "", "Authorization: Bearer "+keyB)

	_, effective := r.call(http.MethodGet, "/api/v1/config", "")
	_, revisions := r.call(http.MethodGet, "/api/v1/revisions", "")
	r.end()
	lines, err := os.ReadFile(log)
	must(t, err)
	names := map[string]int{}
	for line := range strings.Lines(string(lines)) {
		var fields struct {
			APIKey string `json:"api_key"`
		}
		must(t, json.Unmarshal([]byte(line), &fields))
		names[fields.APIKey]++
	}
	if names["team-a"] < 2 || names["team-b"] < 4 || len(names) != 3 {
		t.Errorf("the access log names %v", names)
	}
	if !strings.Contains(revisions, "api_keys.keys.team-a") {
		t.Errorf("the revisions do not tell of the keys:\n%s", revisions)
	}
	for what, text := range map[string]string{"log": r.said(), "access log": string(lines), "config": effective, "revisions": revisions} {
		for _, secret := range []string{keyA, keyB, strings.Split(entryA, `"`)[1], strings.Split(entryB, `"`)[1]} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s has a key or its hash", what)
			}
		}
	}
}

// A body is not read for the sake of a refusal: the answer comes before it, and the connection cannot be mistaken for one
// that is in order.
func TestRefusalsComeBeforeTheBody(t *testing.T) {
	model := serve(t, modeltest.Options{})
	_, entry := makeKey(t, "team-a")
	file := filepath.Join(t.TempDir(), "keys.yaml")
	must(t, os.WriteFile(file, []byte(entry), 0o600))
	r := start(t, fmt.Sprintf("pools: {a: {endpoints: [%q]}}\nroutes: {all: {match: {path: /}, split: {a: 1}, api_keys: {file: %q}}}\n", model.URL, file))
	f := func(head string, closes bool) {
		t.Helper()
		c, err := r.dial()
		must(t, err)
		defer c.Close()
		_, err = io.WriteString(c, head)
		must(t, err)
		answer, err := http.ReadResponse(c.in, nil)
		must(t, err)
		defer answer.Body.Close()
		must(t, equal("the status of "+head, answer.StatusCode, 401))
		if answer.Close != closes {
			t.Errorf("%q: the connection closes %v, want %v", head, answer.Close, closes)
		}
	}
	f("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", true)
	f("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", true)
	f("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff", true)
	f("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", false)
	f("GET / HTTP/1.1\r\nHost: x\r\n\r\n", false)
	must(t, equal("requests that reached the model server", model.Stats().Begun, 0))
}

// Each client has a bucket of its own, says the answer when it may come again, and a reload does not fill it.
func TestRateLimits(t *testing.T) {
	model := serve(t, modeltest.Options{})
	keyA, entryA := makeKey(t, "team-a")
	keyB, entryB := makeKey(t, "team-b")
	file := filepath.Join(t.TempDir(), "keys.yaml")
	must(t, os.WriteFile(file, []byte(entryA+entryB), 0o600))
	config := fmt.Sprintf(`
trusted_proxies: [127.0.0.1]
pools: {a: {endpoints: [%q]}}
routes:
  keyed: {match: {path: /v2/}, split: {a: 1}, api_keys: {file: %q}, rate_limit: {requests_per_second: 0.01, burst: 3}}
  open:  {match: {path: /v2/models/iris/infer, headers: {x-open: "*"}}, split: {a: 1}, rate_limit: {requests_per_second: 0.01, burst: 2}}
`, model.URL, file)
	r := start(t, config)
	f := func(taken int, fields ...string) {
		t.Helper()
		for range taken {
			answer, text := r.post(inferPath, setosa, fields...)
			must(t, equal(fmt.Sprintf("%q: %s", fields, text), answer.StatusCode, 200))
		}
		answer, _ := r.post(inferPath, setosa, fields...)
		must(t, equal(fmt.Sprintf("%q", fields), answer.StatusCode, 429))
		must(t, equal("the reason", answer.Header.Get("X-MLProxy-Error"), "rate_limited"))
		if wait := answer.Header.Get("Retry-After"); wait != "100" && wait != "99" && wait != "98" {
			t.Errorf("Retry-After is %q, want the 100 seconds to the next token", wait)
		}
	}
	f(3, "Authorization: Bearer "+keyA)
	f(3, "Authorization: Bearer "+keyB)
	f(2, "X-Open: 1", "X-Forwarded-For: 192.0.2.1")
	f(2, "X-Open: 1", "X-Forwarded-For: 192.0.2.2")
	f(2, "X-Open: 1", "X-Forwarded-For: 2001:db8::1")
	f(0, "X-Open: 1", "X-Forwarded-For: 2001:db8::2")
	r.rewrite(config + "log: {level: debug}\n")
	status, text := r.reload()
	must(t, equal(text, status, http.StatusOK))
	f(0, "Authorization: Bearer "+keyA)
	f(0, "X-Open: 1", "X-Forwarded-For: 192.0.2.1")
	must(t, equal("requests that reached the model server", model.Stats().Begun, 3+3+2+2+2))
	r.awaitSum(3, "mlproxy_errors_total", "route=keyed", "reason=rate_limited")
	r.awaitSum(5, "mlproxy_errors_total", "route=open", "reason=rate_limited")
}

// An address has so many connections and no more, unless it is a proxy's that is trusted.
func TestConnectionsPerAddress(t *testing.T) {
	model := serve(t, modeltest.Options{})
	config := "limits: {max_connections_per_ip: 3}\n" + simply(model.URL)
	r := start(t, config)
	open := func() (*conn, int) {
		t.Helper()
		c, err := r.dial()
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		answers := make([]answer, 1)
		if err := c.ask([]string{infer()}, answers); err != nil {
			return c, 0 // the refusal came before the request, and was cut off by it
		}
		return c, answers[0].status
	}
	var first *conn
	for range 3 {
		c, status := open()
		must(t, equal("the status", status, 200))
		first = c
	}
	if _, status := open(); status == 200 {
		t.Error("a fourth connection is served")
	}
	r.awaitSum(1, "mlproxy_connections_rejected_total", "reason=max_connections_per_ip")
	must(t, first.Close())
	await(t, "the place of one that was closed", func() error {
		c, status := open()
		_ = c.Close()
		return equal("the status", status, 200)
	})
	r.rewrite("trusted_proxies: [127.0.0.0/8]\n" + config)
	status, text := r.reload()
	must(t, equal(text, status, http.StatusOK))
	for range 5 {
		_, status := open()
		must(t, equal("the status", status, 200))
	}
}
