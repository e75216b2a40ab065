package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// office issues certificates into a folder.
type office struct {
	t         *testing.T
	folder    string
	authority *modeltest.Authority
}

func newOffice(t *testing.T) *office {
	t.Helper()
	authority, err := modeltest.NewAuthority()
	must(t, err)
	o := &office{t, t.TempDir(), authority}
	must(t, os.WriteFile(o.ca(), authority.PEM, 0o600))
	return o
}

func (o *office) ca() string { return filepath.Join(o.folder, "ca.pem") }

// issue writes a certificate for hosts; section is the two keys of the config that name its files.
func (o *office) issue(name string, until time.Time, hosts ...string) (pair tls.Certificate, section string) {
	o.t.Helper()
	c, err := o.authority.Issue(until, hosts...)
	must(o.t, err)
	certFile, keyFile, err := c.Write(o.folder, name)
	must(o.t, err)
	pair, err = c.Pair()
	must(o.t, err)
	return pair, fmt.Sprintf("cert_file: %q, key_file: %q", certFile, keyFile)
}

// modelServer is a model server that shows a certificate.
func (o *office) modelServer(until time.Time, asks bool, hosts ...string) *modeltest.Server {
	o.t.Helper()
	pair, _ := o.issue("model", until, hosts...)
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if asks {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, o.authority.Pool()
	}
	return serve(o.t, modeltest.Options{TLS: c})
}

// secureRoute is a config of one pool with https endpoints; more are further keys of it.
func secureRoute(more string, servers ...*modeltest.Server) string {
	urls := make([]string, len(servers))
	for i, s := range servers {
		urls[i] = fmt.Sprintf("%q", s.URL)
	}
	return fmt.Sprintf("pools:\n  a: {endpoints: [%s], connect_timeout: 10s, %s}\nroutes:\n  r: {match: {path: /}, split: {a: 1}}\n",
		strings.Join(urls, ", "), more)
}

const irisBody = `{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}`

// TestSecureEndpoints has requests, probes and copies go to model servers that speak TLS.
func TestSecureEndpoints(t *testing.T) {
	o := newOffice(t)
	hour := time.Now().Add(time.Hour)
	s, shadow := o.modelServer(hour, false, "127.0.0.1"), o.modelServer(hour, true, "models.example.org")
	_, us := o.issue("us", hour, "us")
	config := fmt.Sprintf(`pools:
  a: {endpoints: [%q], connect_timeout: 10s, tls: {ca_file: %q}, health_check: {path: /v2/health/ready, interval: 100ms, timeout: 90ms}}
  b: {endpoints: [%q], connect_timeout: 10s, tls: {ca_file: %q, server_name: models.example.org, %s}}
routes:
  r: {match: {path: /}, split: {a: 1}, shadow: {b: {sample: 100%%, timeout: 10s}}}
`, s.URL, o.ca(), shadow.URL, o.ca(), us)
	r := start(t, config)
	for range 3 {
		if status, text := call(t, http.MethodPost, "http://"+r.data+"/v2/models/iris/infer", irisBody); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
	}
	await(t, "probes over TLS", func() error {
		_, metrics := r.call(http.MethodGet, "/metrics", "")
		for _, line := range []string{
			fmt.Sprintf("mlproxy_endpoint_healthy{endpoint=%q,pool=\"a\"} 1", s.URL),
			`mlproxy_shadow_compared_total{pool="b",result="agree",route="r"} 3`,
			`mlproxy_certificate_expiry_timestamp_seconds{use="pools.b.tls"} `,
			`mlproxy_certificate_reload_successful{use="pools.a.tls"} 1`,
		} {
			if !strings.Contains(metrics, line) {
				return fmt.Errorf("no %s in\n%s", line, metrics)
			}
		}
		return nil
	})
}

