package main

import (
	"bytes"
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

// demoOn is the real binary with its demo, for the time of a test.
type demoOn struct {
	*testing.T
	place    *demoPlace
	folder   string // where its commands are typed
	out, err paper
	command  *exec.Cmd
}

func startDemo(t *testing.T, flags ...string) *demoOn {
	t.Helper()
	d := &demoOn{T: t, folder: "../.."} // the project's: there is its Consul
	d.command = exec.Command(binary, append([]string{
		"demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--rate", "200", "--every", "500ms",
	}, flags...)...)
	d.command.Dir = d.folder
	d.command.Stdout, d.command.Stderr = &d.out, &d.err
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.command.Process.Kill()
		_ = d.command.Wait()
	})
	d.until("its guide", func() bool { return strings.Contains(d.out.String(), "Ctrl-C ends everything") })
	d.place = &demoPlace{
		Listen: d.printed(`traffic +http://(\S+)`), Admin: d.printed(`admin +http://(\S+)`), Config: d.printed(`config +(\S+)`), Binary: binary,
	}
	return d
}

// printed finds something in what the demo has said.
func (d *demoOn) printed(pattern string) string {
	d.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(d.out.String())
	if found == nil {
		d.Fatalf("no %s in\n%s", pattern, d.out.String())
	}
	return found[1]
}

// until asks again and again, for at most some seconds.
func (d *demoOn) until(what string, holds func() bool) {
	d.Helper()
	ask := time.NewTicker(10 * time.Millisecond)
	defer ask.Stop()
	for end := time.Now().Add(30 * time.Second); !holds(); <-ask.C {
		if time.Now().After(end) {
			d.Fatalf("the demo never came to %s:\n%s\n%s", what, d.out.String(), d.err.String())
		}
	}
}

// attempt pastes a printed command into a shell and returns what it shows. Instead of curl, which not every machine has, the
// shell runs a function that hands its arguments to ask.
func (d *demoOn) attempt(a attempt) string {
	d.Helper()
	if !strings.Contains(d.out.String(), a.shell) {
		d.Errorf("the guide does not print %s", a.shell)
	}
	shell := exec.Command("sh", "-c", `curl() { printf '%s\0' "$@"; }; `+a.shell)
	shell.Dir = d.folder
	var errs bytes.Buffer
	shell.Stderr = &errs
	out, err := shell.Output()
	if err != nil || errs.Len() > 0 {
		d.Fatalf("%s: %v %s", a.shell, err, errs.String())
	}
	if strings.HasPrefix(a.shell, "curl") {
		return d.ask(strings.Split(string(out), "\x00"))
	}
	return string(out)
}

// ask is as much of curl as the guide uses.
func (d *demoOn) ask(args []string) string {
	d.Helper()
	var url, body string
	header := http.Header{}
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "http://"):
			url = arg
		case arg == "-H":
			name, value, _ := strings.Cut(args[i+1], ": ")
			header.Set(name, value)
		case arg == "-d":
			body = args[i+1]
		}
	}
	r, err := http.NewRequestWithContext(d.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	r.Header = header
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		d.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		d.Fatal(err)
	}
	return fmt.Sprintf("%s\nX-MLProxy-Pool: %s\n%s", resp.Status, resp.Header.Get("X-MLProxy-Pool"), answer)
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

// shows holds what was shown to what should have been.
func (d *demoOn) shows(got string, wants ...string) {
	d.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			d.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestDemo does everything that the demo proposes.
func TestDemo(t *testing.T) {
	d := startDemo(t)
	d.until("a line with 5% on the canary", func() bool { s := d.lastShare("iris-canary"); return s > 0 && s < 20 })
	tries := demoAttempts(d.place)
	d.shows(d.attempt(tries[0]), "200 OK", "X-MLProxy-Pool: iris-", `"virginica"`)
	d.shows(d.attempt(tries[1]), "iris-canary 50%", "iris-stable 50%")
	d.until("a line with half on the canary", func() bool { s := d.lastShare("iris-canary"); return s > 35 && s < 65 })
	first := d.attempt(tries[0])
	for range 10 {
		if again := d.attempt(tries[0]); again != first {
			t.Fatalf("the same user got\n%s\nand then\n%s", first, again)
		}
	}
	d.shows(d.attempt(tries[2]), "green is active")
	d.until("a line with only green", func() bool { return d.lastShare("digits-green") == 100 })
	d.shows(d.attempt(tries[3]), "iris-next", "20%", "digits-green", "operator")
	d.attempt(tries[4])
	d.until("the edited sample", func() bool { return shadowShare(d.attempt(tries[3])) == "100%" })
	d.shows(d.attempt(demoStream(d.place)), "200 OK", "X-MLProxy-Pool: chat", `"delta":{"content":`, "data: [DONE]")
	d.leavesNothing()
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

// leavesNothing presses Ctrl-C and looks for remains.
func (d *demoOn) leavesNothing() {
	d.Helper()
	if err := d.command.Process.Signal(os.Interrupt); err != nil {
		d.Fatal(err)
	}
	if err := d.command.Wait(); err != nil {
		d.Errorf("the demo ended with %v: %s", err, d.err.String())
	}
	if regexp.MustCompile(`[1-9] failed|[1-9]0+ failed`).MatchString(d.out.String()) {
		d.Errorf("requests failed:\n%s\n%s", d.out.String(), d.err.String())
	}
	if _, err := os.Stat(filepath.Dir(d.place.Config)); !os.IsNotExist(err) {
		d.Errorf("the folder of the config is still there: %v", err)
	}
	for _, address := range []string{d.place.Listen, d.place.Admin} {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			d.Errorf("%s still answers", address)
		}
	}
}

// TestDemoTakesFreePorts: what it has taken is its own from then on, for all that starts between it and the proxy takes ports as well.
func TestDemoTakesFreePorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var out paper
	demo := demoCmd{Listen: taken.Addr().String(), Admin: "127.0.0.1:0", Every: time.Second}
	place, err := demo.place(&terminal{Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer place.given.close()
	if !strings.HasPrefix(out.String(), taken.Addr().String()+" is taken by another program, so the demo uses "+place.Listen) {
		t.Errorf("said %q", out.String())
	}
	for _, address := range []string{place.Listen, place.Admin} {
		if ln, err := net.Listen("tcp", address); err == nil {
			ln.Close()
			t.Errorf("anybody can have %s", address)
		}
	}
	if ln, err := place.given.listen(adminSocket, place.Admin); err != nil || ln.Addr().String() != place.Admin {
		t.Errorf("the proxy does not get the admin's socket: %v", err)
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
