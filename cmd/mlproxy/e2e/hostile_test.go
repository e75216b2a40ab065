package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// throw sends bytes on a connection of their own and returns the status of the answer; 0 when there is none.
func throw(t *testing.T, address, raw string) (status int, head http.Header) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(patience)))
	_, _ = io.WriteString(c, raw) // a refusal may come before the end
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, nil
	}
	_ = answer.Body.Close()
	return answer.StatusCode, answer.Header
}

// names are all series of a reading, written with their labels.
func (m metrics) names() (all []string) {
	for family, f := range m {
		for _, series := range f.GetMetric() {
			name := family
			for _, l := range series.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// oddities are requests that differ with i in what their client may choose.
func oddities(key string) []func(i int) string {
	body := `{"model":"llama-%d","user":{"id":"u%d"},"class":"c%d"}`
	post := func(path, body string, fields ...string) string {
		fields = append(fields, fmt.Sprintf("Content-Length: %d", len(body)))
		return "POST " + path + " HTTP/1.1\r\nHost: models.example\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n" + body
	}
	return []func(i int) string{
		func(i int) string { return fmt.Sprintf("M%d / HTTP/1.1\r\nHost: x\r\n\r\n", i) },
		func(i int) string { return fmt.Sprintf("GET / HTTP/1.1\r\nHost: h%d.example\r\n\r\n", i) },
		func(i int) string { return fmt.Sprintf("GET http://h%d.example/ HTTP/1.1\r\nHost: x\r\n\r\n", i) },
		func(i int) string { return fmt.Sprintf("GET /nowhere/%d?q=%d HTTP/1.1\r\nHost: x\r\n\r\n", i, i) },
		func(i int) string { return fmt.Sprintf("GET /v2/models/m%d/infer HTTP/1.1\r\nHost: x\r\n\r\n", i) },
		func(i int) string { return fmt.Sprintf("GET / HTTP/1.%d\r\nHost: x\r\n\r\n", 2+i%8) },
		func(i int) string { return post("/v1/completions", fmt.Sprintf(body, i, i, i)) },
		func(i int) string { return post(inferPath, setosa, fmt.Sprintf("X-User-ID: u%d", i)) },
		func(i int) string { return post(inferPath, setosa, fmt.Sprintf("Cookie: uid=u%d; c%d=1", i, i)) },
		func(i int) string {
			return post(inferPath, setosa, fmt.Sprintf("User-Agent: ua/%d", i), fmt.Sprintf("X-%d: 1", i))
		},
		func(i int) string { return post(inferPath, setosa, fmt.Sprintf("X-MLProxy-Pool: p%d", i)) },
		func(i int) string {
			return post(inferPath, setosa, fmt.Sprintf("X-Request-ID: id-%d", i), fmt.Sprintf("X-Forwarded-For: 10.9.%d.%d", i>>8&255, i&255))
		},
		func(i int) string {
			return post(inferPath, setosa, fmt.Sprintf("Traceparent: 00-%032x-%016x-01", i+1, i+1))
		},
		func(i int) string { return post("/keyed", setosa, fmt.Sprintf("Authorization: Bearer k%d", i)) },
		func(i int) string {
			return post("/keyed", setosa, "Authorization: Bearer "+key, fmt.Sprintf("X-User-ID: u%d", i))
		},
		func(i int) string { return post(inferPath, setosa, fmt.Sprintf("Expect: e%d", i)) },
		func(i int) string { return post(inferPath, setosa, fmt.Sprintf("Transfer-Encoding: t%d", i)) },
		func(i int) string {
			return post(inferPath, setosa, "Connection: upgrade", fmt.Sprintf("Upgrade: u%d", i))
		},
	}
}

// Whatever clients send, they make no series: of each oddity the first may show a status or a reason for the first time, the next
// thousands nothing.
func TestClientsMakeNoSeries(t *testing.T) {
	model := serve(t, modeltest.Options{})
	key, entry := makeKey(t, "team-a")
	file := filepath.Join(t.TempDir(), "keys.yaml")
	must(t, os.WriteFile(file, []byte(entry), 0o600))
	r := run(t, swift, fmt.Sprintf(`
trusted_proxies: [127.0.0.1]
pools: {a: {endpoints: [%[1]q]}, b: {endpoints: [%[1]q]}, next: {endpoints: [%[1]q]}}
routes:
  iris:
    match: {path: /v2/}
    split: {a: 50, b: 50}
    sticky: [header:X-User-ID, cookie:uid]
    force: {header: X-MLProxy-Pool}
    shadow: {next: {sample: 100%%}}
    rate_limit: {requests_per_second: 1000000, by: client_ip}
  llama: {match: {path: /v1/completions, model: llama-1}, split: {a: 1}, sticky: [json:user.id]}
  keyed: {match: {path: /keyed}, split: {a: 1}, api_keys: {file: %[2]q}}
`, model.URL, file))
	odd := oddities(key)
	throwAll := func(from, to int) {
		var throwing sync.WaitGroup
		for _, request := range odd {
			throwing.Go(func() {
				for i := from; i < to; i++ {
					throw(t, r.data, request(i))
				}
			})
		}
		throwing.Wait()
	}
	throwAll(0, 8)
	before := r.settled()
	throwAll(8, 200)
	after := r.settled()
	if len(before) < 200 {
		t.Fatalf("only %d series were there to begin with", len(before))
	}
	for _, name := range after {
		if _, known := slices.BinarySearch(before, name); !known {
			t.Errorf("a client made the series %s", name)
		}
	}
}

// settled are the names of all series, once no exchange or copy runs any more.
func (r *running) settled() []string {
	r.t.Helper()
	var names []string
	await(r.t, "the end of all exchanges and copies", func() error {
		m := r.metrics()
		names = m.names()
		if running := m.sum("mlproxy_in_flight"); running > 0 {
			return fmt.Errorf("%d exchanges run", running)
		}
		if copies := m.sum("mlproxy_shadow_requests_total") + m.sum("mlproxy_shadow_dropped_total"); copies < m.sum("mlproxy_assignments_total", "route=iris")/2 {
			return fmt.Errorf("%d copies", copies)
		}
		return nil
	})
	return names
}

// wantToken has the admin listener want the token in a file.
func (r *running) wantToken(file string) {
	r.t.Helper()
	text, err := os.ReadFile(r.file)
	must(r.t, err)
	guarded := strings.Replace(string(text), `listen: "127.0.0.1:0"`, fmt.Sprintf(`listen: "127.0.0.1:0", token_file: %q`, file), 1)
	must(r.t, os.WriteFile(r.file, []byte(guarded), 0o600))
	status, answer := r.reload()
	must(r.t, equal(answer, status, http.StatusOK))
}

// collector is a receiver of spans that keeps what it is sent.
type collector struct {
	*httptest.Server
	words
}

func newCollector(t *testing.T) *collector {
	c := new(collector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&c.words, r.Body)
	}))
	t.Cleanup(c.Close)
	return c
}