// TestSecureEndpointsThatAreNotBelieved says to clients and in the log which check failed, and that the endpoint failed.
func TestSecureEndpointsThatAreNotBelieved(t *testing.T) {
	o := newOffice(t)
	hour := time.Now().Add(time.Hour)
	ca := fmt.Sprintf("ca_file: %q", o.ca())
	f := func(s *modeltest.Server, section, want string) {
		t.Helper()
		r := start(t, secureRoute("breaker: {consecutive_failures: 2}, tls: {"+section+"}", s))
		for range 2 {
			status, text := call(t, http.MethodGet, "http://"+r.data+"/v2", "")
			if status != http.StatusBadGateway || !strings.Contains(text, `"reason":"upstream_connect"`) || !strings.Contains(text, want) {
				t.Errorf("%s: %d %s", want, status, text)
			}
		}
		r.awaitSaid("witness=breaker from=closed to=open")
		r.awaitSaid(want)
		if n := s.Stats().Begun; n != 0 {
			t.Errorf("%s: the model server got %d requests", want, n)
		}
	}
	f(o.modelServer(time.Now().Add(-time.Hour), false, "127.0.0.1"), ca, "its certificate has expired, or is not valid yet")
	f(o.modelServer(hour, false, "models.example.org"), ca, "its certificate is made out to another name")
	f(o.modelServer(hour, false, "127.0.0.1"), "", "its certificate is of an unknown authority")
	f(o.modelServer(hour, true, "127.0.0.1"), ca, "it does not accept our certificate")
	plain := serve(t, modeltest.Options{})
	plain.URL = strings.Replace(plain.URL, "http:", "https:", 1)
	f(plain, ca, "it does not speak TLS")
}

// TestAuthoritiesChange has the model server get a certificate of a new authority, and mlproxy learn of it from the file alone.
func TestAuthoritiesChange(t *testing.T) {
	o, now := newOffice(t), newOffice(t)
	s := now.modelServer(time.Now().Add(time.Hour), false, "127.0.0.1")
	r := start(t, secureRoute(fmt.Sprintf("breaker: {consecutive_failures: 0, failure_ratio: 0%%}, tls: {ca_file: %q}", o.ca()), s))
	if status, text := call(t, http.MethodGet, "http://"+r.data+"/v2", ""); status != http.StatusBadGateway {
		t.Fatalf("%d %s", status, text)
	}
	must(t, os.WriteFile(o.ca(), []byte("nothing"), 0o600))
	r.awaitSaid("certificate files cannot be used, keeping what was read before")
	must(t, os.WriteFile(o.ca(), now.authority.PEM, 0o600))
	await(t, "the new authority is believed", func() error {
		status, text := call(t, http.MethodGet, "http://"+r.data+"/v2", "")
		return equal("the status of "+text, status, http.StatusOK)
	})
}

// front is the config of a data listener with TLS; section are the keys of tls.
func front(section, url string) string {
	return fmt.Sprintf("tls: {%s}\nlimits: {read_header_timeout: 2s}\n%s", section, simply(url))
}

// browser is a client that believes the office's authority.
func (o *office) browser(shows ...tls.Certificate) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: o.authority.Pool(), Certificates: shows}}
	o.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// body is the text of an answer that must come.
