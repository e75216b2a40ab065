package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"mlproxy/router"
)

// accessLine is what the tests look at of a line of the access log.
type accessLine struct {
	ID         string  `json:"request_id"`
	Path       string  `json:"path"`
	Route      string  `json:"route"`
	Pool       string  `json:"pool"`
	Endpoint   string  `json:"endpoint"`
	AssignedBy string  `json:"assigned_by"`
	Status     int     `json:"status"`
	Reason     string  `json:"reason"`
	BytesOut   int     `json:"bytes_out"`
	Duration   float64 `json:"duration_ms"`
	Upstream   float64 `json:"upstream_ms"`
}

// comesTrue asks again and again until something holds, and fails the test when patience ends.
func (f *fleet) comesTrue(what string, holds func() bool) {
	f.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for end := time.After(patience); !holds(); {
		select {
		case <-again.C:
		case <-end:
			f.Fatal("it never came true that " + what)
		}
	}
}

// access waits until a file holds so many lines, and reads them.
func (f *fleet) access(file string, lines int) (got []accessLine) {
	f.Helper()
	var content []byte
	f.comesTrue(fmt.Sprintf("%s has %d lines", file, lines), func() bool {
		content, _ = os.ReadFile(filepath.Join(filepath.Dir(f.config), file))
		return bytes.Count(content, []byte("\n")) >= lines
	})
	for line := range bytes.Lines(content) {
		var l accessLine
		if err := json.Unmarshal(line, &l); err != nil {
			f.Fatalf("%v: %q", err, line)
		}
		got = append(got, l)
	}
	if len(got) != lines {
		f.Fatalf("%s has %d lines, want %d:\n%s", file, len(got), lines, content)
	}
	return got
}

func TestAccessLog(t *testing.T) {
	f := serve(t, nil, "log: {access: {sample: 100%, file: access.log}}")
	response, err := f.client.Get(f.data + "/iris?token=secret")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	f.access("access.log", 1) // a line is written after its answer
	f.answers("/nowhere", "404")
	lines := f.access("access.log", 2)
	l := lines[0]
	if l.ID != response.Header.Get("X-Request-ID") || l.Path != "/iris" || l.Route != "iris" || l.Pool != "stable" ||
		l.Endpoint != f.models["stable"].URL || l.AssignedBy != "rotation" || l.Status != 200 || l.Reason != "none" ||
		l.BytesOut != len("stable") || l.Duration <= 0 || l.Upstream <= 0 || l.Upstream > l.Duration {
		t.Errorf("got %+v", l)
	}
	if l := lines[1]; l.Status != 404 || l.Reason != "no_route" || l.Pool != "" || l.Path != "/nowhere" {
		t.Errorf("got %+v", l)
	}
}

// logrotate's way: the file is renamed, and a signal has it begun anew.
func TestAccessLogIsReopened(t *testing.T) {
	f := serve(t, nil, "log: {access: {sample: 100%, file: access.log}}")
	path := filepath.Join(filepath.Dir(f.config), "access.log")
	f.answers("/iris", "stable")
	f.access("access.log", 1)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	f.answers("/iris", "stable")
	f.access("access.log.old", 2)
	f.signal(syscall.SIGUSR1)
	f.logged("access log reopened", path)
	f.answers("/search", "blue")
	if got := f.access("access.log", 1); got[0].Route != "search" {
		t.Errorf("got %+v", got)
	}
	f.access("access.log.old", 2)
}

// Without a sample errors alone are logged; what waits to be written is written at the end.
func TestAccessLogOfErrors(t *testing.T) {
	f := serve(t, nil, "log: {access: {sample: 0%, file: errors.log}}")
	f.answers("/iris", "stable")
	f.answers("/nowhere", "404")
	f.models["blue"].Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(507) })
	f.answers("/search", "507")
	f.answers("/iris", "stable")
	f.signal(syscall.SIGTERM)
	if code := f.exit(); code != 0 {
		t.Errorf("exit %d", code)
	}
	got := f.access("errors.log", 2)
	if got[0].Reason != "no_route" || got[1].Status != 507 || got[1].Reason != "none" || got[1].Pool != "blue" {
		t.Errorf("got %+v", got)
	}
}

