package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mlproxy/admin"
)

// running is an mlproxy process.
type running struct {
	t           *testing.T
	data, admin string // the bound addresses
	file        string // its config
	cmd         *exec.Cmd
	pid         int           // that of cmd, or of the process that took over from it
	ended       chan struct{} // closed when the process has ended and its log is complete
	held        bool          // its end was held to what it should be

	mu  sync.Mutex
	log bytes.Buffer
}

// preamble stands before every config: ports that the system chooses.
const preamble = "version: 1\nlisten: 127.0.0.1:0\nadmin: {listen: \"127.0.0.1:0\"}\n"

var (
	serving = regexp.MustCompile(`msg=serving data=(\S+) admin=(\S+)`)
	outside = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 4 * patience}
)

// start serves a config until the test ends. If the test has not ended the process by then, SIGTERM must.
func start(t *testing.T, config string) *running {
	t.Helper()
	return run(t, mlproxy, config)
}

func run(t *testing.T, binary, config string) *running {
	t.Helper()
	return launch(t, config, exec.Command(binary))
}

// launch serves by a command that lacks only its last arguments.
func launch(t *testing.T, config string, cmd *exec.Cmd) *running {
	t.Helper()
	must(t, lookAtSources())
	r := &running{t: t, file: filepath.Join(t.TempDir(), "config.yaml"), ended: make(chan struct{}), cmd: cmd}
	r.rewrite(config)
	r.cmd.Args = append(r.cmd.Args, "serve", "-c", r.file)
	out, err := r.cmd.StderrPipe()
	must(t, err)
	r.cmd.Stdout = r.cmd.Stderr
	r.cmd.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=10"), r.cmd.Env...) // not a second
	must(t, r.cmd.Start())
	r.pid = r.cmd.Process.Pid
	t.Cleanup(r.end)
	go r.follow(out)
	await(t, "the log line that says where it serves", func() error {
		m := serving.FindStringSubmatch(r.said())
		if m == nil {
			return fmt.Errorf("the log is:\n%s", r.said())
		}
		r.data, r.admin = m[1], m[2]
		return nil
	})
	return r
}

// follow keeps what the process says, and waits for its end.
func (r *running) follow(out io.Reader) {
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		r.mu.Lock()
		r.log.WriteString(line)
		r.mu.Unlock()
		if err != nil {
			_ = r.cmd.Wait()
			close(r.ended)
			return
		}
	}
}

// said is the log so far.
func (r *running) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// awaitSaid waits for words in the log.
func (r *running) awaitSaid(words string) {
	r.t.Helper()
	await(r.t, "words in the log", func() error {
		if !strings.Contains(r.said(), words) {
			return fmt.Errorf("%q is not in the log:\n%s", words, r.said())
		}
		return nil
	})
}

func (r *running) signal(s syscall.Signal) {
	r.t.Helper()
	if err := syscall.Kill(r.pid, s); err != nil {
		r.t.Errorf("mlproxy cannot be sent %v: %v", s, err)
	}
}

// exit waits for the process to end and holds its exit code. No log may show a panic or a race.
func (r *running) exit(code int) {
	r.t.Helper()
	r.held = true
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.t.Errorf("mlproxy does not end; its log is:\n%s", r.said())
		_ = syscall.Kill(r.pid, syscall.SIGKILL)
		<-r.ended
	}
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		r.t.Errorf("mlproxy ended with %v, want exit code %d; its log is:\n%s", r.cmd.ProcessState, code, r.said())
	}
	for _, sign := range []string{"DATA RACE", "panic"} {
		if strings.Contains(r.said(), sign) {
			r.t.Errorf("a %s in the log:\n%s", sign, r.said())
		}
	}
}

// end stops the process gently, unless its end has been awaited already. One that ended by itself fails the test.
func (r *running) end() {
	if r.held {
		return
	}
	r.signal(syscall.SIGTERM)
	r.exit(0)
}

// rewrite replaces the config file in one step, as editors do.
func (r *running) rewrite(config string) {
	r.t.Helper()
	must(r.t, os.WriteFile(r.file+".new", []byte(preamble+config), 0o600))
	must(r.t, os.Rename(r.file+".new", r.file))
}

// reload has the file read and returns the status and text of the answer.
func (r *running) reload() (status int, text string) {
	r.t.Helper()
	return r.call(http.MethodPost, "/-/reload", "")
}

// call asks the admin listener.
func (r *running) call(method, path, body string) (status int, text string) {
	r.t.Helper()
	return call(r.t, method, "http://"+r.admin+path, body)
}

// call sends one request on a connection of its own.
func call(t *testing.T, method, url, body string) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	answer, err := outside.Do(request)
	must(t, err)
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(content)
}

// status is what the API says is in force.
func (r *running) status() *admin.Status {
	r.t.Helper()
	client, err := admin.NewClient(r.admin, "")
	must(r.t, err)
	var status *admin.Status
	await(r.t, "its status", func() (err error) { // a connection whose request is held up by a machine that stands still is closed
		status, err = client.Status(context.Background())
		return err
	})
	return status
}

// cli runs the program's command line against the running process, holds its exit code and returns all it printed.
func (r *running) cli(code int, args ...string) string {
	r.t.Helper()
	return r.cliWithout(code, append(args, "--admin", "http://"+r.admin)...)
}

// cliWithout runs a command line that asks no running process.
func (r *running) cliWithout(code int, args ...string) string {
	r.t.Helper()
	out, err := exec.Command(swift, args...).CombinedOutput()
	if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
		r.t.Fatal(err)
	} else if err != nil && failed.ExitCode() != code || err == nil && code != 0 {
		r.t.Fatalf("mlproxy %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, code, out)
	}
	return string(out)
}

// memory reads a figure of the process in bytes: VmRSS is what it has now, VmHWM the most it had since remember.
func (r *running) memory(figure string) int64 {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.pid))
	must(r.t, err)
	m := regexp.MustCompile(figure + `:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		r.t.Fatalf("no %s in %s", figure, text)
	}
	kilobytes, err := strconv.ParseInt(string(m[1]), 10, 64)
	must(r.t, err)
	return kilobytes << 10
}

// growth is by how much the process's memory grew at most while f ran, in bytes.
func (r *running) growth(f func()) int64 {
	r.t.Helper()
	const resetPeak = "5"
	must(r.t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", r.pid), []byte(resetPeak), 0o200))
	before := r.memory("VmRSS")
	f()
	return r.memory("VmHWM") - before
}
