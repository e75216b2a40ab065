package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/source"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		fmt.Fprintln(os.Stderr, writer(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// desk is a running loop with everything around it.
type desk struct {
	*testing.T
	*Loop
	updates chan source.Update
	log     *logged
	up      string      // an endpoint that can be reached
	down    string      // and one that cannot
	dir     string      // of the state
	share   func(*Loop) // what comes before Begin; nil = nothing
	stop    func()      // ends the run
}

// logged is a log that one writes while others read.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *logged) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *logged) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

const iris = `iris: {match: {path: /iris}, split: {stable: 95, canary: 5}}`

// newDesk starts a loop with two routes: iris, a split of stable and canary, and search, blue/green with a dead green.
func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{T: t, up: listening(t), down: "http://127.0.0.1:1", dir: t.TempDir()}
	t.Cleanup(d.run())
	return d
}

// run begins with what there is in the state's folder, and returns what ends it. The run before ends first: a folder has one writer.
func (d *desk) run() (stop func()) {
	d.Helper()
	if d.stop != nil {
		d.stop()
	}
	d.updates, d.log = make(chan source.Update), new(logged)
	d.Loop = New(router.NewEstate(monitor.New()), new(router.Router), slog.New(slog.NewTextHandler(d.log, nil)))
	if d.share != nil {
		d.share(d.Loop)
	}
	if err := d.Begin(source.Update{Origin: "file", Reason: "start", Config: d.config(iris)}); err != nil {
		d.Fatal(err)
	}
	ctx, end := context.WithCancel(d.Context())
	ended, l, updates := make(chan error), d.Loop, d.updates
	go func() { ended <- l.Run(ctx, updates) }()
	d.stop = sync.OnceFunc(func() {
		end()
		if err := <-ended; err != nil {
			d.Error(err)
		}
	})
	return d.stop
}

// listening is an endpoint that takes connections while the test runs.
func listening(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return "http://" + ln.Addr().String()
}

// config is a config file with the given routes besides search.
func (d *desk) config(routes ...string) *config.Config {
	d.Helper()
	src := fmt.Sprintf(`version: 1
listen: 127.0.0.1:0
admin: {listen: 127.0.0.1:0}
state_dir: %[4]q
pools:
  stable: {endpoints: [%[1]q]}
  canary: {endpoints: [%[1]q]}
  next: {endpoints: [%[1]q]}
  blue: {endpoints: [%[1]q]}
  green: {endpoints: [%[2]q]}
routes:
  search: {match: {path: /search}, blue_green: {blue: blue, green: green, active: blue}}
  %[3]s
`, d.up, d.down, strings.Join(routes, "\n  "), d.dir)
	c, err := config.Parse("config.yaml", []byte(src), func(string) (string, bool) { return "", false })
	if err != nil {
		d.Fatal(err)
	}
	return c
}

// reloadFile has the loop take a new file and returns what became of it.
func (d *desk) reloadFile(c *config.Config, err error) error {
	outcome := make(chan error, 1)
	d.updates <- source.Update{Origin: "file", Reason: "reload", Config: c, Err: err, Outcome: outcome}
	return <-outcome
}

// inForce is what a route does, with its origin and the revision: "3 operator canary: 10, stable: 90".
func (d *desk) inForce(route string) string {
	s := d.Status()
	r := s.Routes[route]
	return fmt.Sprintf("%d %s %s", s.Number, r.Origin, text(config.Override{Split: r.Split, Active: r.Active}))
}

// expect holds the outcome of a change against the error wanted (nil for none) and what is in force then.
func (d *desk) expect(what string, err, want error, route, inForce string) {
	d.Helper()
	if !errors.Is(err, want) {
		d.Errorf("%s: error %v, want %v", what, err, want)
	}
	if got := d.inForce(route); got != inForce {
		d.Errorf("%s: in force is %q, want %q", what, got, inForce)
	}
}

func (d *desk) split(route string, w config.Weights) error {
	_, err := d.SetSplit(d.Context(), Change{Route: route, Author: "ann", Reason: "test"}, w)
	return err
}

func TestSplitIsInForceWhenItReturns(t *testing.T) {
	d := newDesk(t)
	d.expect("start", nil, nil, "iris", "1 file canary: 5, stable: 95")
	revision, err := d.SetSplit(t.Context(), Change{Route: "iris", Author: "ann", Reason: "more"}, config.Weights{"stable": 90, "canary": 10})
	d.expect("split", err, nil, "iris", "2 operator canary: 10, stable: 90")
	if revision.Number != 2 || revision.Author != "ann" || revision.Reason != "more" || revision.Origin != "operator" {
		t.Errorf("revision %+v", revision)
	}
	if got := d.router.Table().Routes()[0].Force([]byte("canary")).Share; got != 0.1 {
		t.Errorf("the table gives the canary %g", got)
	}
	d.expect("the same again", d.split("iris", config.Weights{"stable": 90, "canary": 10}), nil, "iris", "2 operator canary: 10, stable: 90")
}

