package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// period is a time in which answers could come from these pools only.
type period struct {
	from, to time.Time
	pools    []string
}

// A hundred reloads under load, by every way there is: no request fails, and each is answered by a pool of a config that was
// in force while it ran.
func TestReloadsUnderLoad(t *testing.T) {
	pools, configs := "pools:\n", [2]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		pools += fmt.Sprintf("  %s: {endpoints: [%q]}\n", name, serve(t, modeltest.Options{}).URL)
	}
	configs[0] = pools + "routes:\n  iris: {match: {path: /}, split: {a: 80, b: 20, c: 0, d: 0}}\n"
	configs[1] = pools + "routes:\n  iris: {match: {path: /}, split: {a: 0, b: 0, c: 70, d: 30}}\n"
	inForce := [2][]string{{"a", "b"}, {"c", "d"}}

	r := start(t, configs[0])
	l := r.load(500, inferPath, setosa)
	const reloads = 100
	periods := []period{{from: time.Now(), pools: inForce[0]}}
	for i := 1; i <= reloads; i++ {
		l.more(10) // of this config alone
		next := period{from: time.Now(), pools: inForce[i%2]}
		r.rewrite(configs[i%2])
		r.takeFile(i)
		await(t, "the revision", func() error { return equal("the revision", r.status().Number, int64(1+i)) })
		periods[len(periods)-1].to = time.Now()
		periods = append(periods, next)
	}
	l.more(10)
	periods[reloads].to = time.Now().Add(time.Hour)
	for _, result := range l.endWell() {
		pool := result.Headers.Get("X-MLProxy-Pool")
		if !possible(periods, pool, result.Timestamp, result.End()) {
			t.Errorf("request %d was answered by %q, of a config that was not in force", result.Seq, pool)
		}
	}
	must(t, equal("reloads in the log", strings.Count(r.said(), "config applied"), 1+reloads))
}

// takeFile has the process take its file, each time in another way: it is told to, by HTTP or by signal, or notices.
func (r *running) takeFile(turn int) {
	switch turn % 3 {
	case 0:
		status, text := r.reload()
		must(r.t, equal("the status of the reload "+text, status, http.StatusOK))
	case 1:
		r.signal(syscall.SIGHUP)
	}
}

// possible says whether a pool was in force at some time between.
func possible(periods []period, pool string, from, to time.Time) bool {
	return slices.ContainsFunc(periods, func(p period) bool {
		return slices.Contains(p.pools, pool) && !p.from.After(to) && !p.to.Before(from)
	})
}

// A file with faults changes nothing and says everywhere why; the next good one is taken.
func TestMalformedReloadKeepsTheOldConfig(t *testing.T) {
	pools := fmt.Sprintf("pools:\n  a: {endpoints: [%[1]q]}\n  b: {endpoints: [%[1]q]}\n", serve(t, modeltest.Options{}).URL)
	route := func(split string) string { return "routes:\n  iris: {match: {path: /}, split: " + split + "}\n" }
	r := start(t, pools+route("{a: 1, b: 0}"))
	l := r.load(100, inferPath, setosa)
	answers := func(pool string) {
		t.Helper()
		must(t, equal("the pool that answers", r.ask(1, 1, func(int) string { return infer() })[0].pool, pool))
	}
	f := func(config string, revision int, faults ...string) {
		t.Helper()
		l.more(1)
		r.rewrite(config)
		status, text := r.reload()
		now, wanted := r.status(), http.StatusOK
		if len(faults) > 0 {
			wanted = http.StatusUnprocessableEntity
		}
		must(t, equal("the reload's status "+text, status, wanted))
		must(t, equal("the revision in force", int(now.Number), revision))
		must(t, equal("reload.ok of the status", now.Reload.OK, len(faults) == 0))
		m := r.metrics()
		must(t, equal("the gauge of the revision", m.sum("mlproxy_config_revision"), revision))
		must(t, equal("the gauge of success", m.sum("mlproxy_config_last_reload_successful"), index(len(faults) == 0)))
		for _, fault := range faults {
			r.awaitSaid(fmt.Sprintf(`msg="config refused, keeping revision" revision=%d`, revision))
			for where, said := range map[string]string{"the answer": text, "the log": r.said(), "the status": strings.Join(now.Reload.Faults, "\n")} {
				if said = strings.ReplaceAll(said, `\"`, `"`); !strings.Contains(said, fault) {
					t.Errorf("%s does not say %q:\n%s", where, fault, said)
				}
			}
		}
	}
	f(pools+route("{a: 1, c: 1}"), 1, "config.yaml:8:", `"c"`)
	answers("a")
	f(pools+"rutes: {}\n", 1, "config.yaml:7:1: unknown key", `did you mean "routes"`)
	f("pools: [", 1, "config.yaml:5:1: not valid YAML")
	f(pools+route("{a: 0, b: 1}"), 2)
	answers("b")
	f(pools+route("{a: 0, b: 0}")+"listen: 127.0.0.1:1\n", 2, "config.yaml:9:1")
	f(pools+route("{a: 1, b: 1, }"), 3)
	l.endWell()
}
