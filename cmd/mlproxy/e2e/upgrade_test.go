package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mlproxy/modeltest"
)

var successors = regexp.MustCompile(`msg="a new process serves.*successor=(\d+)`)

// upgrade has a new process take over, and waits until it serves.
func (r *running) upgrade() {
	r.t.Helper()
	before := len(serving.FindAllString(r.said(), -1))
	r.signal(syscall.SIGUSR2)
	r.tookOver(before)
}

// tookOver waits until one process more has served than before.
func (r *running) tookOver(before int) {
	r.t.Helper()
	await(r.t, "a new process to serve", func() error {
		said := r.said()
		if found := successors.FindAllStringSubmatch(said, -1); len(found) > 0 {
			r.pid, _ = strconv.Atoi(found[len(found)-1][1])
		}
		if n := len(serving.FindAllString(said, -1)); n != before+1 || len(successors.FindAllString(said, -1)) < before {
			return fmt.Errorf("%d processes have served; the log is:\n%s", n, said)
		}
		return nil
	})
}

// link is a name for the binary that can be made to lead elsewhere.
func link(t *testing.T) (name string, lead func(to string)) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "mlproxy")
	lead = func(to string) {
		t.Helper()
		_ = os.Remove(name + ".next")
		must(t, os.Symlink(to, name+".next"))
		must(t, os.Rename(name+".next", name))
	}
	lead(mlproxy)
	return name, lead
}

// script is a program to put into the binary's place. $MLPROXY is the real one.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "script")
	must(t, os.WriteFile(name, []byte("#!/bin/sh\nMLPROXY="+mlproxy+"\n"+text), 0o700))
	return name
}

// strangers are clients that come for one request each, on a connection of its own, a few hundred a second at the most, until stopped.
func (r *running) strangers(n int) (stop func() int64) {
	var clients sync.WaitGroup
	var asked atomic.Int64
	done := make(chan struct{})
	for range n {
		clients.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			for {
				select {
				case <-done:
					return
				case <-pace.C:
				}
				if got := r.read("/v2/health/live"); !strings.HasPrefix(got, "200 ") {
					r.t.Errorf("a client that came for one request got %s", got)
				}
				asked.Add(1)
			}
		})
	}
	return func() int64 {
		close(done)
		clients.Wait()
		return asked.Load()
	}
}

// Three upgrades in a row under load, with clients that keep their connections and clients that come anew: no request fails, and what
// an operator has said stays in force.
func TestUpgradesUnderLoad(t *testing.T) {
	a, b := serve(t, modeltest.Options{}), serve(t, modeltest.Options{})
	r := run(t, swift, fmt.Sprintf(`
pools:
  a: {endpoints: [%q], health_check: {path: /v2/health/ready}}
  b: {endpoints: [%q], health_check: {path: /v2/health/ready}}
routes: {all: {match: {path: /}, split: {a: 1, b: 0}}}
`, a.URL, b.URL))
	l, stop := r.load(200, inferPath, setosa), r.strangers(2)
	for i := range 3 {
		l.more(100)
		weight := fmt.Sprintf(`{"a": 1, "b": %d}`, i+1)
		status, text := r.call(http.MethodPut, "/api/v1/routes/all/split", weight)
		must(t, equal("a change just before: "+text, status, http.StatusOK))
		old := r.pid
		r.upgrade()
		if r.pid == old {
			t.Fatal("the process is still the same")
		}
		must(t, equal("the weight of b after it", r.status().Routes["all"].Split["b"], float64(i+1)))
		l.more(100)
	}
	asked := stop()
	if results := l.endWell(); asked < 50 || len(results) < 600 {
		t.Errorf("only %d and %d requests were made", asked, len(results))
	}
	status, text := r.call(http.MethodPut, "/api/v1/routes/all/split", `{"a": 1, "b": 9}`)
	must(t, equal("a change after it: "+text, status, http.StatusOK))
	r.signal(syscall.SIGTERM)
	r.exit(0)
}

