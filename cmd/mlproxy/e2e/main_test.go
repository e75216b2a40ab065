package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long anything is waited for that must come; it comes at once unless something is broken.
const patience = 30 * time.Second

var (
	underRace bool
	binary    string // the program under test
)

// TestMain builds the binary once for all tests.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mlproxy-e2e")
	if err == nil {
		binary = filepath.Join(dir, "mlproxy")
		err = build(binary)
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

func build(to string) error {
	args := []string{"build", "-o", to}
	if underRace {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "mlproxy/cmd/mlproxy")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the binary does not build: %w\n%s", err, out)
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
