package journal

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"mlproxy/monitor"
)

var update = flag.Bool("update", false, "write what comes out as what is wanted")

var known = identity{
	parent: parent{trace: [16]byte{0x0a, 15: 1}, span: [8]byte{0x0b, 7: 2}},
	server: [8]byte{0x0c, 7: 3}, client: [8]byte{0x0d, 7: 4},
}

func sent() *monitor.Record {
	r := record()
	r.SentAt = r.At.Add(20 * time.Microsecond)
	return r
}

// testdata/otlp.json is a whole export: a traced exchange, one that failed over and back with no parent, and one that never went anywhere.
func TestExportIsOTLP(t *testing.T) {
	broken := sent()
	broken.Seen.Status, broken.Seen.Reason, broken.Seen.Upstream = 504, monitor.UpstreamTimeout, 0
	broken.Tries, broken.FailedOverFrom = 3, "iris-canary"
	broken.Endpoint = "http://[::1]:9001"
	begun := known
	begun.span = [8]byte{}
	nowhere := &monitor.Record{
		At: broken.At, Client: []byte("192.0.2.7"), Method: []byte("BREW"), Host: []byte("h"), Path: []byte("/\"\x1b\xff" + strings.Repeat("x", 3000)),
		Seen: &monitor.Observation{Status: 404, Reason: monitor.NoRoute, Duration: time.Millisecond},
	}
	b, n := appendSpans(nil, sent(), &known)
	b, m := appendSpans(append(b, ','), broken, &begun)
	b, l := appendSpans(append(b, ','), nowhere, &begun)
	if n != 2 || m != 2 || l != 1 {
		t.Errorf("%d, %d and %d spans, want 2, 2 and 1", n, m, l)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, appendBatch(nil, "v1.2.3", b), "", "  "); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	got.WriteByte('\n')
	const file = "testdata/otlp.json"
	if *update {
		_ = os.MkdirAll("testdata", 0o755)
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%v; if this is right, run with -update; got\n%s", err, &got)
	}
}

func TestErrors(t *testing.T) {
	f := func(status int, reason monitor.Reason, what string, bad bool) {
		t.Helper()
		o := &monitor.Observation{Status: status, Reason: reason}
		if got := errorType(o); got != what || failed(o) != bad {
			t.Errorf("%d %v: %q, failed %v; want %q, %v", status, reason, got, failed(o), what, bad)
		}
	}
	f(200, monitor.None, "", false)
	f(404, monitor.None, "", false)
	f(404, monitor.NoRoute, "no_route", false)
	f(499, monitor.ClientGone, "client_gone", false)
	f(200, monitor.ClientGone, "client_gone", false)
	f(200, monitor.UpstreamReset, "upstream_reset", true)
	f(500, monitor.None, "500", true)
	f(503, monitor.Overloaded, "overloaded", true)
}

func TestAuthority(t *testing.T) {
	f := func(url, host, port string) {
		t.Helper()
		if h, p := authority(url); h != host || p != port {
			t.Errorf("%s: %q %q, want %q %q", url, h, p, host, port)
		}
	}
	f("http://127.0.0.1:9001", "127.0.0.1", "9001")
	f("http://model:80/base", "model", "80")
	f("http://model", "model", "")
	f("http://[::1]:9001", "::1", "9001")
	f("http://[::1]", "::1", "")
	f("", "", "")
}

func TestReadParent(t *testing.T) {
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	f := func(s string, ok, sampled bool) {
		t.Helper()
		p, got := readParent([]byte(s))
		if got != ok || p.sampled != sampled || ok && (p.trace[0] != 0x0a || p.span[7] != 0x31) || !ok && p != (parent{}) {
			t.Errorf("%q: %+v, %v; want %v, sampled %v", s, p, got, ok, sampled)
		}
	}
	f("00-"+trace+"-"+span+"-01", true, true)
	f("00-"+trace+"-"+span+"-00", true, false)
	f("00-"+trace+"-"+span+"-fe", true, false)
	f("00-"+trace+"-"+span+"-ff", true, true)
	f("cc-"+trace+"-"+span+"-01", true, true)
	f("cc-"+trace+"-"+span+"-01-more", true, true)
	f("cc-"+trace+"-"+span+"-01.more", false, false)
	f("00-"+trace+"-"+span+"-01-more", false, false)
	f("ff-"+trace+"-"+span+"-01", false, false)
	f("00-"+strings.ToUpper(trace)+"-"+span+"-01", false, false)
	f("00-"+trace+"-"+span+"-0g", false, false)
	f("00-"+trace+"-"+span+"-1", false, false)
	f("00_"+trace+"-"+span+"-01", false, false)
	f("00-"+strings.Repeat("0", 32)+"-"+span+"-01", false, false)
	f("00-"+trace+"-"+strings.Repeat("0", 16)+"-01", false, false)
	f("", false, false)
}

func FuzzReadParent(f *testing.F) {
	f.Add([]byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	f.Add([]byte("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"))
	f.Fuzz(func(t *testing.T, s []byte) {
		r := sent()
		r.Traceparent, r.Path, r.Method = s, s, s
		id := newIdentity(s)
		b, _ := appendSpans(nil, r, &id)
		if b = appendBatch(nil, string(s), b); !json.Valid(b) {
			t.Errorf("not JSON: %s", b)
		}
	})
}