// What runs at the time of an upgrade comes to its end in the old process; what begins after it begins in the new one.
func TestUpgradeLetsExchangesFinish(t *testing.T) {
	g := newGate(t)
	r := start(t, simply(g.URL))
	old := r.pid
	stream, err := r.get(t.Context(), "/stream")
	must(t, err)
	defer stream.Body.Close()
	<-g.arrived
	kept, err := r.dial()
	must(t, err)
	defer kept.Close()
	_, err = io.WriteString(kept, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	<-g.arrived
	r.upgrade()

	events := bufio.NewReader(stream.Body)
	for _, event := range []string{"one", "two"} {
		g.event <- event
		got, err := nextEvent(events)
		must(t, err)
		must(t, equal("the event", got, "data: "+event+"\n"))
	}
	must(t, syscall.Kill(old, 0)) // it is still there
	close(g.slow)
	answer, err := http.ReadResponse(kept.in, nil)
	must(t, err)
	must(t, equal("the answer begun before", answer.StatusCode, http.StatusOK))
	must(t, equal("its end of the connection", answer.Close, true))
	must(t, equal("an answer after", r.read("/slow"), "200 done"))
	close(g.event)
	_, err = events.ReadByte()
	must(t, equal("the end of the stream", err, io.EOF))
	r.awaitSaid("msg=stopped")
}

// Whatever is wrong with the new file, the old process goes on as if nothing had happened, and the next upgrade may succeed.
func TestUpgradesThatFail(t *testing.T) {
	name, lead := link(t)
	r := run(t, name, simply(serve(t, modeltest.Options{}).URL))
	l := r.load(100, inferPath, setosa)
	pid := r.pid
	f := func(to, why string) {
		t.Helper()
		lead(to)
		before := len(regexp.MustCompile(why).FindAllString(r.said(), -1))
		r.signal(syscall.SIGUSR2)
		await(t, why, func() error {
			if got := len(regexp.MustCompile(why).FindAllString(r.said(), -1)); got != before+1 {
				return fmt.Errorf("the log is:\n%s", r.said())
			}
			return nil
		})
		l.more(10)
		must(t, syscall.Kill(pid, 0))
	}
	const failed = `the upgrade failed, this process goes on" error="`
	f("/nowhere", failed+".*cannot be started: no such file")
	f(script(t, "exit 3\n"), failed+"the new process ended before it was ready, with exit status 3")
	f(script(t, "echo hello >&3\nexec sleep 1000\n"), failed+`the new process says .*hello`)
	r.rewrite("pools: nonsense\n")
	f(mlproxy, failed+"the new process ended before it was ready, with exit status 3")
	r.rewrite(simply("http://127.0.0.1:1") + "state_dir: [\n")
	f(mlproxy, failed)

	r.rewrite(simply(serve(t, modeltest.Options{}).URL))
	lead(script(t, "echo 'this is the new file' >&2\nexec $MLPROXY \"$@\"\n"))
	r.upgrade()
	r.awaitSaid("this is the new file")
	l.more(10)
	l.endWell()
}

// While a new process comes up the old one serves, changes nothing, and takes no second upgrade.
func TestWhileANewProcessComesUp(t *testing.T) {
	name, lead := link(t)
	r := run(t, name, simply(serve(t, modeltest.Options{}).URL))
	sign := filepath.Join(t.TempDir(), "go")
	lead(script(t, "while [ ! -e "+sign+" ]; do sleep 0.01; done\nexec $MLPROXY \"$@\"\n"))
	r.signal(syscall.SIGUSR2)
	r.awaitSaid("waiting until it is ready")
	r.signal(syscall.SIGUSR2)
	r.awaitSaid("an upgrade is under way")

	status, text := r.call(http.MethodPut, "/api/v1/routes/all/split", `{"a": 2}`)
	must(t, equal("a change meanwhile: "+text, status, http.StatusServiceUnavailable))
	if !strings.Contains(text, `"draining"`) {
		t.Errorf("its reason: %s", text)
	}
	status, text = r.call(http.MethodPost, "/-/reload", "")
	must(t, equal("a reload meanwhile: "+text, status, http.StatusServiceUnavailable))
	status, _ = r.call(http.MethodGet, "/-/ready", "")
	must(t, equal("ready meanwhile", status, http.StatusOK))
	must(t, equal("an answer meanwhile", r.read("/v2/health/live")[:3], "200"))
	must(t, os.WriteFile(sign, nil, 0o600))
	r.tookOver(1)
	status, text = r.call(http.MethodPut, "/api/v1/routes/all/split", `{"a": 2}`)
	must(t, equal("a change after it: "+text, status, http.StatusOK))
}

// A process that is told to stop ends the successor that it was waiting for.
func TestStopWhileANewProcessComesUp(t *testing.T) {
	name, lead := link(t)
	r := run(t, name, simply(serve(t, modeltest.Options{}).URL))
	lead(script(t, "exec sleep 1000\n"))
	r.signal(syscall.SIGUSR2)
	r.awaitSaid("waiting until it is ready")
	r.signal(syscall.SIGTERM)
	r.exit(0) // the log ends when both have
}

// Two processes do not share a state_dir.
func TestStateDirInUse(t *testing.T) {
	config := simply(serve(t, modeltest.Options{}).URL) + "state_dir: " + filepath.Join(t.TempDir(), "state") + "\n"
	r := start(t, config)
	other := filepath.Join(t.TempDir(), "config.yaml")
	must(t, os.WriteFile(other, []byte(preamble+config), 0o600))
	f := func(pid int) {
		t.Helper()
		out := r.cliWithout(1, "serve", "-c", other)
		if !strings.Contains(out, fmt.Sprintf("pid %d;", pid)) {
			t.Errorf("a second process says %q, want the pid %d", out, pid)
		}
	}
	f(r.pid)
	r.upgrade()
	f(r.pid)
}
