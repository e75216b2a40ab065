package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	guardedFile = `
version: 1
pools: {a: {endpoints: [http://127.0.0.1:9001]}}
routes:
  x: {match: {path: /x}, split: {a: 1}, api_keys: {file: keys.yaml}}
  y: {match: {path: /y}, split: {a: 1}, api_keys: {file: keys.yaml}}
`
	oneSum, otherSum = "0000000000000000000000000000000000000000000000000000000000000001", "AB00000000000000000000000000000000000000000000000000000000000002"
)

// loadWithKeys loads guardedFile beside a file of keys.
func loadWithKeys(t *testing.T, keys string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"config.yaml": guardedFile, "keys.yaml": keys} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(filepath.Join(dir, "config.yaml"))
	if err != nil {
		return nil, Faults{{What: strings.ReplaceAll(err.Error(), dir+"/", "")}}
	}
	return c, nil
}

func TestKeysAreReadFromTheirFile(t *testing.T) {
	c, err := loadWithKeys(t, "team-a: {sha256: "+oneSum+"}\nteam-b: {sha256: ["+otherSum+"], routes: [x]}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Key{"team-a": {SHA256: []string{oneSum}, Routes: []string{}}, "team-b": {SHA256: []string{strings.ToLower(otherSum)}, Routes: []string{"x"}}}
	for _, route := range []string{"x", "y"} {
		if diff := cmp.Diff(want, c.Routes[route].APIKeys.Keys); diff != "" {
			t.Errorf("%s (-want +got):\n%s", route, diff)
		}
	}
	if files := c.Files(); len(files) != 1 || filepath.Base(files[0]) != "keys.yaml" {
		t.Errorf("the config is read from %v as well", files)
	}
	if _, err := loadWithKeys(t, "{}\n"); err != nil {
		t.Error("nobody may have a key:", err)
	}
}

// What is wrong with the keys is said with its place, and without quoting what may be a key.
func TestRefusedKeys(t *testing.T) {
	f := func(keys, want string) {
		t.Helper()
		_, err := loadWithKeys(t, keys)
		if err == nil {
			t.Errorf("%q was taken", keys)
		} else if got := strings.Trim(err.Error(), ":; "); !strings.Contains(got, want) || strings.Contains(got, "mlp_") {
			t.Errorf("%q gave\n%s\nwant\n%s", keys, got, want)
		}
	}
	f("", "keys.yaml:1:1: ")
	f("team-a: {sha256: mlp_secret}\n", "keys.yaml:1:18: team-a.sha256 is not the SHA-256 of a key; write 64 hexadecimal digits")
	f("team-a: mlp_secret\n", "keys.yaml:1:9: team-a is a single value; write a mapping such as")
	f("team-a: {}\n", "keys.yaml:1:9: team-a.sha256 is missing")
	f("Team A: {sha256: "+oneSum+"}\n", "keys.yaml:1:1: Team A is not a name")
	f("a: {sha256: "+oneSum+", routes: [z]}\n", `there is no route "z"; known are x, y`)
	f("a: {sha256: "+oneSum+"}\nb: {sha256: "+oneSum+"}\n", "keys.yaml:2:13: b has the key of a; make one for each")
	f("a: {sha256: "+oneSum+", rate: 5}\n", "unknown key a.rate")
}

// A key that comes, goes or is replaced is a change that people see, and its hash is never shown.
func TestChangesOfKeys(t *testing.T) {
	load := func(keys string) *Config {
		c, err := loadWithKeys(t, keys)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Routes {
			r.APIKeys.File = "keys.yaml" // not of a folder that each has of its own
		}
		c.StateDir = "state"
		return c
	}
	one, two, none := load("a: {sha256: "+oneSum+"}\n"), load("a: {sha256: "+otherSum+"}\nb: {sha256: "+oneSum+"}\n"), mustParse(t, guardedFile)
	want := []Change{
		{"routes.x.api_keys.keys.a", "redacted", "redacted"},
		{"routes.x.api_keys.keys.b", "", "redacted"},
		{"routes.y.api_keys.keys.a", "redacted", "redacted"},
		{"routes.y.api_keys.keys.b", "", "redacted"},
	}
	if diff := cmp.Diff(want, Diff(one, two)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if one.Digest() == two.Digest() {
		t.Error("other keys have the same digest")
	}
	if changes := Diff(one, none); len(changes) > 0 {
		t.Errorf("keys that were not read are told as gone: %v", changes)
	}
	if text := string(Render(two)); strings.Contains(text, oneSum) || strings.Contains(text, "redacted") {
		t.Errorf("keys are shown:\n%s", text)
	}
}
