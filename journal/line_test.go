package journal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"mlproxy/monitor"
)

func TestLine(t *testing.T) {
	f := func(r *monitor.Record, want string) {
		t.Helper()
		if got := string(appendLine(nil, r)); got != want+"\n" {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
	f(record(), `{"time":"2026-11-23T06:20:21.123456Z","request_id":"0193563c-9a1b-7cc2-8f2e-52a5b1a30e11","client":"192.0.2.7",`+
		`"method":"POST","host":"models.example.org","path":"/v2/models/iris/infer","protocol":"HTTP/1.1","user_agent":"curl/8.9.1",`+
		`"route":"iris","pool":"iris-stable","endpoint":"http://127.0.0.1:9001","api_key":"team-a","assigned_by":"key","failed_over_from":"","tries":1,`+
		`"status":200,"reason":"none","bytes_in":256,"bytes_out":512,`+
		`"duration_ms":2.345,"overhead_ms":0.031,"upstream_ms":2.200,"first_byte_ms":2.000}`)
	f(&monitor.Record{At: record().At, Seen: &monitor.Observation{Status: 400, Reason: monitor.BadRequest, Duration: -1}},
		`{"time":"2026-11-23T06:20:21.123456Z","request_id":"","client":"","method":"","host":"","path":"","protocol":"","user_agent":"",`+
			`"route":"","pool":"","endpoint":"","api_key":"","assigned_by":"","failed_over_from":"","tries":0,"status":400,"reason":"bad_request",`+
			`"bytes_in":0,"bytes_out":0,"duration_ms":0.000,"overhead_ms":0.000,"upstream_ms":null,"first_byte_ms":null}`)
}

// hostile are bytes that end lines, leave strings, or speak to terminals.
var hostile = []string{
	"a\r\n{\"status\":200}\n", `","status":200,"x":"`, `\`, `\u0022`, "\x00\x01\x1b[2J\x7f", "\u009b2J", "\u202eevil", "\u2028\u2029",
	"\xff\xfe\xc3", "𝛑 é", "\xed\xa0\x80", strings.Repeat("é", 5000), "\xf0\x9f\x98",
}

func TestHostileBytesStayInOneLine(t *testing.T) {
	for _, h := range hostile {
		checkHostile(t, h)
	}
}

func FuzzLine(f *testing.F) {
	for _, h := range hostile {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, h string) { checkHostile(t, h) })
}

// checkHostile puts h wherever a client or an operator could, and reads the line back.
func checkHostile(t *testing.T, h string) {
	t.Helper()
	r := record()
	r.Path = []byte(h)
	for _, text := range []*[]byte{&r.RequestID, &r.Client, &r.Method, &r.Host, &r.UserAgent} {
		*text = []byte(h)
	}
	for _, name := range []*string{&r.Protocol, &r.Route, &r.Pool, &r.Endpoint, &r.APIKey, &r.AssignedBy, &r.FailedOverFrom} {
		*name = h
	}
	line := appendLine(nil, r)
	if bytes.IndexByte(line, '\n') != len(line)-1 || bytes.ContainsFunc(line[:len(line)-1], func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		t.Errorf("%q: not one line of printable ASCII: %q", h, line)
	}
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%q: %v in %q", h, err, line)
	}
	for key, most := range map[string]int{
		"path": mostPath, "request_id": mostText, "client": mostText, "method": mostText, "host": mostText, "user_agent": mostText,
		"protocol": len(h), "route": len(h), "pool": len(h), "endpoint": len(h), "assigned_by": len(h), "failed_over_from": len(h),
	} {
		if want := readable(h, most); got[key] != want {
			t.Errorf("%q: %s is %q, want %q", h, key, got[key], want)
		}
	}
	if len(got) != 23 || got["status"] != 200.0 {
		t.Errorf("%q: %d fields, status %v", h, len(got), got["status"])
	}
}

// readable is what a reader of the line is to see of h.
func readable(h string, most int) string {
	if len(h) > most {
		h = h[:most] + "..."
	}
	return string([]rune(h)) // U+FFFD for each byte that is no UTF-8
}
