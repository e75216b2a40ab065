package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long anything is waited for that must come; it comes at once unless something is broken.
const patience = 30 * time.Second

var underRace bool

// The programs of the tests. Under the race detector, mlproxy is built with it; it then takes ten times as long, so tests
// that count very many requests and ask for nothing else take the swift one, which is what people run.
var (
	mlproxy     string
	swift       string
	modelserver string
)

// TestMain builds the programs once for all tests.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mlproxy-e2e")
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	report := standstills()
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.Cleanup(func(code int) {
		report(os.Stderr)
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// lookAtSources reads the folders of the program, once, and nothing more. go test remembers what a test has looked at while it
// ran, and takes no result from its cache when that has changed; of what a test has others build it knows nothing.
var lookAtSources = sync.OnceValue(func() error {
	const root = "../../.."
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return fs.SkipDir
		}
		return err
	})
})

func build(dir string) error {
	swift, modelserver = filepath.Join(dir, "mlproxy"), filepath.Join(dir, "modelserver")
	mlproxy = swift
	if err := goBuild("-o", dir, "mlproxy/cmd/mlproxy", "./testdata/modelserver"); err != nil || !underRace {
		return err
	}
	mlproxy = filepath.Join(dir, "mlproxy-race")
	return goBuild("-race", "-o", mlproxy, "mlproxy/cmd/mlproxy")
}

func goBuild(args ...string) error {
	out, err := exec.Command("go", append([]string{"build"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build %v: %w\n%s", args, err, out)
	}
	return nil
}

// await asks again and again until ok holds, and fails the test with the last reason when patience ends.
func await(t *testing.T, what string, ok func() error) {
	t.Helper()
	end := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("waited in vain: %s: %v", what, err)
		}
	}
}

// equal is an error unless got is want.
func equal[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
