package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must come; nothing that works takes so long.
const patience = 30 * time.Second

// fleet is model servers that answer with their name, and a real mlproxy before them.
type fleet struct {
	*testing.T
	models map[string]*httptest.Server
	config string // the file
	data   string // URL
	admin  string // host:port
	cmd    *exec.Cmd
	lines  chan string // of the log
	ended  chan struct{}
	client *http.Client
}

// models are the model servers of every fleet; "dead" is a pool nobody serves.
var models = []string{"stable", "canary", "blue", "green"}

const routes = `  iris: {match: {path: /iris}, split: {stable: 1, canary: 0}}
  search: {match: {path: /search}, blue_green: {blue: blue, green: green, active: blue}}
  doomed: {match: {path: /doomed}, blue_green: {blue: blue, green: dead, active: blue}}
`

// bound finds the addresses in a log line, as text or as JSON.
var bound = regexp.MustCompile(`data\W+([\d.:]+)\W+admin\W+([\d.:]+)`)

// serve starts model servers and mlproxy, and waits until it serves. The answer to /hold waits for release.
func serve(t *testing.T, release <-chan struct{}, more ...string) *fleet {
	t.Helper()
	f := &fleet{
		T: t, models: map[string]*httptest.Server{}, config: filepath.Join(t.TempDir(), "config.yaml"),
		lines: make(chan string, 10000), ended: make(chan struct{}), client: &http.Client{Transport: &http.Transport{}},
	}
	for _, name := range models {
		f.models[name] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("hold") {
				w.(http.Flusher).Flush()
				<-release
			}
			fmt.Fprint(w, name)
		}))
		t.Cleanup(f.models[name].Close)
	}
	f.write(routes, more...)
	f.start()
	t.Cleanup(f.client.CloseIdleConnections)
	return f
}

// write writes the config file with these routes, and more sections.
func (f *fleet) write(routes string, more ...string) {
	f.Helper()
	var src bytes.Buffer
	fmt.Fprintf(&src, "version: 1\nlisten: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\n%s\npools:\n  dead: {endpoints: [\"http://127.0.0.1:1\"]}\n",
		strings.Join(more, "\n"))
	for _, name := range models {
		fmt.Fprintf(&src, "  %s: {endpoints: [%q]}\n", name, f.models[name].URL)
	}
	fmt.Fprintf(&src, "routes:\n%s", routes)
	next := f.config + ".next"
	if err := os.WriteFile(next, src.Bytes(), 0o600); err != nil {
		f.Fatal(err)
	}
	if err := os.Rename(next, f.config); err != nil {
		f.Fatal(err)
	}
}

func (f *fleet) start() {
	f.Helper()
	f.cmd = exec.Command(binary, "serve", "-c", f.config)
	log, err := f.cmd.StderrPipe()
	if err != nil {
		f.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		f.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(log); s.Scan(); {
			f.lines <- s.Text()
		}
		close(f.lines)
		_ = f.cmd.Wait() // ProcessState says how it ended
		close(f.ended)
	}()
	f.Cleanup(func() {
		_ = f.cmd.Process.Kill()
		<-f.ended
	})
	found := bound.FindStringSubmatch(f.logged("serving", "admin"))
	f.data, f.admin = "http://"+found[1], found[2]
}

// logged waits for a line of the log that has all parts, and returns it; lines before it are passed over.
func (f *fleet) logged(parts ...string) string {
	f.Helper()
	late := time.After(patience)
	var passed []string
next:
	for {
		select {
		case line, more := <-f.lines:
			passed = append(passed, line)
			if !more {
				f.Fatalf("the log ended without %q:\n%s", parts, strings.Join(passed, "\n"))
			}
			for _, part := range parts {
				if !strings.Contains(line, part) {
					continue next
				}
			}
			return line
		case <-late:
			f.Fatalf("the log never came to %q:\n%s", parts, strings.Join(passed, "\n"))
		}
	}
}

// signal sends a signal.
func (f *fleet) signal(s os.Signal) {
	f.Helper()
	if err := f.cmd.Process.Signal(s); err != nil {
		f.Fatal(err)
	}
}

