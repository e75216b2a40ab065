package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseRefuses(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		var said strings.Builder
		if code := run(t.Context(), args, io.Discard, &said); code != 2 || !strings.Contains(said.String(), want) {
			t.Errorf("%v: exit %d, %s; want %q", args, code, said.String(), want)
		}
	}
	f("build it with `make build`", "-mlproxy", "no/such/file")
	f("choose 1 to 20", "-mlproxy", os.Args[0], "-proxies", "0")
	f("choose 1 to 1000", "-mlproxy", os.Args[0], "-switches", "1001")
	f("choose a time up to 1m", "-mlproxy", os.Args[0], "-every", "1h")
	f("choose 1 to 5000", "-mlproxy", os.Args[0], "-rate", "0")
	f("only flags are taken", "-mlproxy", os.Args[0], "green")
	f("flag provided but not defined", "-speed")
}

// built is the binary that fleets are made of.
func built(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "mlproxy")
	if said, err := exec.Command("go", "build", "-o", binary, "../../cmd/mlproxy").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return binary
}

// TestFleet is `make demo-fleet` in short: a real fleet agrees again and again and loses nothing, and nothing of it stays.
func TestFleet(t *testing.T) {
	binary, folder := built(t), t.TempDir()
	t.Setenv("TMPDIR", folder)
	var out, progress strings.Builder
	args := []string{"-mlproxy", binary, "-switches", "4", "-every", "200ms", "-rate", "60"}
	if code := run(t.Context(), args, &out, &progress); code != 0 {
		t.Fatalf("exit %d:\n%s%s", code, progress.String(), out.String())
	}
	for _, want := range []string{
		`over 4 switches of 3 proxies:`,
		`(?m)^  one proxy +median +\d\S*s +longest +\d\S*s$`,
		`(?m)^  the whole fleet +median +\d\S*s +longest +\d\S*s$`,
		`Requests meanwhile: [1-9]\d*, failed: 0, answered by blue: [1-9]\d*, answered by green: [1-9]`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// breaking is a place for progress that does something at some words.
type breaking struct {
	at   string
	do   func()
	once sync.Once
	strings.Builder
}

func (b *breaking) Write(p []byte) (int, error) {
	if strings.Contains(string(p), b.at) {
		b.once.Do(b.do)
	}
	return b.Builder.Write(p)
}

// A proxy that dies is noticed: its requests fail, and so does the run.
func TestFleetThatLosesRequests(t *testing.T) {
	// A program before mlproxy, to know which process is the first proxy.
	folder := t.TempDir()
	binary := filepath.Join(folder, "mlproxy")
	script := "#!/bin/sh\necho $$ >>" + folder + "/pids\nexec " + built(t) + ` "$@"` + "\n"
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	progress := &breaking{at: "1 of 3", do: func() {
		pids, err := os.ReadFile(filepath.Join(folder, "pids"))
		if err == nil {
			pid, _, _ := strings.Cut(string(pids), "\n")
			err = exec.Command("kill", "-9", pid).Run()
		}
		if err != nil {
			t.Error(err)
		}
	}}
	var out strings.Builder
	args := []string{"-mlproxy", binary, "-proxies", "2", "-switches", "3", "-every", "300ms", "-rate", "100"}
	if code := run(t.Context(), args, &out, progress); code != 1 {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{"proxy 1 does not act by", "requests failed; the first: 0 ", "it ended with signal: killed"} {
		if !strings.Contains(progress.String(), want) {
			t.Errorf("no %q in\n%s", want, progress.String())
		}
	}
	if strings.Contains(out.String(), "failed: 0") {
		t.Error(out.String())
	}
}

// A program that is no mlproxy ends the run with what it said.
func TestFleetWithoutProxy(t *testing.T) {
	var said strings.Builder
	if code := run(t.Context(), []string{"-mlproxy", "/bin/false"}, io.Discard, &said); code != 1 || !strings.Contains(said.String(), "/bin/false ended (exit status 1)") {
		t.Errorf("exit %d: %s", code, said.String())
	}
}

// An interrupted run reports what was seen until then.
func TestFleetInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	progress := &breaking{at: "1 of 9", do: interrupt}
	var out strings.Builder
	if code := run(ctx, []string{"-mlproxy", built(t), "-proxies", "1", "-switches", "9", "-every", "300ms", "-rate", "50"}, &out, progress); code != 0 {
		t.Errorf("exit %d: %s", code, progress.String())
	}
	if !strings.Contains(out.String(), "over 1 switches of 1 proxies") {
		t.Error(out.String())
	}
}

func TestVerdict(t *testing.T) {
	f := func(want string, results ...vegeta.Result) {
		t.Helper()
		s := &seen{pools: map[string]int{}}
		for i := range results {
			s.note(&results[i])
		}
		if got := s.verdict(); (got == nil) != (want == "") || got != nil && got.Error() != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
	good := vegeta.Result{Code: 200, Headers: http.Header{"X-Mlproxy-Pool": {"blue"}}}
	f("no request was sent, so nothing was shown")
	f("", good, good)
	f("1 of 2 requests failed; the first: 503 unavailable", good, vegeta.Result{Code: 503, Headers: http.Header{"X-Mlproxy-Error": {"unavailable"}}})
	f("2 of 3 requests failed; the first: 0  connection refused", vegeta.Result{Error: "connection refused"}, good, vegeta.Result{Code: 500})
	f("1 of 1 requests failed; the first: 200  unexpected EOF", vegeta.Result{Code: 200, Error: "unexpected EOF"})
}

func TestMedian(t *testing.T) {
	f := func(want time.Duration, list ...time.Duration) {
		t.Helper()
		if got := median(list); got != want {
			t.Errorf("%v: got %v, want %v", list, got, want)
		}
	}
	f(3, 3)
	f(2, 3, 1)
	f(2, 9, 1, 2)
	f(4, 9, 1, 2, 6)
}