func TestAccessLogFollowsTheConfig(t *testing.T) {
	f := serve(t, nil)
	f.answers("/nowhere", "404") // is logged nowhere
	with := func(access string, want int) {
		t.Helper()
		f.write(routes, "log: {access: "+access+"}")
		if got := f.reload(); got != want {
			t.Fatalf("reload to %s: %d, want %d", access, got, want)
		}
	}
	with("{sample: 100%, file: a.log}", 200)
	f.answers("/iris", "stable")
	f.access("a.log", 1)
	with("{sample: 100%, file: b.log}", 200)
	f.answers("/iris", "stable")
	f.access("b.log", 1)
	with("{sample: 100%, file: nowhere/c.log}", 422)
	f.answers("/iris", "stable")
	f.access("b.log", 2)
	with("{sample: 100%}", 200)
	f.answers("/iris", "stable")
	f.logged(`{"time":`, `"route":"iris"`, `"status":200`)
	f.access("a.log", 1)
	f.access("b.log", 2)
}

// A full disk costs lines of the access log, which are counted, and nothing else.
func TestAccessLogOnAFullDisk(t *testing.T) {
	f := serve(t, nil, "log: {access: {sample: 100%, file: /dev/full}}")
	for range 20 {
		f.answers("/iris", "stable")
	}
	f.logged("access log cannot be written", "no space left on device")
	f.comesTrue("20 lines were dropped", func() bool {
		return strings.Contains(f.get("http://"+f.admin+"/metrics"), "\nmlproxy_access_log_dropped_total 20\n")
	})
}

func TestAccessLogThatCannotBeOpened(t *testing.T) {
	path := place(t, "config.yaml", "log: {access: {file: access.log}}\nlisten: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\n"+sound)
	if err := os.Symlink("/nowhere/access.log", filepath.Join(filepath.Dir(path), "access.log")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := typed("serve", "-c", path); code != 1 || !strings.Contains(errs, "cannot open the access log") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// No line of either log is begun by, or speaks to a terminal for, who only sends a request or a config.
func TestLogLinesArePrintable(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		for _, h := range []string{
			"a\nlevel=INFO msg=forged", "\r\x00\x1b[2J", "\x7f", "\u009b2J", "\xff\xfe", "\u202eevil", "\u2028", "\U000e0001", `"}`, "plain é",
		} {
			var out bytes.Buffer
			newLog(&out, format, new(router.Router)).Error(h, h, h, "error", errors.New(h), "list", []string{h}, "value", fmt.Stringer(stringer(h)))
			line := strings.TrimSuffix(out.String(), "\n")
			if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
				t.Errorf("%s: %q became %q", format, h, line)
			}
			var v map[string]any
			if err := json.Unmarshal(out.Bytes(), &v); format == "json" && (err != nil || v["msg"] != strings.ToValidUTF8(h, "\ufffd") && h != "\xff\xfe") {
				t.Errorf("%q: %v, %q", h, err, line)
			}
		}
	}
}

type stringer string

func (s stringer) String() string { return string(s) }

// What clients and operators prove themselves by is in no log.
func TestLogsHoldNoCredentials(t *testing.T) {
	const secret = "s3cr3t"
	token := place(t, "token", secret+"\n")
	f := serve(t, nil, "log: {level: debug, access: {sample: 100%, file: access.log}}")
	ask := func(method, url string) {
		request, err := http.NewRequest(method, url, strings.NewReader(`{"password": "`+secret+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Authorization", "Cookie", "X-API-Key", "Proxy-Authorization", "Referer"} {
			request.Header.Set(name, "Bearer "+secret)
		}
		response, err := f.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	f.write(routes, "log: {level: debug, access: {sample: 100%, file: access.log}}", "", "limits: {max_body: 1MiB}")
	if got := f.reload(); got != 200 {
		t.Fatalf("reload: %d", got)
	}
	ask("POST", f.data+"/iris?key="+secret)
	ask("POST", f.data+"/nowhere?key="+secret)
	ask("PUT", "http://"+f.admin+"/api/v1/routes/iris/split?key="+secret)
	f.types("split iris stable=1 canary=1 --token-file "+token, 0)
	f.access("access.log", 2)
	content, err := os.ReadFile(filepath.Join(filepath.Dir(f.config), "access.log"))
	if err != nil || bytes.Contains(content, []byte(secret)) {
		t.Errorf("%v, %s", err, content)
	}
	f.signal(syscall.SIGTERM)
	_ = f.exit()
	for line := range f.lines {
		if strings.Contains(line, secret) {
			t.Error(line)
		}
	}
}
