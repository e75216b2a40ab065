package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mlproxy/admin"
	"mlproxy/control"
	"mlproxy/modeltest"
)

// state is the folder of the overrides.
func (f *fleet) state() string { return filepath.Join(filepath.Dir(f.config), "state") }

// kill ends mlproxy with SIGKILL, if it has not ended by now.
func (f *fleet) kill() {
	_ = f.cmd.Process.Kill()
	<-f.ended
}

// restart starts another mlproxy with the same files.
func (f *fleet) restart() {
	f.Helper()
	f.lines, f.ended = make(chan string, 10000), make(chan struct{})
	f.start()
}

func TestHistoryAndRestore(t *testing.T) {
	f := serve(t, nil)
	f.types("split iris stable=1 canary=1 --reason half", 0, "(revision 2)")
	f.types("switch search green", 0, "green is active, pool green (revision 3)")
	f.types("history", 0, "REVISION", "iris: (canary: 0, stable: 1) -> (canary: 1, stable: 1)", "operator 127.0.0.1: half", "file: start")
	f.types("history -o json", 0, `"revisions"`, `"reason": "half"`)
	f.types("restore 9", 1, "kept are 1 to 3")
	f.types("restore 1 --reason calm", 0, "as in revision 1 (revision 4)", "iris: stable 100%, canary 0%", "search: blue is active")
	f.answers("/iris", "stable")
	f.answers("/search", "blue")
	f.types("restore 3 -o json", 0, `"revision": 5`)
	f.answers("/search", "green")

	f.types("switch doomed green --force", 0)
	f.types("restore 1", 0)
	f.types("restore 6", 1, "pool dead", `route "doomed"`)
	f.types("restore 6 --force", 0, "doomed: green is active")
	f.types("restore 1", 0)
	f.write(strings.Replace(routes, "  doomed: {match: {path: /doomed}, blue_green: {blue: blue, green: dead, active: blue}}\n", "", 1))
	f.logged("config applied", `reason="file changed"`)
	f.types("restore 3", 2, `route "doomed" is gone`)
}

func TestOverridesAndDrains(t *testing.T) {
	f := serve(t, nil)
	f.types("override list", 0, "none: the config file decides everything")
	f.types("split iris stable=1 canary=3 --ttl 2h --reason try", 0, "canary 75%")
	f.types("drain canary --reason maintenance", 0, "canary is drained (revision 3)", "iris: stable 100%, canary 0% (drained)")
	f.types("override list", 0, "route iris", "canary=3 stable=1", "in 1h59m", "127.0.0.1: try", "pool canary", "drained", "never")
	f.types("override list -o json", 0, `"drained"`, `"expires"`)
	f.types("status", 0, "split 0, drained", "operator 127.0.0.1: try, ends in 1h59m")
	f.answers("/iris", "stable")
	f.types("drain stable", 2, "no traffic but on drained pools")
	f.types("drain blue", 2, "active one of route")
	f.types("drain blue --force", 2, "--force is for endpoints")
	f.types("undrain stable", 1, "not drained")
	f.types("undrain canary", 0, "canary is drained no more (revision 4)", "iris: canary 75%")
	f.types("override remove iris -o json", 0, `"revision": 5`)
	f.types("override remove iris", 1, "as the config file says")

	f.types("split iris stable=0 canary=1 --ttl 300ms", 0)
	f.logged("config applied", `reason="expired: iris"`)
	f.answers("/iris", "stable")
}

// A drained endpoint finishes what it has, and gets nothing more from any pool.
func TestDrainOfAnEndpoint(t *testing.T) {
	release := make(chan struct{})
	f := serve(t, release)
	stable, canary := f.models["stable"].URL, f.models["canary"].URL
	written, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	src := strings.Replace(string(written), fmt.Sprintf("stable: {endpoints: [%q]}", stable), fmt.Sprintf("stable: {endpoints: [%q, %q]}", stable, canary), 1)
	if err := os.WriteFile(f.config, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	f.logged("config applied", `reason="file changed"`)

	const held = 8
	begun := make(chan *http.Response, held)
	for range held {
		answer, err := f.client.Get(f.data + "/iris?hold")
		if err != nil {
			t.Fatal(err)
		}
		begun <- answer
	}
	address := strings.TrimPrefix(canary, "http://")
	f.types("drain "+address+" --ttl 2h --reason driver", 0, address+" is drained (revision 3)",
		"pool canary: 0 of 1 endpoints take requests", "pool stable: 1 of 2 endpoints take requests")
	for range 20 {
		f.answers("/iris", "stable")
	}
	f.types("status", 0, "canary: "+canary+" is drained")
	f.types("override list", 0, "endpoint "+canary, "drained", "in 1h59m", "driver")
	f.types("history", 0, "endpoint "+canary+": drained")
	f.types("drain "+stable, 2, `route "iris": pool "stable" has traffic, and no endpoint that is not drained`)
	f.types("drain 127.0.0.1:9", 1, "unknown endpoint")

	close(release)
	finished := map[string]int{}
	for range held {
		answer := <-begun
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			t.Errorf("a running exchange is cut: %v", err)
		}
		finished[string(body)]++
	}
	if finished["canary"] == 0 || finished["stable"] == 0 || len(finished) != 2 {
		t.Errorf("finished %v", finished)
	}

	f.kill()
	f.restart()
	for range 20 {
		f.answers("/iris", "stable")
	}
	f.types("undrain "+canary, 0, canary+" is drained no more (revision 2)", "pool stable: 2 of 2 endpoints take requests")
	f.types("undrain "+canary, 1, "not drained")
	f.types("drain "+stable+" --force", 0, "pool stable: 1 of 2")
	f.answers("/iris", "canary")
	f.types("drain "+canary+" --force", 0, "pool stable: 0 of 2")
	f.types("status", 0, "No endpoint of pool stable is fit to serve:", "stable: "+canary+" is drained")
}