// exit waits for the end and returns the exit code.
func (f *fleet) exit() int {
	f.Helper()
	select {
	case <-f.ended:
		return f.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		f.Fatal("mlproxy does not end")
		return 0
	}
}

// get asks a path and returns which model answered, or what went wrong.
func (f *fleet) get(url string) string {
	response, err := f.client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Sprint(response.StatusCode)
	}
	return string(text)
}

// reload asks for a reload and returns the status of the answer.
func (f *fleet) reload() int {
	f.Helper()
	response, err := f.client.Post("http://"+f.admin+"/-/reload", "", nil)
	if err != nil {
		f.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// answers asks the data listener and holds the answer against what is wanted.
func (f *fleet) answers(path, want string) {
	f.Helper()
	if got := f.get(f.data + path); got != want {
		f.Errorf("GET %s: %s, want %s", path, got, want)
	}
}

// types carries out a command line against this mlproxy.
func (f *fleet) types(line string, code int, parts ...string) {
	f.Helper()
	c, out, errs := typed(append(strings.Fields(line), "--admin", f.admin)...)
	for _, part := range parts {
		if !strings.Contains(out+errs, part) {
			f.Errorf("mlproxy %s lacks %q:\n%s%s", line, part, out, errs)
		}
	}
	if c != code {
		f.Errorf("mlproxy %s: exit %d, want %d:\n%s%s", line, c, code, out, errs)
	}
}

func TestSteering(t *testing.T) {
	f := serve(t, nil)
	f.answers("/iris", "stable")
	f.answers("/search", "blue")
	f.types("status", 0, "iris", "split 1", "blue, active", strings.TrimPrefix(f.data, "http://"))
	f.types("status -o json", 0, `"revision": 1`)

	f.types("split iris stable=0 canary=1 --reason try", 0, "iris: canary 100%, stable 0% (revision 2)")
	f.answers("/iris", "canary")
	f.logged("config applied", "revision=2", "reason=try")
	f.types("split iris stable=1", 2, "without canary")
	f.types("split irs stable=1 canary=0", 1, `did you mean "iris"?`)
	f.types("rollback iris -o json", 0, `"revision": 3`)
	f.answers("/iris", "stable")
	f.types("override remove iris", 1, "as the config file says")

	f.types("switch search green", 0, "green is active")
	f.answers("/search", "green")
	f.types("rollback search", 0, "blue is active")
	f.answers("/search", "blue")

	f.types("switch doomed green", 1, "pool dead", "127.0.0.1:1")
	f.answers("/doomed", "blue")
	f.types("switch doomed green --force", 0, "green is active")
	f.answers("/doomed", "502")
	f.types("rollback doomed", 0, "blue is active")
	f.types("switch iris green", 2, "split")
}

func TestReloading(t *testing.T) {
	f := serve(t, nil)
	to := func(canary int) string {
		return strings.Replace(routes, "stable: 1, canary: 0", fmt.Sprintf("stable: %d, canary: %d", 1-canary, canary), 1)
	}
	f.write(to(1))
	f.logged("config applied", "revision=2", `reason="file changed"`)
	f.answers("/iris", "canary")

	f.write(to(1) + "  nonsense: 7\n")
	f.logged("keeping revision", "revision=2", "config.yaml:", "nonsense")
	f.answers("/iris", "canary")
	f.types("status", 0, "was refused", "nonsense", "revision 2 stays in force")
	if got := f.reload(); got != 422 {
		t.Errorf("POST /-/reload of a broken file: %d", got)
	}

	f.write(to(0))
	if got := f.reload(); got != 200 {
		t.Errorf("POST /-/reload: %d", got)
	}
	f.answers("/iris", "stable")
	f.signal(syscall.SIGHUP)
	f.logged("config unchanged", "revision=3")

	f.types("split iris stable=1 canary=1", 0)
	f.write(to(1))
	f.logged("masked", "route=iris", "mlproxy override remove iris")
	f.types("override remove iris", 0, "canary 100%")
	f.answers("/iris", "canary")
}

// TestNobodyNoticesAChange changes weights and switches under load, in every way there is: no request may fail, and none
// that began after a switch was answered may reach the other pool.
func TestNobodyNoticesAChange(t *testing.T) {
	f := serve(t, nil)
	f.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 8
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	var asked atomic.Int64
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if got := f.get(f.data + "/iris"); got != "stable" && got != "canary" {
					t.Errorf("a request failed: %s", got)
					return
				}
				asked.Add(1)
			}
		})
	}
	for i := range 100 {
		f.write(strings.Replace(routes, "stable: 1, canary: 0", fmt.Sprintf("stable: %d, canary: 1", 1+i%2), 1))
		if got := f.reload(); got != 200 {
			t.Fatalf("reload %d: %d", i, got)
		}
		to := []string{"green", "blue"}[i%2]
		f.types("switch search "+to, 0)
		f.answers("/search", to)
	}
	stop()
	clients.Wait()
	f.logged("config applied", "revision=201")
	if asked.Load() < 100 {
		t.Errorf("only %d requests were asked meanwhile", asked.Load())
	}
}