func TestRefusedSplitsChangeNothing(t *testing.T) {
	d := newDesk(t)
	var faults config.Faults
	f := func(route string, split config.Weights, want string) {
		t.Helper()
		err := d.split(route, split)
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want faults with %q", split, err, want)
		}
		d.expect("refused", nil, nil, "iris", "1 file canary: 5, stable: 95")
	}
	f("iris", config.Weights{"stable": 1}, "without canary")
	f("iris", config.Weights{"stable": 1, "canary": 0, "next": 1}, `no pool "next"`)
	f("iris", config.Weights{"stable": 0, "canary": 0}, "weight 0")
	f("iris", config.Weights{"stable": -1, "canary": 2}, "-1")
	f("search", config.Weights{"blue": 1, "green": 1}, "blue/green")

	err := d.split("irs", config.Weights{"stable": 1})
	if !errors.Is(err, ErrUnknownRoute) || !strings.Contains(err.Error(), `did you mean "iris"`) {
		t.Errorf("unknown route: %v", err)
	}
}

func TestSwitch(t *testing.T) {
	d := newDesk(t)
	to := func(active string, force bool) error {
		_, err := d.SetActive(t.Context(), Change{Route: "search", Force: force}, active)
		return err
	}
	d.expect("to a dead pool", to("green", false), ErrUnfit, "search", "1 file blue")
	d.expect("by force", to("green", true), nil, "search", "2 operator green")
	if got := d.Status().Routes["search"].BlueGreen.Previous; got != "blue" {
		t.Errorf("previous is %q", got)
	}
	d.expect("back", to("blue", false), nil, "search", "3 operator blue")
	if err := to("purple", false); !strings.Contains(err.Error(), "purple") {
		t.Errorf("to purple: %v", err)
	}
	_, err := d.SetActive(t.Context(), Change{Route: "iris"}, "blue")
	if !errors.As(err, new(config.Faults)) {
		t.Errorf("a split route: %v", err)
	}
}

func TestRollback(t *testing.T) {
	d := newDesk(t)
	back := func(route string, force bool) error {
		_, err := d.Rollback(t.Context(), Change{Route: route, Force: force})
		return err
	}
	d.expect("nothing yet", back("iris", false), ErrNoPrevious, "iris", "1 file canary: 5, stable: 95")
	d.expect("split", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "2 operator canary: 1, stable: 1")
	d.expect("to the file's", back("iris", false), nil, "iris", "3 file canary: 5, stable: 95")
	d.expect("of the rollback", back("iris", false), nil, "iris", "4 operator canary: 1, stable: 1")

	_, err := d.SetActive(t.Context(), Change{Route: "search", Force: true}, "green")
	d.expect("switch", err, nil, "search", "5 operator green")
	d.expect("switch back", back("search", false), nil, "search", "6 file blue")
	d.expect("to a dead pool", back("search", false), ErrUnfit, "search", "6 file blue")
	d.expect("by force", back("search", true), nil, "search", "7 operator green")
	d.expect("other routes stay", nil, nil, "iris", "7 operator canary: 1, stable: 1")
	d.expect("after other routes changed", back("iris", false), nil, "iris", "8 file canary: 5, stable: 95")
}

func TestRollbackOfAFilesChange(t *testing.T) {
	d := newDesk(t)
	err := d.reloadFile(d.config(`iris: {match: {path: /iris}, split: {stable: 50, canary: 40, next: 10}}`), nil)
	d.expect("reload", err, nil, "iris", "2 file canary: 40, next: 10, stable: 50")
	_, err = d.Rollback(t.Context(), Change{Route: "iris"})
	d.expect("a pool that joined gets nothing", err, nil, "iris", "3 operator canary: 5, next: 0, stable: 95")

	d = newDesk(t)
	err = d.reloadFile(d.config(`iris: {match: {path: /iris}, split: {stable: 1}}`), nil)
	d.expect("reload", err, nil, "iris", "2 file stable: 1")
	_, err = d.Rollback(t.Context(), Change{Route: "iris"})
	d.expect("a pool with traffic left", err, ErrNoPrevious, "iris", "2 file stable: 1")
	if !strings.Contains(err.Error(), `"canary"`) {
		t.Errorf("the error does not name the pool: %v", err)
	}
}

func TestIfMatch(t *testing.T) {
	d := newDesk(t)
	f := func(revision int64, want error, inForce string) {
		t.Helper()
		w := config.Weights{"stable": 1, "canary": float64(revision)}
		_, err := d.SetSplit(t.Context(), Change{Route: "iris", If: revision}, w)
		d.expect(fmt.Sprint("if ", revision), err, want, "iris", inForce)
	}
	f(7, ErrStale, "1 file canary: 5, stable: 95")
	f(1, nil, "2 operator canary: 1, stable: 1")
	f(1, ErrStale, "2 operator canary: 1, stable: 1")
}