func TestPlanOfARunningProxy(t *testing.T) {
	f := serve(t, nil)
	next := place(t, "next.yaml", "")
	write := func(was, is string) {
		t.Helper()
		src, err := os.ReadFile(f.config)
		if err == nil {
			err = os.WriteFile(next, []byte(strings.Replace(string(src), was, is, 1)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("", "")
	f.types("plan -c "+next, 0, "no changes")
	write("stable: 1, canary: 0}", "stable: 9, canary: 1}, sticky: [client_ip]")
	f.types("plan -c "+next, 0, "iris: (canary: 0, stable: 1) -> (canary: 1, stable: 9)", "canary", "10%", "from stable")
	f.types("plan -o json -c "+next, 0, `"moves"`)
	f.types("split iris stable=1 canary=1", 0)
	f.types("plan -c "+next, 0, "masked by operators' overrides", "iris: (canary: 1, stable: 9)")
	write("version: 1", "version: 1\nnonsense: 2")
	f.types("plan -c "+next, 3, f.config+":2:1", "nonsense")
	f.types("status", 0, "revision 2")
}

func TestAPendingSwitch(t *testing.T) {
	f := serve(t, nil)
	address, open, give, err := modeltest.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer give()
	f.write(strings.Replace(routes, "green: green, active", "green: late, active", 1))
	written, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	src := strings.Replace(string(written), "pools:\n", fmt.Sprintf("pools:\n  late: {endpoints: [\"http://%s\"]}\n", address), 1)
	put := func(content string) {
		t.Helper()
		if err := os.WriteFile(f.config, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := f.reload(); got != 200 {
			t.Fatalf("reload: %d", got)
		}
	}
	put(src)
	switched := strings.Replace(src, "late, active: blue", "late, active: green", 1)
	f.types("plan -c "+place(t, "next.yaml", switched), 0, "search: the switch to late would be pending: pool late", address)
	put(switched)
	f.answers("/search", "blue")
	f.types("status", 0, "search: the switch to green by the config file has been pending for", address)
	if metrics := f.get("http://" + f.admin + "/metrics"); !strings.Contains(metrics, `mlproxy_switch_pending{route="search"} 1`) {
		t.Error("the gauge does not show it")
	}
	ln, err := open()
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "late") })}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ln) })
	defer serving.Wait()
	defer server.Close()
	f.logged("config applied", "pool late of route search")
	f.answers("/search", "late")
}

// TestKilledAndRestarted kills mlproxy at random points while overrides are written; each time it comes back with the last change
// that it acknowledged, or with the one that it was making.
func TestKilledAndRestarted(t *testing.T) {
	f := serve(t, nil)
	last, made := 0., 0
	for round := range 20 {
		client, err := admin.NewClient(f.admin, "")
		if err != nil {
			t.Fatal(err)
		}
		s, err := client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		is := s.Routes["iris"].Split["canary"]
		if is != last && is != last+1 || len(s.Memory.Dropped) > 0 {
			t.Fatalf("round %d: %g was acknowledged, %g is in force; dropped: %q", round, last, is, s.Memory.Dropped)
		}
		killer := time.AfterFunc(time.Duration(rand.IntN(120_000))*time.Microsecond, func() { _ = f.cmd.Process.Kill() })
		for last = is; ; last++ {
			if _, err := client.SetSplit(context.Background(), control.Change{Route: "iris"}, map[string]float64{"stable": 1, "canary": last + 1}); err != nil {
				break
			}
			made++
		}
		killer.Stop()
		f.kill()
		f.restart()
	}
	if made < 5 {
		t.Errorf("only %d changes were made", made)
	}
}