// What clients and operators keep secret stands nowhere afterwards: not in the log at its most talkative, nor in the access log, the journal, metrics,
// spans, state or what the admin listener shows, whatever becomes of the requests.
func TestSecretsLeaveNoTrace(t *testing.T) {
	model, spans := serve(t, modeltest.Options{}), newCollector(t)
	key, entry := makeKey(t, "team-a")
	dir := t.TempDir()
	keys, token, access := filepath.Join(dir, "keys.yaml"), filepath.Join(dir, "token"), filepath.Join(dir, "access.log")
	noted := filepath.Join(dir, "predictions.jsonl")
	must(t, os.WriteFile(keys, []byte(entry), 0o600))
	must(t, os.WriteFile(token, []byte("s3cret-token\n"), 0o600))
	config := fmt.Sprintf(`
log: {level: debug, access: {sample: 100%%, file: %q}}
tracing: {endpoint: %q, sample: 100%%}
journal: {file: %q, bodies: true, redact: [inputs, user]}
pools: {a: {endpoints: [%q]}, gone: {endpoints: [%q], breaker: {consecutive_failures: 2}}, wrong: {endpoints: [%q]}}
routes:
  iris: {match: {path: /v2/, headers: {x-api-secret: s3cret-match}}, split: {a: 1}, sticky: [header:X-User-ID], protocol: open_inference}
  open: {match: {path: /v2/}, split: {a: 1}, shadow: {wrong: {sample: 100%%}}, sticky: [json:user]}
  gone: {match: {path: /gone}, split: {gone: 1}}
  wrong: {match: {path: /wrong}, split: {wrong: 1}}
  keyed: {match: {path: /keyed}, split: {a: 1}, api_keys: {file: %q}, rate_limit: {requests_per_second: 0.01, burst: 2}}
`, access, spans.URL, noted, model.URL, dead(t), broken(t, "garbage").URL, keys)
	r := start(t, config)
	r.wantToken(token)

	body := `{"user":"s3cret-user","inputs":"s3cret-body"}`
	fields := "Host: x\r\nAuthorization: Bearer s3cret-bearer\r\nCookie: sid=s3cret-cookie\r\nX-API-Key: s3cret-key\r\nX-Api-Secret: s3cret-match\r\n" +
		"X-User-ID: s3cret-id\r\nProxy-Authorization: Basic s3cret-proxy\r\nReferer: http://x/?s3cret-referer\r\n"
	for _, path := range []string{"/v2/models/iris/infer", "/gone", "/gone", "/gone", "/wrong", "/keyed", "/nowhere"} {
		throw(t, r.data, "POST "+path+"?key=s3cret-query HTTP/1.1\r\n"+fields+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
		throw(t, r.data, "POST http://x"+path+"?key=s3cret-query HTTP/1.0\r\n"+fields+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
		throw(t, r.data, "POST "+path+"?key=s3cret-query HTTP/1.1\r\n"+fields+"Bad Field s3cret-line\r\n\r\n")
		throw(t, r.data, "POST "+path+"?key=s3cret-query HTTP/1.1\r\n"+fields+"Transfer-Encoding: chunked\r\n\r\ns3cret-chunk\r\n")
		throw(t, r.data, "POST "+path+"?key=s3cret-query HTTP/9.1\r\n"+fields+"\r\n")
	}
	for range 4 {
		throw(t, r.data, "GET /keyed?s3cret-query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+key+"\r\n\r\n")
	}
	throw(t, r.admin, "PUT /api/v1/routes/iris/split?s3cret-query HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer s3cret-guess\r\nContent-Length: 2\r\n\r\n{}")
	throw(t, r.admin, "PUT /api/v1/routes/iris/split HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer s3cret-token\r\nContent-Length: 7\r\n\r\n{\"a\":2}")
	throw(t, r.admin, "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example/?s3cret-origin\r\n\r\n")

	await(t, "the spans", func() error {
		if !strings.Contains(spans.String(), "keyed") {
			return fmt.Errorf("%d bytes came", len(spans.String()))
		}
		return nil
	})
	found := map[string]string{}
	for _, page := range []string{"/", "/metrics", "/api/v1/status", "/api/v1/routes", "/api/v1/config", "/api/v1/revisions", "/api/v1/overrides"} {
		_, found[page] = r.call(http.MethodGet, page, "")
	}
	r.end()
	lines, err := os.ReadFile(access)
	must(t, err)
	predictions, err := os.ReadFile(noted)
	must(t, err)
	overrides, err := os.ReadFile(filepath.Join(filepath.Dir(r.file), "state", "overrides.json"))
	must(t, err)
	found["the log"], found["the access log"], found["the spans"], found["the state"] = r.said(), string(lines), spans.String(), string(overrides)
	if found["the journal"] = string(predictions); !strings.Contains(found["the journal"], `{"inputs":"[redacted]","user":"[redacted]"}`) {
		t.Errorf("no request is in the journal: %s", predictions)
	}
	for what, text := range found {
		if text == "" {
			t.Errorf("%s is empty", what)
		}
		for _, secret := range []string{"s3cret", key, strings.Split(entry, `"`)[1]} {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s tells a secret: %q", what, text[max(0, at-60):min(len(text), at+60)])
			}
		}
	}
}