func (o *office) body(c *http.Client, url string, status int) string {
	o.t.Helper()
	answer, err := c.Get(url)
	must(o.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(o.t, err)
	must(o.t, equal("the status of "+string(text), answer.StatusCode, status))
	return string(text)
}

// TestSecureListener serves over TLS what it serves in clear, and counts who cannot be served.
func TestSecureListener(t *testing.T) {
	o := newOffice(t)
	_, section := o.issue("front", time.Now().Add(time.Hour), "127.0.0.1")
	proto := make(chan string, 100)
	model := serve(t, modeltest.Options{OnRequest: func(r *http.Request) { proto <- r.Header.Get("X-Forwarded-Proto") }})
	r := start(t, front(section, model.URL))
	browser := o.browser()
	for range 3 {
		o.body(browser, "https://"+r.data+"/v2", http.StatusOK)
		must(t, equal("X-Forwarded-Proto", <-proto, "https"))
	}
	rejected := func(reason string, n int) {
		t.Helper()
		r.awaitSum(n, "mlproxy_connections_rejected_total", "reason="+reason)
	}
	dial := func(c *tls.Config) error {
		c.RootCAs, c.ServerName = o.authority.Pool(), "127.0.0.1"
		conn, err := tls.Dial("tcp", r.data, c)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	fails := func(reason, want string, c *tls.Config) {
		t.Helper()
		if err := dial(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", reason, err, want)
		}
		rejected(reason, 1)
	}
	fails("tls_protocol", "no application protocol", &tls.Config{NextProtos: []string{"h2"}})
	fails("tls_version", "protocol version not supported", &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	must(t, dial(&tls.Config{NextProtos: []string{"h2", "http/1.1"}, MaxVersion: tls.VersionTLS12}))
	if _, err := http.Get("https://" + r.data); err == nil {
		t.Error("the system believes a test's authority")
	}
	rejected("tls_refused", 1)

	answer, err := http.Get("http://" + r.data + "/v2")
	must(t, err)
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "this port speaks TLS; use https://") {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
	rejected("tls_clear_text", 1)

	silent, err := net.Dial("tcp", r.data)
	must(t, err)
	defer silent.Close()
	o.body(browser, "https://"+r.data+"/v2", http.StatusOK) // nobody waits for the silent one
	rejected("tls_timeout", 1)
	_ = silent.SetReadDeadline(time.Now().Add(patience))
	if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a client that says nothing is told %v", err)
	}
	left, err := net.Dial("tcp", r.data)
	must(t, err)
	_ = left.Close()
	rejected("tls_closed", 1)
	r.awaitSaid("TLS handshake failed")
	r.awaitSum(1, "mlproxy_connections") // the browser's
}

// TestClientCertificates lets in only whom the authorities vouch for.
func TestClientCertificates(t *testing.T) {
	o, other := newOffice(t), newOffice(t)
	hour := time.Now().Add(time.Hour)
	_, section := o.issue("front", hour, "127.0.0.1")
	known, _ := o.issue("known", hour, "client")
	unknown, _ := other.issue("unknown", hour, "client")
	past, _ := o.issue("past", time.Now().Add(-time.Hour), "client")
	model := serve(t, modeltest.Options{})
	r := start(t, front(section+fmt.Sprintf(", client_ca_file: %q", o.ca()), model.URL))
	o.body(o.browser(known), "https://"+r.data+"/v2", http.StatusOK)
	for i, shows := range [][]tls.Certificate{nil, {unknown}, {past}} {
		c := o.browser()
		c.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if shows == nil {
				return &tls.Certificate{}, nil
			}
			return &shows[0], nil
		}
		if answer, err := c.Get("https://" + r.data + "/v2"); err == nil {
			_ = answer.Body.Close()
			t.Errorf("client %d is let in", i)
		}
		r.awaitSum(i+1, "mlproxy_connections_rejected_total", "reason=tls_client_certificate")
	}
	must(t, equal("requests at the model server", model.Stats().Begun, 1))
}

// TestCertificateChanges has a new certificate shown as soon as it is there, while the connections there are stay.
func TestCertificateChanges(t *testing.T) {
	o := newOffice(t)
	first, second := time.Now().Add(time.Hour).Truncate(time.Second), time.Now().Add(2*time.Hour).Truncate(time.Second)
	_, section := o.issue("front", first, "127.0.0.1")
	model := serve(t, modeltest.Options{})
	r := start(t, front(section, model.URL))
	kept, fresh := o.browser(), o.browser()
	fresh.Transport.(*http.Transport).DisableKeepAlives = true
	shown := func(c *http.Client) time.Time {
		t.Helper()
		answer, err := c.Get("https://" + r.data + "/v2")
		must(t, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		return answer.TLS.PeerCertificates[0].NotAfter
	}
	must(t, equal("the first certificate", shown(kept).Unix(), first.Unix()))
	o.issue("front", second, "127.0.0.1")
	await(t, "the second certificate", func() error { return equal("the end", shown(fresh).Unix(), second.Unix()) })
	must(t, equal("on a connection that stays", shown(kept).Unix(), first.Unix()))
	r.awaitSum(int(second.Unix()), "mlproxy_certificate_expiry_timestamp_seconds", "use=tls")

	must(t, os.WriteFile(filepath.Join(o.folder, "front.key"), []byte("not a key"), 0o600))
	r.awaitSum(0, "mlproxy_certificate_reload_successful", "use=tls")
	r.awaitSaid("certificate files cannot be used, keeping what was read before")
	must(t, equal("the certificate", shown(fresh).Unix(), second.Unix()))
	if status, text := r.reload(); status != http.StatusUnprocessableEntity || !strings.Contains(text, "tls: ") {
		t.Errorf("a reload with a broken key: %d %s", status, text)
	}
	must(t, equal("the certificate", shown(fresh).Unix(), second.Unix()))

	r.rewrite(simply(model.URL)) // TLS off
	if status, text := r.reload(); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	if status, text := call(t, http.MethodGet, "http://"+r.data+"/v2", ""); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	must(t, equal("on a connection that stays", shown(kept).Unix(), first.Unix()))
}

// TestStreamsOverTLS holds on both sides what holds in clear: events one by one, and the client's departure.
func TestStreamsOverTLS(t *testing.T) {
	o := newOffice(t)
	hour := time.Now().Add(time.Hour)
	_, section := o.issue("front", hour, "127.0.0.1")
	pair, _ := o.issue("model", hour, "127.0.0.1")
	model := serve(t, modeltest.Options{TokenGap: time.Hour, TLS: &tls.Config{Certificates: []tls.Certificate{pair}}})
	r := start(t, fmt.Sprintf("tls: {%s}\n%s", section, secureRoute(fmt.Sprintf("tls: {ca_file: %q}", o.ca()), model)))
	const chat = `{"model": "markov", "stream": true, "messages": [{"role": "user", "content": "tell me"}]}`
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+r.data+"/v1/chat/completions", strings.NewReader(chat))
	must(t, err)
	request.Header.Set("X-Modeltest", "gap=1ms,hang=body")
	answer, err := o.browser().Do(request)
	must(t, err)
	defer answer.Body.Close()
	for in, n := bufio.NewReader(answer.Body), 0; n < 2; n++ {
		_, err := nextEvent(in)
		must(t, err)
	}
	leave()
	within, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, model.Await(within, func(s modeltest.Stats) bool { return s.Aborted == 1 && s.Running() == 0 }))
	r.awaitSum(1, "mlproxy_requests_total", "pool=a", "code=499")

	size := int64(64 << 20)
	sunk, err := o.browser().Post("https://"+r.data+"/modeltest/sink", "application/octet-stream", io.LimitReader(zeros{}, size))
	must(t, err)
	defer sunk.Body.Close()
	text, err := io.ReadAll(sunk.Body)
	must(t, err)
	must(t, equal("what the model server got", strings.TrimSpace(string(text)), fmt.Sprintf(`{"bytes":%d}`, size)))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestHTTP2InClear tells a client with prior knowledge of HTTP/2 that it is not spoken.
func TestHTTP2InClear(t *testing.T) {
	r := start(t, simply(dead(t)))
	conn, err := net.Dial("tcp", r.data)
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	must(t, err)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(conn)
	must(t, err)
	if !strings.HasPrefix(string(text), "HTTP/1.1 505 ") || !strings.Contains(string(text), "HTTP/1.1 only") {
		t.Errorf("%s", text)
	}
}

// TestSecureAdminListener is steered over TLS by the command line, and by nobody that its authorities do not vouch for.
func TestSecureAdminListener(t *testing.T) {
	o := newOffice(t)
	hour := time.Now().Add(time.Hour)
	_, section := o.issue("admin", hour, "127.0.0.1")
	us, _ := o.issue("us", hour, "us")
	r := start(t, simply(dead(t)))
	plain := strings.Replace(preamble, `"127.0.0.1:0"}`, `"127.0.0.1:0", tls: {`+section+fmt.Sprintf(", client_ca_file: %q}}", o.ca()), 1)
	must(t, os.WriteFile(r.file+".new", []byte(plain+simply(dead(t))), 0o600))
	must(t, os.Rename(r.file+".new", r.file))
	if status, text := r.reload(); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	f := func(code int, want string, args ...string) {
		t.Helper()
		out, err := exec.Command(swift, append([]string{"status"}, args...)...).CombinedOutput()
		if failed := new(exec.ExitError); errors.As(err, &failed) && failed.ExitCode() != code || err == nil && code != 0 || !strings.Contains(string(out), want) {
			t.Errorf("mlproxy status %s: %v, want exit code %d and %q\n%s", strings.Join(args, " "), err, code, want, out)
		}
	}
	address := "https://" + r.admin
	cert, key := filepath.Join(o.folder, "us.pem"), filepath.Join(o.folder, "us.key")
	f(0, "revision 2", "--admin", address, "--ca-file", o.ca(), "--cert-file", cert, "--key-file", key)
	f(4, "--ca-file", "--admin", address, "--cert-file", cert, "--key-file", key)
	f(4, "--cert-file and --key-file", "--admin", address, "--ca-file", o.ca())
	f(4, "use https://", "--admin", "http://"+r.admin)
	f(4, "use http://", "--admin", "https://"+r.data, "--ca-file", o.ca())
	f(2, "name both", "--admin", address, "--ca-file", o.ca(), "--cert-file", cert)
	f(2, "holds no certificate", "--admin", address, "--ca-file", key)
	f(2, "private key does not match", "--admin", address, "--cert-file", cert, "--key-file", filepath.Join(o.folder, "admin.key"))
	if text := o.body(o.browser(us), address+"/metrics", http.StatusOK); !strings.Contains(text, `mlproxy_certificate_reload_successful{use="admin.tls"} 1`) {
		t.Error(text)
	}
}
