package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// Nothing of the admin listener can be had where clients connect, whatever they call it.
func TestDataListenerShowsNoAdmin(t *testing.T) {
	model := serve(t, modeltest.Options{})
	r := start(t, fmt.Sprintf("pools: {a: {endpoints: [%q]}}\nroutes: {iris: {match: {path: /v2/}, split: {a: 1}}}\n", model.URL))
	for _, path := range []string{
		"/", "/metrics", "/-/healthy", "/-/ready", "/-/reload", "/api/v1/status", "/api/v1/config", "/debug/pprof/", "/debug/pprof/heap",
		"/v2/../metrics", "//metrics", "/%2e%2e/metrics", "http://localhost/metrics", "http://" + r.admin + "/metrics",
	} {
		for _, host := range []string{"localhost", r.admin, "x"} {
			status, head := throw(t, r.data, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
			if reason := head.Get("X-MLProxy-Error"); reason != "no_route" && reason != "bad_request" && head.Get("X-MLProxy-Pool") == "" {
				t.Errorf("%s of %s: %d %q", path, host, status, reason)
			}
		}
	}
}

// Who may ask what of the admin listener: a rebound name nothing, a foreign page nothing and without being told otherwise by CORS, who
// has no token nothing that changes or costs, and who guesses tokens soon nothing at all.
func TestAdminIsGuarded(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(token, []byte("right\n"), 0o600))
	r := start(t, simply(serve(t, modeltest.Options{}).URL))
	r.wantToken(token)
	f := func(status int, line string, fields ...string) http.Header {
		t.Helper()
		if !strings.Contains(strings.Join(fields, "\n"), "Host: ") {
			fields = append([]string{"Host: " + r.admin}, fields...)
		}
		got, head := throw(t, r.admin, line+" HTTP/1.1\r\n"+strings.Join(fields, "\r\n")+"\r\n\r\n")
		must(t, equal(fmt.Sprintf("%s %q", line, fields), got, status))
		for name := range head {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s %q: %s: %s", line, fields, name, head.Get(name))
			}
		}
		return head
	}
	f(200, "GET /api/v1/status")
	f(200, "GET /metrics", "Host: localhost:1")
	f(403, "GET /metrics", "Host: rebound.example")
	f(403, "GET /api/v1/status", "Host: 169.254.169.254")
	f(400, "GET /api/v1/status", "Host: a", "Host: localhost")
	f(403, "GET /api/v1/status", "Origin: http://evil.example")
	f(403, "GET /api/v1/status", "Origin: null")
	f(403, "OPTIONS /api/v1/routes/all/split", "Origin: http://evil.example", "Access-Control-Request-Method: PUT")
	f(200, "GET /api/v1/status", "Origin: http://"+r.admin)
	f(401, "GET /debug/pprof/profile?seconds=30")
	f(401, "GET /debug/pprof/trace")
	f(401, "POST /-/reload")
	f(401, "PUT /api/v1/routes/all/split")
	f(401, "DELETE /api/v1/routes/all/override")
	f(401, "POST /-/reload", "Authorization: Bearer wrong")
	f(200, "POST /-/reload", "Authorization: Bearer right")
	f(413, "PUT /api/v1/routes/all/split", "Authorization: Bearer right", "Transfer-Encoding: chunked", "", "200000", strings.Repeat("x", 2<<20))
	f(400, "PUT /api/v1/routes/all/split", "Authorization: Bearer right", "X-Reason: a\x00b")
	f(400, "POST /api/v1/routes/all/rollback", "Authorization: Bearer right", "X-Reason: \u009b2J")
	f(431, "GET /api/v1/status", "X-Long: "+strings.Repeat("x", 64<<10))
	for range 99 {
		f(401, "POST /-/reload", "Authorization: Bearer guess")
	}
	if f(429, "POST /-/reload", "Authorization: Bearer right").Get("Retry-After") == "" {
		t.Error("it is not said when to come again")
	}
	f(200, "GET /metrics")
	for _, part := range []string{
		`msg="config unchanged, keeping revision"`, "author=127.0.0.1 reason=reload audit=true",
		`msg="admin request refused" method=POST path=/-/reload author=127.0.0.1`, "status=401", "status=403", "status=429", "status=413",
	} {
		if !strings.Contains(r.said(), part) {
			t.Errorf("%s is not in the log:\n%s", part, r.said())
		}
	}
}

// Clients that never finish what they ask are sent away, and others are served meanwhile.
func TestSlowAdminClients(t *testing.T) {
	r := start(t, simply(serve(t, modeltest.Options{}).URL))
	began := time.Now()
	var slow []net.Conn
	for range 200 {
		c, err := net.Dial("tcp", r.admin)
		must(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
		must(t, err)
		slow = append(slow, c)
	}
	status, _ := r.call(http.MethodGet, "/-/ready", "")
	must(t, equal("the status beside slow clients", status, http.StatusOK))
	for _, c := range slow {
		must(t, c.SetDeadline(time.Now().Add(patience)))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("a slow client is still heard")
		}
	}
	if took := time.Since(began); took > 4*patience/5 {
		t.Errorf("slow clients are sent away after %v", took)
	}
}