func TestADiskThatTakesNothing(t *testing.T) {
	f := serve(t, nil)
	f.types("split iris stable=1 canary=1", 0)
	if err := os.Symlink("/dev/full", filepath.Join(f.state(), "overrides.json.next")); err != nil {
		t.Fatal(err)
	}
	f.types("split iris stable=0 canary=1", 1, "no space left on device", "make room in state_dir")
	f.types("status", 0, "revision 2", "50%")

	f.kill()
	if err := os.WriteFile(filepath.Join(f.state(), "overrides.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.restart()
	f.types("status", 0, "At the start, not all overrides could be in force again", "overrides.json.corrupt-", "revision 1 by file")
	f.types("split iris stable=1 canary=1", 0)
}

// TestWatch has the real binary write to a pipe, which is no terminal: snapshots, one after the other.
func TestWatch(t *testing.T) {
	f := serve(t, nil)
	c := exec.Command(binary, "status", "--watch", "--admin", f.admin)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines, shown := bufio.NewScanner(out), 0
	for shown < 2 && lines.Scan() {
		if strings.Contains(lines.Text(), "\x1b") {
			t.Errorf("marks for a terminal: %q", lines.Text())
		}
		if strings.HasPrefix(lines.Text(), "mlproxy ") {
			shown++
		}
	}
	_ = c.Process.Signal(os.Interrupt)
	for lines.Scan() {
	}
	if err := c.Wait(); err != nil || shown != 2 {
		t.Errorf("%d snapshots, %v", shown, err)
	}
}

// TestWatchOnATerminal gives the real binary a terminal to draw on, and takes the proxy away meanwhile.
func TestWatchOnATerminal(t *testing.T) {
	f := serve(t, nil)
	screen, line := openTerminal(t)
	c := exec.Command(binary, "status", "--watch", "--admin", f.admin)
	c.Stdout, c.Env = line, append(os.Environ(), "TERM=xterm", "NO_COLOR=")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_ = line.Close()
	drawn := make(chan string, 1000)
	go func() {
		defer close(drawn)
		buffer := make([]byte, 64<<10)
		for {
			n, err := screen.Read(buffer)
			if err != nil {
				return // the last writer has left
			}
			drawn <- string(buffer[:n])
		}
	}()
	shows := func(parts ...string) {
		t.Helper()
		late, all := time.After(patience), ""
		for _, part := range parts {
			for !strings.Contains(all, part) {
				select {
				case more := <-drawn:
					all += more
				case <-late:
					t.Fatalf("never drew %q: %q", part, all)
				}
			}
		}
	}
	shows("\x1b[H", "\x1b[1mmlproxy ", "ROUTE", "Ctrl-C ends", "\x1b[J")
	f.kill()
	shows("\x1b[H", "\x1b[31mmlproxy cannot be reached")
	_ = c.Process.Signal(os.Interrupt)
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	for range drawn {
	}
}

// openTerminal is a terminal without anybody before it: what is written to line appears on screen.
func openTerminal(t *testing.T) (screen, line *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal("a terminal is needed to test what is drawn on one; mount devpts: ", err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return screen, line
}

func TestFrameIsDrawnInPlace(t *testing.T) {
	if got := string(frame("a\nb\n")); got != "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J" {
		t.Errorf("%q", got)
	}
}

func TestCompletionKnowsTheRunningProxy(t *testing.T) {
	f := serve(t, nil)
	t.Setenv("MLPROXY_ADMIN", f.admin)
	complete := func(want string, words ...string) {
		t.Helper()
		if _, out, _ := typed(append([]string{"complete"}, words...)...); strings.Join(strings.Fields(out), " ") != want {
			t.Errorf("%q: %q, want %q", words, out, want)
		}
	}
	complete("doomed iris search", "rollback", "")
	complete("canary=", "split", "iris", "stable=1", "can")
	complete("blue", "drain", "b")
	if _, out, _ := typed("complete", "drain", "http"); !strings.Contains(out, "http://127.0.0.1:") {
		t.Errorf("endpoints that may be drained: %q", out)
	}
	t.Setenv("MLPROXY_ADMIN", "127.0.0.1:1")
	complete("iris", "rollback", "--admin", f.admin, "i")
	complete("", "rollback", "i")
}

// Every refusal of the API comes out of the command line as JSON too, if that is asked for.
func TestRefusalsForPrograms(t *testing.T) {
	f := serve(t, nil)
	var got complaint
	code, _, errs := typed("drain", "nowhere", "-o", "json", "--admin", f.admin)
	if err := json.Unmarshal([]byte(errs), &got); err != nil || code != 1 || got.Status != 404 || got.Reason != "unknown_pool" {
		t.Errorf("exit %d: %s", code, errs)
	}
	code, _, errs = typed("split", "iris", "stable=1", "-o", "json", "--admin", f.admin)
	if err := json.Unmarshal([]byte(errs), &got); err != nil || code != 2 || got.Reason != "invalid" || len(got.Faults) != 1 {
		t.Errorf("exit %d: %s", code, errs)
	}
}
