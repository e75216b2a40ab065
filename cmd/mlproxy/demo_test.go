package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// paper is a writer that tests read while a command writes.
type paper struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// demoOn is a demo that runs for the time of a test.
type demoOn struct {
	place    *demoPlace
	out, err paper
	end      func() error // as Ctrl-C does; returns what the command returned
}

func startDemo(t *testing.T) *demoOn {
	t.Helper()
	d := &demoOn{}
	c := &demoCmd{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Rate: 200, Every: 500 * time.Millisecond}
	term := &terminal{Out: &d.out, Err: &d.err}
	var err error
	if d.place, err = c.place(term); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.show(ctx, term, d.place) }()
	d.end = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = d.end() })
	d.until(t, "its guide", func() bool { return strings.Contains(d.out.String(), "Ctrl-C ends everything") })
	return d
}

// until asks again and again, for at most some seconds.
func (d *demoOn) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ask := time.NewTicker(10 * time.Millisecond)
	defer ask.Stop()
	for end := time.Now().Add(30 * time.Second); !holds(); <-ask.C {
		if time.Now().After(end) {
			t.Fatalf("the demo never came to %s:\n%s\n%s", what, d.out.String(), d.err.String())
		}
	}
}

// attempt does what the printed command would do in another terminal, and returns what it shows.
func (d *demoOn) attempt(t *testing.T, a attempt) string {
	t.Helper()
	if !strings.Contains(d.out.String(), a.shell) {
		t.Errorf("the guide does not print %s", a.shell)
	}
	switch {
	case a.asks != nil:
		return d.ask(t, a.asks)
	case a.args != nil:
		var out, errs bytes.Buffer
		if code := run(a.args, &terminal{Out: &out, Err: &errs}); code != exitOK {
			t.Fatalf("%s: exit %d: %s", a.shell, code, errs.String())
		}
		return out.String()
	}
	out, err := exec.Command("sh", "-c", a.shell).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v %s", a.shell, err, out)
	}
	return string(out)
}

func (d *demoOn) ask(t *testing.T, m *modelRequest) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+d.place.Listen+m.path, strings.NewReader(m.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-User-ID", m.user)
	r.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s\nX-MLProxy-Pool: %s\n%s", resp.Status, resp.Header.Get("X-MLProxy-Pool"), body)
}

// lastShare is what the demo's last line says of a pool, in percent; -1 when it says nothing.
func (d *demoOn) lastShare(pool string) float64 {
	lines := strings.Split(strings.TrimSpace(d.out.String()), "\n")
	found := regexp.MustCompile(regexp.QuoteMeta(pool) + ` ([0-9.]+)%`).FindStringSubmatch(lines[len(lines)-1])
	if found == nil {
		return -1
	}
	share, _ := strconv.ParseFloat(found[1], 64)
	return share
}

// TestDemo does everything that the demo proposes.
func TestDemo(t *testing.T) {
	d := startDemo(t)
	d.until(t, "a line with 5% on the canary", func() bool { s := d.lastShare("iris-canary"); return s > 0 && s < 20 })
	tries := demoAttempts(d.place)
	shows := func(got string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
	}
	first := d.attempt(t, tries[0])
	shows(first, "200 OK", "X-MLProxy-Pool: iris-", `"virginica"`)
	if again := d.attempt(t, tries[0]); again != first {
		t.Errorf("the same user got\n%s\nand then\n%s", first, again)
	}
	shows(d.attempt(t, tries[1]), "iris-canary 50%", "iris-stable 50%")
	d.until(t, "a line with half on the canary", func() bool { s := d.lastShare("iris-canary"); return s > 35 && s < 65 })
	shows(d.attempt(t, tries[2]), "green is active")
	d.until(t, "a line with only green", func() bool { return d.lastShare("digits-green") == 100 })
	shows(d.attempt(t, tries[3]), "iris-next", "20%", "digits-green", "operator")
	d.attempt(t, tries[4])
	d.until(t, "the edited sample", func() bool { return shadowShare(d.attempt(t, tries[3])) == "100%" })
	shows(d.attempt(t, demoStream(d.place)), "200 OK", "X-MLProxy-Pool: chat", `"delta":{"content":`, "data: [DONE]")
	d.leavesNothing(t)
}

// shadowShare is the sample of iris-next in a printed status.
func shadowShare(status string) string {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "iris-next" && f[1] == "shadow" {
			return f[2]
		}
	}
	return ""
}

// leavesNothing ends the demo and looks for remains.
func (d *demoOn) leavesNothing(t *testing.T) {
	t.Helper()
	if err := d.end(); err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	if regexp.MustCompile(`[1-9] failed|[1-9]0+ failed`).MatchString(d.out.String()) {
		t.Errorf("requests failed:\n%s\n%s", d.out.String(), d.err.String())
	}
	if _, err := os.Stat(filepath.Dir(d.place.Config)); !os.IsNotExist(err) {
		t.Errorf("the folder of the config is still there: %v", err)
	}
	for _, address := range []string{d.place.Listen, d.place.Admin} {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Errorf("%s still answers", address)
		}
	}
}

func TestDemoTakesAFreePort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var out paper
	got, err := freeAddress(&terminal{Out: &out}, "--listen", taken.Addr().String())
	if err != nil || got == taken.Addr().String() || !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("got %s %v", got, err)
	}
	if !strings.HasPrefix(out.String(), taken.Addr().String()+" is taken by another program, so the demo uses "+got) {
		t.Errorf("said %q", out.String())
	}
}

func TestDemoRefuses(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		var errs bytes.Buffer
		if code := run(append([]string{"demo"}, args...), &terminal{Out: io.Discard, Err: &errs}); code != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("%v: exit %d, %s; want %d, %s", args, code, errs.String(), exitUsage, want)
		}
	}
	f("the demo stays on this machine", "--listen", "0.0.0.0:8080")
	f("the demo stays on this machine", "--admin", "example.org:9090")
	f("write host:port", "--listen", "8080")
	f("between 0 and 1000 requests a second", "--rate", "5000")
	f("a time such as 10s", "--every", "0s")
}

func TestDemoCommandsNameTheAdmin(t *testing.T) {
	f := func(admin, want string) {
		t.Helper()
		p := &demoPlace{Admin: admin, Binary: "bin/mlproxy"}
		if got := p.command("", "status").shell; got != want {
			t.Errorf("%s: got %s, want %s", admin, got, want)
		}
	}
	f("127.0.0.1:9090", "bin/mlproxy status")
	f("127.0.0.1:4711", "bin/mlproxy status --admin http://127.0.0.1:4711")
}
