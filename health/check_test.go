package health

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// modelServer serves over a real socket until the test ends.
func modelServer(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// refusing is an address at which nobody listens.
func refusing(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "http://" + ln.Addr().String()
}

// found asks once, and gives what was wrong; "" = nothing.
func found(t testing.TB, c Check, endpoint string) string {
	t.Helper()
	client := newClient()
	if err := c.withDefaults().ask(t.Context(), client, endpoint); err != nil {
		return err.Error()
	}
	return ""
}

const ample = time.Minute // a timeout that no test waits for

func TestProbe(t *testing.T) {
	f := func(c Check, h http.HandlerFunc, want string) {
		t.Helper()
		c.Timeout = ample
		if got := found(t, c, modelServer(t, h)); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
	says := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = io.WriteString(w, body) }
	}
	breaks := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, body)
			panic(http.ErrAbortHandler)
		}
	}
	ok := map[string]string{"ok": "true"}
	f(Check{}, says(200, ""), "")
	f(Check{}, says(204, ""), "status 204, not 200")
	f(Check{Status: []int{200, 204}}, says(204, ""), "")
	f(Check{Status: []int{200, 204}}, says(503, ""), "status 503, not 200 or 204")
	f(Check{Expect: ok}, says(200, `{"ok": true}`), "")
	f(Check{Expect: ok}, says(200, `{"ok": false}`), `ok is "false", not "true"`)
	f(Check{Expect: ok}, says(500, `{"ok": true}`), "status 500, not 200")
	f(Check{Expect: ok}, says(200, `{"ok": true}`+strings.Repeat(" ", mostRead)),
		"the answer is longer than the 64 KiB that are read; ask something with a shorter answer")
	f(Check{}, says(200, strings.Repeat(" ", 10*mostRead)), "")
	f(Check{}, breaks(""), "the connection ended before the answer did")
	f(Check{}, breaks(strings.Repeat(" ", 8<<10)), "status 200, then the connection ended before the answer did")
}

// What is sent is what was asked for, and nothing else.
func TestProbeAsks(t *testing.T) {
	f := func(c Check, want string) {
		t.Helper()
		var got string
		c.Timeout = ample
		endpoint := modelServer(t, func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			host := strings.ReplaceAll(r.Host, r.Context().Value(http.LocalAddrContextKey).(net.Addr).String(), "own")
			got = fmt.Sprintf("%s %s %s %q %s %s", r.Method, r.RequestURI, host, body, r.Header["Content-Type"], r.UserAgent())
			if !r.Close || r.Header.Get("Accept-Encoding") != "" {
				got += " and more"
			}
		})
		if fault := found(t, c, endpoint); fault != "" || got != want {
			t.Errorf("%s: %q; want %q", fault, got, want)
		}
	}
	f(Check{Path: "/v2/health/ready"}, `GET /v2/health/ready own "" [] mlproxy-health`)
	f(Check{Path: "/a?b=c%20d", Method: "HEAD"}, `HEAD /a?b=c%20d own "" [] mlproxy-health`)
	f(Check{Path: "/", Host: "models.example.org"}, `GET / models.example.org "" [] mlproxy-health`)
	f(Check{Path: "/infer", Body: []byte(`{"x": 1}`), ContentType: "application/json"}, `POST /infer own "{\"x\": 1}" [application/json] mlproxy-health`)
	f(Check{Path: "/infer", Method: "PUT", Body: []byte("x")}, `PUT /infer own "x" [] mlproxy-health`)
}

func TestProbeFollowsNobody(t *testing.T) {
	elsewhere := modelServer(t, func(http.ResponseWriter, *http.Request) { t.Error("the probe went astray") })
	redirects := modelServer(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) })
	t.Setenv("HTTP_PROXY", elsewhere)
	t.Setenv("http_proxy", elsewhere)
	if got := found(t, Check{Timeout: ample}, redirects); got != "status 302, not 200" {
		t.Error(got)
	}
}

func TestProbeOfNobody(t *testing.T) {
	if got := found(t, Check{Timeout: ample}, refusing(t)); got != "connection refused" {
		t.Error(got)
	}
	if got := found(t, Check{Timeout: ample, Path: "/%zz"}, refusing(t)); !strings.Contains(got, "invalid URL escape") {
		t.Error(got)
	}
}

// A model server that is frozen takes the connection, for the kernel does; it costs the probe its timeout and no more.
func TestProbeOfTheFrozen(t *testing.T) {
	f := func(endpoint string) {
		t.Helper()
		if got := found(t, Check{Timeout: 20 * time.Millisecond}, endpoint); got != "no answer within 20ms" {
			t.Error(got)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f("http://" + ln.Addr().String())
	stop := make(chan struct{})
	defer close(stop)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		<-stop
	}))
	defer slow.Config.Close()
	if got := found(t, Check{Timeout: 20 * time.Millisecond}, slow.URL); !strings.HasSuffix(got, "no answer within 20ms") {
		t.Error(got)
	}
}

func TestProbeBrokenOffSaysSo(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := (Check{}).withDefaults().ask(ctx, newClient(), refusing(t)); err != context.Canceled {
		t.Error(err)
	}
}

func TestCheckDefaults(t *testing.T) {
	c := Check{}.withDefaults()
	if got := fmt.Sprint(c.Interval, c.Timeout, c.Rise, c.Fall, c.Status, c); got != "2s 500ms 2 3 [200] GET " {
		t.Error(got)
	}
}
