package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"mlproxy/modeltest"
)

const deploy = "../../../deploy/"

// read is a file of the repository, by its path from deploy/.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(deploy + name)
	must(t, err)
	return string(text)
}

// finds is the one group of an expression that a text must have.
func finds(t *testing.T, text, expression string) string {
	t.Helper()
	m := regexp.MustCompile(expression).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%q is not in:\n%s", expression, text)
	}
	return m[1]
}

// Prometheus understands rules and config, and the alerts come when they should.
func TestAlerts(t *testing.T) {
	promtool(t, "check", "rules", "alerts.yml")
	promtool(t, "check", "config", "prometheus.yml")
	promtool(t, "test", "rules", "alerts_test.yml")
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	run := exec.Command("promtool", args...)
	run.Dir = deploy
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v (it comes with Debian's package prometheus)\n%s", strings.Join(args, " "), err, out)
	}
}

// Every metric that an alert, its test or the dashboard asks for is one that mlproxy has.
func TestDeployedMetricsExist(t *testing.T) {
	page := read(t, "../docs/metrics.md")
	part := regexp.MustCompile(`_(bucket|count|sum)$`)
	for _, file := range []string{"alerts.yml", "alerts_test.yml", "grafana/mlproxy.json"} {
		names := regexp.MustCompile(`mlproxy_\w+`).FindAllString(read(t, file), -1)
		if len(names) == 0 {
			t.Errorf("%s asks for no metric", file)
		}
		for _, name := range names {
			if !strings.Contains(page, "`"+part.ReplaceAllString(name, "")+"`") {
				t.Errorf("%s: docs/metrics.md has no %s", file, name)
			}
		}
	}
}

// The dashboard's panels stand beside each other, and Prometheus understands what they ask.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title, Type string
			GridPos     struct{ X, Y int }
			Targets     []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal([]byte(read(t, "grafana/mlproxy.json")), &dashboard))
	places := map[struct{ X, Y int }]bool{}
	asked := strings.NewReplacer("$__rate_interval", "1m", "$route", ".*")
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for _, p := range dashboard.Panels {
		if p.Title == "" || places[p.GridPos] || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %+v lacks something, or stands where another does", p)
		}
		places[p.GridPos] = true
		for _, target := range p.Targets {
			rules += fmt.Sprintf("  - {record: %q, expr: %q}\n", fmt.Sprintf("panel:%d", len(rules)), asked.Replace(target.Expr))
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	must(t, os.WriteFile(file, []byte(rules), 0o600))
	promtool(t, "check", "rules", file)
}

// The config for the units and for compose.yaml is good as it stands, and in both places.
func TestDeployedConfig(t *testing.T) {
	f := func(env ...string) {
		t.Helper()
		check := exec.Command(swift, "check", "-c", deploy+"config.yaml")
		check.Env = env
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("with %q: %v\n%s", env, err, out)
		}
	}
	f()
	token := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(token, []byte("secret"), 0o600))
	compose, env := composed(t), []string{"STATE_DIRECTORY=/state"}
	for name, value := range compose.Services["mlproxy"].Environment {
		if !strings.Contains(read(t, "config.yaml"), "${"+name+":-") {
			t.Errorf("compose.yaml sets %s, which config.yaml does not know", name)
		}
		if name == "MLPROXY_TOKEN_FILE" {
			value = token
		}
		env = append(env, name+"="+value)
	}
	f(env...)
}

// composition is as much of compose.yaml as the tests look at.
type composition struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
		Volumes     []string
	}
	Volumes map[string]any
}

func composed(t *testing.T) (c composition) {
	t.Helper()
	must(t, yaml.Unmarshal([]byte(read(t, "compose.yaml")), &c))
	return c
}

// What compose.yaml puts into containers is there, and what it starts is a command.
func TestCompose(t *testing.T) {
	c := composed(t)
	for name, service := range c.Services {
		for _, volume := range service.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			_, named := c.Volumes[from]
			_, err := os.Stat(deploy + from)
			if made := from == "./token"; !named && !made && err != nil {
				t.Errorf("service %s: %v", name, err)
			}
		}
	}
	if got := strings.Join(c.Services["mlproxy"].Command, " "); got != "serve -c /etc/mlproxy/config.yaml" {
		t.Errorf("mlproxy is started as %s", got)
	}
	must(t, fs.WalkDir(os.DirFS(deploy), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".yml" && filepath.Ext(name) != ".yaml" {
			return err
		}
		var content any
		return yaml.Unmarshal([]byte(read(t, name)), &content)
	}))
}

// The image is built by the Go that go.mod wants, and its health check tells a mlproxy that answers from none.
func TestImage(t *testing.T) {
	file := read(t, "Dockerfile")
	must(t, equal("the Go of the image", finds(t, file, `FROM golang:(\d+\.\d+)`), finds(t, read(t, "../go.mod"), `(?m)^go (\d+\.\d+)`)))
	var check []string
	must(t, json.Unmarshal([]byte(finds(t, file, `HEALTHCHECK .* CMD (\[.*\])`)), &check))
	must(t, equal("the program of the health check", check[0], "/mlproxy"))
	check = slices.DeleteFunc(check[1:], func(arg string) bool { return arg == "--admin" || strings.HasPrefix(arg, "http://") })
	r := start(t, simply(serve(t, modeltest.Options{}).URL))
	r.cli(0, check...)
	r.cliWithout(4, append(check, "--admin", dead(t))...)
	for _, source := range regexp.MustCompile(`go build .* (\./\S+)`).FindAllStringSubmatch(file, -1) {
		_, err := os.Stat(deploy + "../" + source[1])
		must(t, err)
	}
}

// The units start mlproxy as it can be started, and hand it the socket that its config asks for.
func TestUnits(t *testing.T) {
	service, socket := read(t, "mlproxy.service"), read(t, "mlproxy.socket")
	must(t, equal("the command", finds(t, service, `(?m)^ExecStart=/usr/local/bin/mlproxy (.*)$`), "serve -c /etc/mlproxy/config.yaml"))
	must(t, equal("the name of the socket", finds(t, socket, `(?m)^FileDescriptorName=(.*)$`), "data"))
	must(t, equal("the address", finds(t, socket, `(?m)^ListenStream=(.*)$`), finds(t, read(t, "config.yaml"), `(?m)^listen: (\S+)`)))
	must(t, equal("whom systemd listens to", finds(t, service, `(?m)^NotifyAccess=(.*)$`), "all"))
	finds(t, service, `(?m)^(StateDirectory)=`)
	finds(t, read(t, "config.yaml"), `(?m)^state_dir: \$\{(STATE_DIRECTORY)`)
	setting := regexp.MustCompile(`^([A-Z][A-Za-z]+=.*|\[[A-Z][a-z]+\]|#.*|)$`)
	for line := range strings.Lines(service + socket) {
		if !setting.MatchString(strings.TrimSpace(line)) {
			t.Errorf("a line that is none of a unit: %q", line)
		}
	}
	verify(t, service, socket)
}

// verify has systemd look at the units where there is one, with the binary of the tests.
func verify(t *testing.T, service, socket string) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return
	}
	dir := t.TempDir()
	units := []string{filepath.Join(dir, "mlproxy.service"), filepath.Join(dir, "mlproxy.socket")}
	must(t, os.WriteFile(units[0], []byte(strings.Replace(service, "/usr/local/bin/mlproxy", swift, 1)), 0o600))
	must(t, os.WriteFile(units[1], []byte(socket), 0o600))
	if out, err := exec.Command(program, "verify", units[0], units[1]).CombinedOutput(); err != nil || strings.Contains(string(out), dir) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