func TestStoppingGently(t *testing.T) {
	release := make(chan struct{})
	f := serve(t, release, "shutdown: {delay: 300ms, drain: 30s}")
	running := make(chan string)
	began := make(chan struct{})
	go func() {
		response, err := f.client.Get(f.data + "/iris?hold")
		close(began)
		if err != nil {
			running <- err.Error()
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		running <- fmt.Sprintf("%s %v", text, err)
	}()
	<-began
	if got := f.get("http://" + f.admin + "/-/ready"); got != "ready\n" {
		t.Errorf("before the signal: %s", got)
	}
	f.signal(syscall.SIGTERM)
	f.logged("not ready any more")
	if got := f.get("http://" + f.admin + "/-/ready"); got != "503" {
		t.Errorf("while stopping: ready says %s", got)
	}
	f.answers("/search", "blue") // listeners stay open for the delay
	f.logged("listeners closed")
	select {
	case <-f.ended:
		t.Error("ended before the running exchange did")
	default:
	}
	close(release)
	if got := <-running; got != "stable <nil>" {
		t.Errorf("the running exchange got %s", got)
	}
	if code := f.exit(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	f := serve(t, release)
	response, err := f.client.Get(f.data + "/iris?hold")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	f.signal(syscall.SIGINT)
	f.logged("listeners closed")
	f.signal(syscall.SIGTERM)
	f.logged("ending at once")
	if code := f.exit(); code != 1 {
		t.Errorf("exit %d", code)
	}
}

func TestDrainingHasAnEnd(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	f := serve(t, release, "shutdown: {drain: 200ms}")
	response, err := f.client.Get(f.data + "/iris?hold")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	f.signal(syscall.SIGTERM)
	f.logged("were cut")
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("an answer that was cut looks complete")
	}
	if code := f.exit(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestAnAddressInUse(t *testing.T) {
	f := serve(t, nil)
	taken := strings.TrimPrefix(f.data, "http://")
	other := place(t, "other.yaml", strings.Replace(sound, "version: 1\n", "version: 1\nlisten: "+taken+"\nadmin: {listen: 127.0.0.1:0}\n", 1))
	if code, _, errs := typed("serve", "-c", other); code != 1 || !strings.Contains(errs, taken) {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestTheLogFollowsTheConfig(t *testing.T) {
	f := serve(t, nil, "log: {format: json}")
	f.write(routes, "log: {format: json, level: error}")
	if got := f.reload(); got != 200 {
		t.Fatalf("reload: %d", got)
	}
	f.types("split iris stable=1 canary=1", 0)
	f.write(routes + "  x: 1\n")
	for line := ""; !strings.Contains(line, "config refused"); {
		line = f.logged("time")
		if !strings.HasPrefix(line, "{") || !strings.Contains(line, `"level":"ERROR"`) && !strings.Contains(line, `"audit":true`) {
			t.Fatalf("a line that is no JSON, or neither an error nor of an audit: %s", line)
		}
	}
}