func TestABadFileKeepsWhatIs(t *testing.T) {
	d := newDesk(t)
	broken := config.Faults{{At: config.Position{File: "config.yaml", Line: 3, Col: 1}, What: "nonsense", Remedy: "write sense"}}
	if err := d.reloadFile(nil, broken); err == nil {
		t.Error("the outcome of a broken file is nil")
	}
	s := d.Status()
	if s.Reload.OK || !slices.Equal(s.Reload.Faults, []string{"config.yaml:3:1: nonsense; write sense"}) {
		t.Errorf("status says of the reload: %+v", s.Reload)
	}
	d.expect("kept", nil, nil, "iris", "1 file canary: 5, stable: 95")
	if log := d.log.String(); !strings.Contains(log, "keeping revision") || !strings.Contains(log, "config.yaml:3:1") {
		t.Errorf("the log does not say so: %s", log)
	}
	if gauge(t, d.Loop, "mlproxy_config_last_reload_successful") != 0 {
		t.Error("the gauge does not tell of the broken file")
	}
	d.expect("an operator's change", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "2 operator canary: 1, stable: 1")
	if d.Status().Reload.OK || gauge(t, d.Loop, "mlproxy_config_last_reload_successful") != 0 {
		t.Error("an operator's change hides that the file is broken")
	}
	if err := d.reloadFile(d.config(iris), nil); err != nil || !d.Status().Reload.OK || gauge(t, d.Loop, "mlproxy_config_last_reload_successful") != 1 {
		t.Errorf("the mended file: %v, %+v", err, d.Status().Reload)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	d := newDesk(t)
	f := func(want string, change func(c *config.Config)) {
		t.Helper()
		c := d.config(iris)
		change(c)
		if err := d.reloadFile(c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		d.expect("kept", nil, nil, "iris", "1 file canary: 5, stable: 95")
	}
	f("restart", func(c *config.Config) { c.Listen = []string{"127.0.0.1:1"} })
	f("same requests", func(c *config.Config) { c.Routes["search"].Match.Path = "/iris" })
}

func TestAFileBelowAnOverride(t *testing.T) {
	d := newDesk(t)
	d.expect("split", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "2 operator canary: 1, stable: 1")

	err := d.reloadFile(d.config(`iris: {match: {path: /iris}, split: {stable: 80, canary: 20}}`), nil)
	d.expect("a masked edit changes nothing", err, nil, "iris", "2 operator canary: 1, stable: 1")
	if below := d.Status().Routes["iris"].Override; below.MaskedSplit["canary"] != 20 || below.Author != "ann" {
		t.Errorf("status shows %+v beneath", below)
	}
	if !strings.Contains(d.log.String(), "masked") {
		t.Errorf("the log does not tell of the masked edit: %s", d.log)
	}

	for _, routes := range []string{"", `iris: {match: {path: /iris}, split: {stable: 1, next: 1}}`} {
		err = d.reloadFile(d.config(routes), nil)
		if err == nil || !strings.Contains(err.Error(), "mlproxy override remove iris") {
			t.Errorf("a file that invalidates the override: %v", err)
		}
		d.expect("kept", nil, nil, "iris", "2 operator canary: 1, stable: 1")
	}

	_, err = d.RemoveOverride(t.Context(), Change{Route: "iris"})
	d.expect("removed", err, nil, "iris", "3 file canary: 20, stable: 80")
	_, err = d.RemoveOverride(t.Context(), Change{Route: "iris"})
	d.expect("nothing to remove", err, ErrNoOverride, "iris", "3 file canary: 20, stable: 80")
}

func TestAnUnchangedFileIsNoRevision(t *testing.T) {
	d := newDesk(t)
	table := d.router.Table()
	d.expect("reload", d.reloadFile(d.config(iris), nil), nil, "iris", "1 file canary: 5, stable: 95")
	if d.router.Table() != table {
		t.Error("the table was swapped")
	}
}

func TestOrdersAfterTheEnd(t *testing.T) {
	l := New(router.NewEstate(monitor.New()), new(router.Router), slog.New(slog.DiscardHandler))
	d := &desk{T: t, Loop: l, up: "http://127.0.0.1:2", down: "http://127.0.0.1:1", dir: t.TempDir()}
	if err := l.Begin(source.Update{Config: d.config(iris)}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := l.Run(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.split("iris", config.Weights{"stable": 1, "canary": 3}); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v, want %v", err, ErrStopped)
	}
}

// gauge is the value of a metric without labels.
func gauge(t *testing.T, l *Loop, name string) float64 {
	t.Helper()
	families, err := l.estate.Registry.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
