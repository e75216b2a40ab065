package conformance

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// given is the binary to be tested; without it one is built.
var given = flag.String("binary", "", "path of an mlproxy to be tested, in place of one built here")

var (
	buildFlags []string
	workshop   string // temporary folder
)

// TestMain builds the binary once for all tests. Most of their time they wait for something, so that more are played at once than there are
// processors.
func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8")
	flag.Parse()
	dir, err := os.MkdirTemp("", "conformance")
	workshop = dir
	if err == nil && *given == "" {
		*given = filepath.Join(dir, "mlproxy")
		err = build(*given)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// lookAtSources walks the program's folders during a test, so that go test, which knows nothing of what the binary was built from,
// takes no result from its cache when a source has changed.
var lookAtSources = sync.OnceValue(func() error {
	const root = "../.."
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return fs.SkipDir
		}
		return err
	})
})

func build(to string) error {
	args := append(append([]string{"build"}, buildFlags...), "-o", to, "mlproxy/cmd/mlproxy")
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the binary does not build: %w\n%s", err, out)
	}
	return nil
}

// binary is a running mlproxy.
type binary struct {
	data, admin string // bound addresses
	cmd         *exec.Cmd
	stopped     sync.Once
	mu          sync.Mutex
	log         bytes.Buffer
	drained     chan struct{} // closed when the log has ended
}

var serving = regexp.MustCompile(`msg=serving data=(\S+) admin=(\S+)`)

// start serves a config until the test and its subtests have ended. It must then end well by itself: no exchange may
// hang, and the log may show neither a panic nor a race.
func start(t *testing.T, config string) *binary {
	if err := lookAtSources(); err != nil {
		t.Fatal(err)
	}
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &binary{cmd: exec.Command(*given, "serve", "-c", file), drained: make(chan struct{})}
	out, err := b.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.cmd.Stdout = b.cmd.Stderr
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.stop(t) })
	ready := make(chan struct{})
	go b.keepLog(out, ready)
	select {
	case <-ready:
	case <-b.drained:
		t.Fatalf("mlproxy ended before it served:\n%s", b.text())
	case <-time.After(patience):
		t.Fatalf("mlproxy does not serve:\n%s", b.text())
	}
	return b
}

func (b *binary) keepLog(from io.Reader, ready chan struct{}) {
	defer close(b.drained)
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		b.mu.Lock()
		b.log.WriteString(line)
		b.mu.Unlock()
		if m := serving.FindStringSubmatch(line); m != nil {
			b.data, b.admin = m[1], m[2]
			close(ready)
		}
		if err != nil {
			return
		}
	}
}

func (b *binary) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

// stop ends the binary, unless it was before.
func (b *binary) stop(t *testing.T) { b.stopped.Do(func() { b.end(t) }) }

func (b *binary) end(t *testing.T) {
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.drained:
	case <-time.After(3 * patience):
		t.Error("mlproxy did not end within its time after SIGTERM")
		_ = b.cmd.Process.Kill()
		<-b.drained
	}
	if err := b.cmd.Wait(); err != nil {
		t.Errorf("mlproxy ended with %v:\n%s", err, b.text())
	}
	for _, sign := range []string{"DATA RACE", "panic"} {
		if strings.Contains(b.text(), sign) {
			t.Errorf("mlproxy's log shows a %s:\n%s", sign, b.text())
		}
	}
}

// world is a config's text: one pool and one route per case, so that no case disturbs another.
type world struct {
	limits string   // of the section limits, as flow YAML
	more   string   // further top-level sections
	route  string   // further keys of every route
	pool   string   // further keys of every pool
	hosts  []string // addresses of the model servers, one per case
	alone  bool     // the only case's route takes every path
	secure bool     // TLS on both sides
}

func (w *world) yaml(dir string) string {
	var b strings.Builder
	scheme := "http"
	if w.secure {
		scheme = "https"
		w.more += "\n" + theirs().listener
		w.pool = strings.TrimPrefix(comma(w.pool)+", "+theirs().pool, ", ")
	}
	fmt.Fprintf(&b, "version: 1\nlisten: 127.0.0.1:0\nadmin: {listen: \"127.0.0.1:0\"}\nstate_dir: %q\n", dir)
	fmt.Fprintf(&b, "shutdown: {drain: 2s}\nlimits: {%s}\n%s\npools:\n", w.limits, w.more)
	for i, host := range w.hosts {
		fmt.Fprintf(&b, "  c%d: {endpoints: [\"%s://%s\"]%s}\n", i, scheme, host, comma(w.pool))
	}
	b.WriteString("routes:\n")
	for i := range w.hosts {
		path := fmt.Sprintf("/c%d/", i)
		if w.alone {
			path = "/"
		}
		fmt.Fprintf(&b, "  c%d: {match: {path: %q}, split: {c%d: 1}%s}\n", i, path, i, comma(w.route))
	}
	return b.String()
}

func comma(more string) string {
	if more == "" {
		return ""
	}
	return ", " + more
}
