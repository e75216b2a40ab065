package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"
)

// binary is the real program, built once; with the race detector if the tests have it.
var (
	binary     string
	buildFlags []string
)

func TestMain(m *testing.M) { os.Exit(testAll(m)) }

func testAll(m *testing.M) int {
	folder, err := os.MkdirTemp("", "mlproxy-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "mlproxy")
	build := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", binary, ".")...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot build the binary the tests drive:", err)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// typed carries out a command line in this process.
func typed(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, &terminal{Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// place writes a file into a folder of the test's own.
func place(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const sound = `version: 1
pools:
  a: {endpoints: ["http://127.0.0.1:1"]}
  b: {endpoints: ["http://127.0.0.1:2"]}
routes:
  r: {match: {path: /}, split: {a: 1, b: 1}}
`

func TestCommandLines(t *testing.T) {
	t.Setenv("MLPROXY_ADMIN", "127.0.0.1:1")
	good := place(t, "good.yaml", sound)
	bad := place(t, "bad.yaml", sound+"  r2: {match: {path: /}, split: {c: 1}}\nrouts: {}\n")
	twice := place(t, "twice.yaml", sound+"  r2: {match: {path: /}, split: {a: 1}}\n")
	empty := place(t, "token", "")

	f := func(line string, code int, out, errs string) {
		t.Helper()
		c, o, e := typed(strings.Fields(line)...)
		if c != code || !strings.Contains(o, out) || !strings.Contains(e, errs) {
			t.Errorf("mlproxy %s: exit %d\n%s%s\nwant exit %d, %q, %q", line, c, o, e, code, out, errs)
		}
	}
	f("", 2, "Usage: mlproxy", "")
	f("version", 0, "mlproxy ", "")
	f("version -o json", 0, `"go": "go1`, "")
	f("version -o xml", 2, "", "xml")
	f("chekc", 2, "", "chekc")
	f("check --bogus", 2, "", "--bogus")

	f("check -c "+good, 0, good+": ok (2 pools, 1 route)\n", "")
	f("check -o json -c "+good, 0, `"ok": true`, "")
	f("check -c "+bad, 3, "", bad+":8:1: ")
	f("check -c "+bad, 3, "", `there is no pool "c"`)
	f("check -o json -c "+bad, 3, `"line": 8`, "")
	f("check -c "+twice, 3, "", "same requests")
	f("check -c /nowhere", 3, "", "/nowhere")
	f("serve -c "+bad, 3, "", "routs")
	f("serve -c "+twice, 3, "", "same requests")
	f("serve -c /nowhere", 3, "", "/nowhere")

	f("split r", 2, "", "pool=weight")
	f("split r a", 2, "", "pool=weight")
	f("split r a=b", 2, "", "a=b")
	f("split r =1", 2, "", "=1")
	f("split r a=1 a=2", 2, "", "twice")
	f("split r a=1", 4, "", "cannot be reached")
	f("switch r purple", 2, "", "purple")
	f("switch r", 2, "", "active")
	f("switch r green", 4, "", "cannot be reached")
	f("rollback r", 4, "", "cannot be reached")
	f("reset r", 4, "", "cannot be reached")
	f("status", 4, "", "cannot be reached")
	f("status --admin ftp://x", 2, "", "ftp://x")
	f("status --token-file "+empty, 2, "", "empty")
}

func TestSchema(t *testing.T) {
	code, out, _ := typed("schema")
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Compile("schema.json"); err != nil {
		t.Error(err)
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	out, err := exec.Command(binary, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"serve", "check", "schema", "demo", "status", "split", "switch", "rollback", "reset", "version"} {
		if !strings.Contains(string(out), "  "+name+" ") {
			t.Errorf("help does not name %s:\n%s", name, out)
		}
	}
}

func TestCheckForPrograms(t *testing.T) {
	path := place(t, "bad.yaml", sound+"routs: {}\n")
	_, out, _ := typed("check", "-o", "json", "-c", path)
	var got checked
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Faults) != 1 || got.OK || got.Faults[0].Line != 7 || got.Faults[0].Column != 1 || got.Faults[0].Remedy == "" {
		t.Errorf("got %+v", got)
	}
}
