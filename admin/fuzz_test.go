package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mlproxy/config"
)

// A body is taken only if the standard library takes it too, and reads the same in it; what is refused is refused with a reason.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"stable": 90, "canary": 10}`, `{"active": "green"}`, `{"a": 1, "a": 2}`, `{"a": [1]}`, `{"a": {}}`, `{} {}`, `{"a": 1e400}`, `{"a": -0}`, `{"a": null}`,
		`{"\u0061": 1, "a": 2}`, `[`, `{"a"`, "", `{"a": true,}`, "{\"\xff\": \"\xfe\"}", `{"active": "green", "x": 1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		got, err := object(src)
		var theirs map[string]any
		d := json.NewDecoder(bytes.NewReader(src))
		d.UseNumber()
		if theirsErr := d.Decode(&theirs); err == nil && (theirsErr != nil || !reflect.DeepEqual(got, theirs)) {
			t.Fatalf("%q: %v; the library reads %v, %v", src, got, theirs, theirsErr)
		}
		split, err := readSplit(httptest.NewRequest("PUT", "/", bytes.NewReader(src)))
		refusedWell(t, err)
		if err == nil && len(split) != len(theirs) {
			t.Fatalf("%q: %v", src, split)
		}
		active, err := readActive(httptest.NewRequest("PUT", "/", bytes.NewReader(src)))
		refusedWell(t, err)
		if err == nil && active != theirs["active"] {
			t.Fatalf("%q: %q", src, active)
		}
	})
}

// refusedWell holds that what is wrong with a request is its sender's fault, and said.
func refusedWell(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if p, ok := errors.AsType[*Problem](err); ok && (p.Status < 400 || p.Status > 499 || p.Detail == "") {
		t.Fatalf("%+v", p)
	}
}

// What a change says of itself is within its bounds, or the change is refused.
func FuzzChange(f *testing.F) {
	f.Add("ttl=15m&force=true", "because", `"7"`)
	f.Add("ttl=-1s", " ", `W/"7"`)
	f.Add("ttl=1e9h&ttl=1s", "\xff", "*")
	f.Add("force=maybe&%zz;x", strings.Repeat("x", 501), `"1", "2"`)
	f.Fuzz(func(t *testing.T, query, reason, tag string) {
		r := httptest.NewRequest("PUT", "/", nil)
		r.URL.RawQuery = query
		r.Header["X-Reason"], r.Header["If-Match"] = []string{reason}, []string{tag}
		c, err := change(r, []string{"ttl", "force"})
		refusedWell(t, err)
		if err == nil && (c.TTL < 0 || c.If < 0 || len(c.Reason) > longestReason) {
			t.Fatalf("%q %q %q: %+v", query, reason, tag, c)
		}
	})
}

// A Host is ours only if the name in it is one of the few that are, as a browser reads it.
func FuzzHost(f *testing.F) {
	for _, s := range []string{
		"localhost:9090", "LOCALHOST.", "127.0.0.1", "[::1]:9090", "[::ffff:127.0.0.1]", "proxy.example", "evil.example", "127.0.0.1.evil.example", "localhost@evil",
		"[::1%25lo]", "", ":", "[", "0x7f000001", "127.1", "10.0.0.1:80", "10.0.0.10",
	} {
		f.Add(s)
	}
	admin := &config.Admin{Listen: "10.0.0.1:9090", AllowedHosts: []string{"proxy.example"}}
	f.Fuzz(func(t *testing.T, host string) {
		u, err := url.Parse("http://" + host)
		if err != nil || !ours(host, admin) {
			return
		}
		name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
		if ip, err := netip.ParseAddr(name); err == nil && ip.IsLoopback() {
			return
		}
		if !slices.Contains([]string{"", "localhost", "10.0.0.1", "proxy.example"}, name) {
			t.Errorf("%q is one of ours, and leads to %q", host, name)
		}
	})
}

// Whatever a proxy answers, its client survives it.
func FuzzProblem(f *testing.F) {
	f.Add(`{"status": 422, "reason": "invalid", "detail": "x", "faults": [{"at": "a", "what": "b", "remedy": "c"}]}`)
	f.Add(`{"status": 422, "reason": "invalid", "detail": "x", "faults": ["a: b; c", ""]}`)
	f.Add(`{"status": "x"}`)
	f.Add(`{"faults": [null, {}]}`)
	f.Fuzz(func(t *testing.T, src string) {
		p := new(Problem)
		if json.Unmarshal([]byte(src), p) == nil {
			_ = p.Error()
		}
	})
}
