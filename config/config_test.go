package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is computed to testdata/*.want and docs/config.md")

func noEnv(string) (string, bool) { return "", false }

// mustParse reads a config that is known to be right.
func mustParse(t testing.TB, src string) *Config {
	t.Helper()
	c, err := Parse("config.yaml", []byte(src), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func files(t testing.TB, patterns ...string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, pattern := range patterns {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("no file is like %s (%v)", pattern, err)
		}
		for _, name := range names {
			if all[name], err = os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

func refusedFiles(t testing.TB) map[string][]byte { return files(t, places("*.yaml")...) }

func goodFiles(t testing.TB) map[string][]byte { return files(t, places("good/*.yaml")...) }

// places is the pattern in testdata and in its folders, one for each group of keys; what is good has folders of its own.
func places(pattern string) []string {
	all := []string{"testdata/" + pattern}
	folders, _ := filepath.Glob("testdata/*/good") // the pattern is right
	for _, good := range folders {
		all = append(all, filepath.Dir(good)+"/"+pattern)
	}
	return all
}

// Each refused file is named for what is wrong with it, and beside it is exactly what is said of it.
func TestRefused(t *testing.T) {
	all := refusedFiles(t)
	if len(all) < 40 {
		t.Errorf("only %d kinds of faults have a file", len(all))
	}
	for name, src := range all {
		t.Run(strings.TrimPrefix(name, "testdata/"), func(t *testing.T) {
			_, err := Parse(filepath.Base(name), src, noEnv)
			if err == nil {
				t.Fatal("was taken")
			}
			got, golden := err.Error()+"\n", strings.TrimSuffix(name, "yaml")+"want"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, _ := os.ReadFile(golden)
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGood(t *testing.T) {
	for name, src := range goodFiles(t) {
		c, err := Parse(name, src, noEnv)
		if err != nil {
			t.Errorf("refused:\n%v", err)
			continue
		}
		if faults := c.check(); faults != nil {
			t.Errorf("%s: faulty when checked again:\n%v", name, faults)
		}
	}
}

func TestExampleLoads(t *testing.T) {
	if _, err := Load("../config.yaml"); err != nil {
		t.Error(err)
	}
}
