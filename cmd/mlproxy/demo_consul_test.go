package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestDemoWithConsul does everything that the demo proposes when it has a Consul.
func TestDemoWithConsul(t *testing.T) {
	d := startDemo(t, "--consul")
	d.place.Consul = &demoConsul{Address: d.printed(`consul +http://(\S+)`), Binary: filepath.Join(".bin", "consul")}
	d.until("a line with only blue", func() bool { return d.lastShare("digits-blue") == 100 })
	tries := demoAttempts(d.place)
	d.shows(d.attempt(tries[0]), "200 OK", "X-MLProxy-Pool: iris-", `"virginica"`)
	d.attempt(tries[1])
	d.until("a line with only green", func() bool { return d.lastShare("digits-green") == 100 })
	d.attempt(tries[2])
	d.until("a line with half on the canary", func() bool { s := d.lastShare("iris-canary"); return s > 35 && s < 65 })
	d.shows(d.attempt(tries[3]), "mlproxy/routes/digits/active", "mlproxy/routes/iris/split", "iris-stable", "50%")
	d.shows(d.attempt(tries[4]), "iris: iris-stable 90%, iris-canary 10%", "fleet: its one proxy acts by it")
	d.shows(d.attempt(tries[5]), "consul: mlproxy/routes/iris/split", "calm")
	d.attempt(tries[6])
	d.until("the file's shares", func() bool {
		status := d.attempt(tries[3])
		return !strings.Contains(status, "mlproxy/routes/") && !strings.Contains(status, "operator") && strings.Contains(status, "95%")
	})
	d.until("a line with only blue again", func() bool { return d.lastShare("digits-blue") == 100 })
	agents := d.children()
	if len(agents) != 1 {
		t.Errorf("the demo has %d processes, want one: its Consul", len(agents))
	}
	d.leavesNothing()
	for _, pid := range agents {
		if _, err := os.Stat(filepath.Join("/proc", pid)); err == nil {
			t.Errorf("its process %s is still there", pid)
		}
	}
	if conn, err := net.Dial("tcp", d.place.Consul.Address); err == nil {
		conn.Close()
		t.Error("its Consul still answers")
	}
}

// children are the processes that the demo has started.
func (d *demoOn) children() []string {
	d.Helper()
	files, err := filepath.Glob("/proc/" + strconv.Itoa(d.command.Process.Pid) + "/task/*/children")
	if err != nil {
		d.Fatal(err)
	}
	var all []string
	for _, file := range files {
		pids, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			d.Fatal(err)
		}
		all = append(all, strings.Fields(string(pids))...)
	}
	return all
}

func TestDemoWithoutConsul(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PATH", "")
	t.Setenv("TMPDIR", t.TempDir())
	var errs bytes.Buffer
	code := run([]string{"demo", "--consul", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, &terminal{Out: io.Discard, Err: &errs})
	if want := "`make .bin/consul` builds it"; code != exitFailed || !strings.Contains(errs.String(), want) {
		t.Errorf("exit %d, %s; want %d, %s", code, errs.String(), exitFailed, want)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
