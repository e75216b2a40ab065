package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"

	"mlproxy/control"
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
	f("override remove r", 4, "", "cannot be reached")
	f("override list", 4, "", "cannot be reached")
	f("override", 2, "", "list")
	f("drain p", 4, "", "cannot be reached")
	f("undrain p", 4, "", "cannot be reached")
	f("summary r", 4, "", "cannot be reached")
	f("summary r --window soon", 2, "", "soon")
	f("history", 4, "", "cannot be reached")
	f("restore 3", 4, "", "cannot be reached")
	f("restore three", 2, "", "three")
	f("split r a=1 --ttl soon", 2, "", "soon")
	f("split r a=1 --ttl -5m", 2, "", "-5m")
	f("plan -c "+good, 4, "", "cannot be reached")
	f("plan -c /nowhere", 3, "", "/nowhere")
	f("plan -c "+good+" --against "+good, 0, "no changes", "")
	f("plan -c "+good+" --against "+bad, 3, "", bad+":8:1: ")
	f("plan -c "+twice+" --against "+good, 3, "", "same requests")
	f("status --watch", 4, "", "cannot be reached")
	f("completion", 2, "", "shell")
	f("completion tcsh", 2, "", "tcsh")
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
	for _, name := range []string{
		"serve", "check", "plan", "schema", "demo", "status", "split", "switch", "rollback", "drain", "undrain", "override list",
		"override remove", "history", "summary", "restore", "completion", "version",
	} {
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

func TestErrorsForPrograms(t *testing.T) {
	t.Setenv("MLPROXY_ADMIN", "127.0.0.1:1")
	bad := place(t, "bad.yaml", sound+"routs: {}\n")
	f := func(line string, want complaint) {
		t.Helper()
		var got complaint
		code, out, errs := typed(strings.Fields(line)...)
		if err := json.Unmarshal([]byte(errs), &got); err != nil || out != "" || code != want.Exit || got.Exit != want.Exit ||
			!strings.Contains(got.Error, want.Error) || len(got.Faults) != len(want.Faults) {
			t.Errorf("mlproxy %s: exit %d\n%s%s", line, code, out, errs)
		}
	}
	f("status -o json", complaint{Exit: 4, Error: "cannot be reached"})
	f("split r a=b --output=json", complaint{Exit: 2, Error: "a=b"})
	f("bogus -o json", complaint{Exit: 2, Error: "bogus"})
	f("plan -o json -c "+bad+" --against "+bad, complaint{Exit: 3, Error: "mend", Faults: make([]fault, 1)})
}

func TestPlanOfTwoFiles(t *testing.T) {
	before := place(t, "before.yaml", `version: 1
pools:
  a: {endpoints: ["http://127.0.0.1:1"]}
  b: {endpoints: ["http://127.0.0.1:2"]}
routes:
  keyed: {match: {path: /k}, split: {a: 95, b: 5}, sticky: [client_ip]}
  free: {match: {path: /f}, split: {a: 1}}
  gone: {match: {path: /g}, split: {a: 1}}
`)
	after := place(t, "after.yaml", `version: 1
pools:
  a: {endpoints: ["http://127.0.0.1:1", "http://127.0.0.1:3"]}
  c: {endpoints: ["http://127.0.0.1:4"]}
routes:
  keyed: {match: {path: /k}, split: {a: 90, c: 10}, sticky: [client_ip]}
  free: {match: {path: /f}, split: {a: 1, c: 1}}
  new: {match: {path: /n}, split: {c: 1}}
`)
	code, out, errs := typed("plan", "-c", after, "--against", before)
	if code != 0 || errs != "" {
		t.Fatalf("exit %d, %s", code, errs)
	}
	for _, want := range []string{
		"keyed: (a: 95, b: 5) -> (a: 90, c: 10)", "gone: gone", "new: new (c: 1)",
		"pools that come:\n  c\n", "pools that go:\n  b\n", "endpoints that come:\n  a http://127.0.0.1:3\n  c http://127.0.0.1:4\n",
		"endpoints that go:\n  b http://127.0.0.1:2\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	rows := regexp.MustCompile(`(?m)^(\w*) +([abc]) +(\S+) +(\S+) *(.*)$`).FindAllString(out, -1)
	got := regexp.MustCompile(` +`).ReplaceAllString(strings.Join(rows, "\n"), " ")
	got = regexp.MustCompile(`\d+\.\d+% from`).ReplaceAllString(got, "N% from")
	const want = `free a 100% 50%
 c - 50%
gone a 100% -
keyed a 95% 90% N% from b
 c - 10% N% from a, N% from b
 b 5% -
new c - 100%`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s\nin\n%s", got, want, out)
	}

	var plan control.Plan
	_, out, _ = typed("plan", "-c", after, "--against", before, "-o", "json")
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		t.Fatal(err)
	}
	keyed := plan.Routes["keyed"] // all of b must move, and a tenth of a
	if moved := keyed.Moved(); math.Abs(moved-0.14) > 0.005 || keyed.Moves[0].From != "a" || keyed.Moves[0].To != "c" {
		t.Errorf("moves %+v", keyed.Moves)
	}
}

func TestCompletion(t *testing.T) {
	t.Setenv("MLPROXY_ADMIN", "127.0.0.1:1") // nobody who knows names of routes
	f := func(words []string, want ...string) {
		t.Helper()
		_, out, _ := typed(append([]string{"complete"}, words...)...)
		if got := strings.Fields(out); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
	f([]string{"s"}, "serve", "schema", "status", "summary", "split", "switch", "shadow")
	f([]string{"override", ""}, "list", "remove")
	f([]string{"switch", "search", ""}, "blue", "green")
	f([]string{"switch", "--reason", "why", "search", "g"}, "green")
	f([]string{"switch", "search", "--f"}, "--force")
	f([]string{"status", "-o", ""}, "text", "json")
	f([]string{"status", "--output=json", "--w"}, "--watch")
	f([]string{"completion", ""}, "bash", "zsh", "fish")
	f([]string{"check", "-c", ""})
	f([]string{"split", ""})
	f([]string{"com"}, "completion")
	f(nil, commands(newParser(&terminal{}).Model.Node)...)
}

// The script for bash, in a bash: it asks the binary for words and puts them where bash looks for them.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("bash is needed to test its completion; install bash: ", err)
	}
	script := `source <(mlproxy completion bash); COMP_WORDS=(mlproxy switch search ""); COMP_CWORD=3; _mlproxy; echo "${COMPREPLY[*]}"`
	c := exec.Command(bash, "-c", script)
	c.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	if out, err := c.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "blue green" {
		t.Errorf("%v: %s", err, out)
	}
	for shell := range completions {
		if code, out, _ := typed("completion", shell); code != 0 || !strings.Contains(out, "mlproxy complete ") {
			t.Errorf("completion %s: exit %d, %s", shell, code, out)
		}
	}
}
