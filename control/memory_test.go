package control

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mlproxy/config"
	"mlproxy/health"
	"mlproxy/modeltest"
)

// bubble runs a loop whose clock is the test's. Nothing can be reached in it.
func bubble(t *testing.T, f func(d *desk)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{T: t, up: "http://127.0.0.1:2", down: "http://127.0.0.1:1", dir: dir}
		stop := d.run()
		f(d)
		stop()
	})
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
}

func TestOverridesExpire(t *testing.T) {
	bubble(t, func(d *desk) {
		begin := time.Now()
		_, err := d.SetSplit(d.Context(), Change{Route: "iris", Author: "ann", TTL: 15 * time.Minute}, config.Weights{"stable": 1, "canary": 1})
		d.expect("split", err, nil, "iris", "2 operator canary: 1, stable: 1")
		if o := d.Status().Routes["iris"].Override; !o.Expires.Equal(begin.Add(15 * time.Minute)) {
			t.Errorf("expires %v", o.Expires)
		}
		_, err = d.Drain(d.Context(), Change{TTL: 10 * time.Minute}, "canary")
		d.expect("drain", err, nil, "iris", "3 operator canary: 0, stable: 1")
		pass(10*time.Minute - time.Second)
		d.expect("before the drain's end", nil, nil, "iris", "3 operator canary: 0, stable: 1")
		pass(time.Second)
		d.expect("after it", nil, nil, "iris", "4 operator canary: 1, stable: 1")
		pass(5*time.Minute - time.Second)
		d.expect("before the split's end", nil, nil, "iris", "4 operator canary: 1, stable: 1")
		pass(time.Second)
		d.expect("after it", nil, nil, "iris", "5 file canary: 5, stable: 95")
		if r := d.Revisions()[0]; r.Origin != "operator" || r.Reason != "expired: iris" || len(r.Changes) != 1 {
			t.Errorf("revision %+v", r)
		}
		if left, err := newStore(d.dir).load(); err != nil || len(left.Routes)+len(left.Drained) > 0 {
			t.Errorf("still stored: %+v, %v", left, err)
		}
	})
}

func TestAnotherOverrideHasItsOwnEnd(t *testing.T) {
	bubble(t, func(d *desk) {
		set := func(canary float64, ttl time.Duration) {
			_, err := d.SetSplit(d.Context(), Change{Route: "iris", TTL: ttl}, config.Weights{"stable": 1, "canary": canary})
			d.expect("split", err, nil, "iris", fmt.Sprintf("%d operator canary: %g, stable: 1", d.Status().Number, canary))
		}
		set(1, time.Minute)
		set(2, 2*time.Minute)
		pass(90 * time.Second)
		d.expect("the first end", nil, nil, "iris", "3 operator canary: 2, stable: 1")
		set(3, 0)
		pass(time.Hour)
		d.expect("for good", nil, nil, "iris", "4 operator canary: 3, stable: 1")
	})
}

// An end that would leave a route without a pool waits, and says so.
func TestAnEndThatCannotBe(t *testing.T) {
	bubble(t, func(d *desk) {
		if err := d.reloadFile(d.config(`iris: {match: {path: /iris}, split: {stable: 0, canary: 1}}`), nil); err != nil {
			t.Fatal(err)
		}
		_, err := d.SetSplit(d.Context(), Change{Route: "iris", TTL: time.Minute}, config.Weights{"stable": 1, "canary": 1})
		d.expect("split", err, nil, "iris", "3 operator canary: 1, stable: 1")
		_, err = d.Drain(d.Context(), Change{}, "canary")
		d.expect("drain", err, nil, "iris", "4 operator canary: 0, stable: 1")
		pass(time.Minute)
		d.expect("it stays", nil, nil, "iris", "4 operator canary: 0, stable: 1")
		_, err = d.Undrain(d.Context(), Change{}, "canary")
		d.expect("undrained", err, nil, "iris", "5 operator canary: 1, stable: 1")
		if !strings.Contains(d.log.String(), "they stay") {
			t.Errorf("the log does not say so: %s", d.log)
		}
		pass(time.Minute)
		d.expect("then it ends", nil, nil, "iris", "6 file canary: 1, stable: 0")
	})
}

// A full disk does not keep an override alive.
func TestAnEndThatCannotBeStored(t *testing.T) {
	bubble(t, func(d *desk) {
		_, err := d.SetSplit(d.Context(), Change{Route: "iris", TTL: time.Minute}, config.Weights{"stable": 1, "canary": 1})
		d.expect("split", err, nil, "iris", "2 operator canary: 1, stable: 1")
		if err := os.Symlink("/dev/full", newStore(d.dir).path+".next"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		d.expect("expired", nil, nil, "iris", "3 file canary: 5, stable: 95")
		if fault := d.Status().Memory.Fault; !strings.Contains(fault, "no space") {
			t.Errorf("status says %q", fault)
		}
		d.expect("room again", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "4 operator canary: 1, stable: 1")
		if fault := d.Status().Memory.Fault; fault != "" {
			t.Errorf("status still says %q", fault)
		}
	})
}

// green is a file that has green active, whose pool is at the given address.
func (d *desk) green(active, address string) *config.Config {
	d.down = address
	c := d.config(iris)
	c.Routes["search"].BlueGreen.Active = active
	return c
}

func TestASwitchOfTheFileWaitsForItsPool(t *testing.T) {
	d := newDesk(t)
	port, open, give, err := modeltest.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer give()
	address := "http://" + port

	d.expect("held", d.reloadFile(d.green("green", address), nil), nil, "search", "2 file blue")
	p := d.Status().Routes["search"].BlueGreen.Pending
	if p == nil || p.Active != "green" || p.Pool != "green" || !strings.Contains(p.Why, address) {
		t.Fatalf("pending: %+v", p)
	}
	if gauge(t, d.Loop, "mlproxy_switch_pending") != 1 {
		t.Error("the gauge does not show it")
	}
	d.expect("other changes are made", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "3 operator canary: 1, stable: 1")
	d.expect("the same file again", d.reloadFile(d.green("green", address), nil), nil, "search", "3 file blue")
	if again := d.Status().Routes["search"].BlueGreen.Pending; !again.Since.Equal(p.Since) {
		t.Errorf("pending since %v, then %v", p.Since, again.Since)
	}

	ln, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d.await("search", "4 file green")
	if r := d.Revisions()[0]; r.Origin != "file" || !strings.Contains(r.Reason, "pool green of route search") {
		t.Errorf("revision %+v", r)
	}
	if s := d.Status().Routes["search"].BlueGreen; s.Pending != nil || s.Previous != "blue" || gauge(t, d.Loop, "mlproxy_switch_pending") != 0 {
		t.Errorf("after it: %+v", s)
	}
}

// await waits until what is in force is as wanted; it comes within a second or so.
func (d *desk) await(route, inForce string) {
	d.Helper()
	end, now := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer now.Stop()
	for d.inForce(route) != inForce {
		select {
		case <-now.C:
		case <-end:
			d.Fatalf("waited in vain for %s; in force is %s", inForce, d.inForce(route))
		}
	}
}

// A pool that takes connections is not ready yet, if what it does with requests has opened its breakers.
func TestAPoolWithOpenBreakersIsNotReady(t *testing.T) {
	d := newDesk(t)
	d.expect("a green that answers", d.reloadFile(d.green("blue", d.up), nil), nil, "search", "2 file blue")
	broken := errors.New("broken")
	for range 5 {
		_ = pool(d.router.Table(), "green").Endpoints[0].Health().Do(func(*health.Trial) error { return broken })
	}
	e := d.Status().Pools["green"].Endpoints[0]
	if e.Fit || e.Breaker != "open" || e.Probe != "off" || e.Why == "" || e.Since.IsZero() || !d.Status().Pools["blue"].Endpoints[0].Fit {
		t.Errorf("status says %+v", e)
	}
	_, err := d.SetActive(t.Context(), Change{Route: "search"}, "green")
	d.expect("a switch", err, ErrUnfit, "search", "2 file blue")
	if !strings.Contains(err.Error(), d.up+": breaker open") {
		t.Errorf("the error does not say why: %v", err)
	}
	d.expect("by the file", d.reloadFile(d.green("green", d.up), nil), nil, "search", "2 file blue")
	if p := d.Status().Routes["search"].BlueGreen.Pending; p == nil || !strings.Contains(p.Why, "breaker open") {
		t.Errorf("pending: %+v", p)
	}
}

func TestSwitchesThatAreNotHeld(t *testing.T) {
	d := newDesk(t)
	down := d.down
	d.expect("to a pool that answers", d.reloadFile(d.green("green", d.up), nil), nil, "search", "2 file green")
	d.expect("and back", d.reloadFile(d.green("blue", d.up), nil), nil, "search", "3 file blue")
	d.expect("held", d.reloadFile(d.green("green", down), nil), nil, "search", "4 file blue")
	d.expect("the file thinks better of it", d.reloadFile(d.green("blue", down), nil), nil, "search", "4 file blue")
	if p := d.Status().Routes["search"].BlueGreen.Pending; p != nil {
		t.Errorf("still pending: %+v", p)
	}

	d.expect("held again", d.reloadFile(d.green("green", down), nil), nil, "search", "4 file blue")
	_, err := d.SetActive(t.Context(), Change{Route: "search", Force: true}, "green")
	d.expect("forced by an operator", err, nil, "search", "5 operator green")
	_, err = d.RemoveOverride(t.Context(), Change{Route: "search"})
	d.expect("the file says the same", err, nil, "search", "6 file green")

	other := d.green("green", down)
	other.Routes["iris"].Timeout = time.Second
	d.expect("another change of the file", d.reloadFile(other, nil), nil, "search", "7 file green")
	if p := d.Status().Routes["search"].BlueGreen.Pending; p != nil {
		t.Errorf("nothing is switched, yet pending: %+v", p)
	}

	_, err = d.SetActive(t.Context(), Change{Route: "search"}, "blue")
	d.expect("back", err, nil, "search", "8 operator blue")
	_, err = d.RemoveOverride(t.Context(), Change{Route: "search"})
	d.expect("a removal that switches to a dead pool", err, ErrUnfit, "search", "8 operator blue")
	_, err = d.RemoveOverride(t.Context(), Change{Route: "search", Force: true})
	d.expect("by force", err, nil, "search", "9 file green")
}

// The file may force its own switch, whether it is asked for anew or pending.
func TestSwitchesThatTheFileForces(t *testing.T) {
	d := newDesk(t)
	down := d.down
	forced := func(active, address string) *config.Config {
		c := d.green(active, address)
		c.Routes["search"].BlueGreen.Force = true
		return c
	}
	d.expect("at once", d.reloadFile(forced("green", down), nil), nil, "search", "2 file green")
	d.expect("back", d.reloadFile(d.green("blue", down), nil), nil, "search", "3 file blue")
	d.expect("held", d.reloadFile(d.green("green", down), nil), nil, "search", "3 file blue")
	d.expect("by force after all", d.reloadFile(forced("green", down), nil), nil, "search", "4 file green")
	if p := d.Status().Routes["search"].BlueGreen.Pending; p != nil || gauge(t, d.Loop, "mlproxy_switch_pending") != 0 {
		t.Errorf("still pending: %+v", p)
	}
	d.expect("force alone ends", d.reloadFile(d.green("green", down), nil), nil, "search", "5 file green")
	if changes := d.Revisions()[0].Changes; len(changes) != 1 || changes[0] != "routes.search.blue_green.force: true -> false" {
		t.Errorf("changes %v", changes)
	}
}

func TestAForcedSwitchBeneathAnOverrideIsMadeAtItsEnd(t *testing.T) {
	bubble(t, func(d *desk) {
		_, err := d.SetActive(d.Context(), Change{Route: "search", Force: true, TTL: time.Minute}, "blue")
		d.expect("override", err, nil, "search", "2 operator blue")
		c := d.green("green", d.down)
		c.Routes["search"].BlueGreen.Force = true
		d.expect("beneath it", d.reloadFile(c, nil), nil, "search", "3 operator blue")
		pass(time.Minute)
		d.expect("expired", nil, nil, "search", "4 file green")
	})
}

func TestAnEndThatSwitchesWaitsForThePool(t *testing.T) {
	bubble(t, func(d *desk) {
		_, err := d.SetActive(d.Context(), Change{Route: "search", Force: true, TTL: time.Minute}, "green")
		d.expect("switch", err, nil, "search", "2 operator green")
		pass(time.Minute) // nothing can be reached in a bubble: blue neither
		d.expect("expired", nil, nil, "search", "3 file green")
		if p := d.Status().Routes["search"].BlueGreen.Pending; p == nil || p.Active != "blue" {
			t.Errorf("pending: %+v", p)
		}
	})
}

func TestDrain(t *testing.T) {
	d := newDesk(t)
	drain := func(pool string) error {
		_, err := d.Drain(t.Context(), Change{Author: "ann"}, pool)
		return err
	}
	undrain := func(pool string) error {
		_, err := d.Undrain(t.Context(), Change{}, pool)
		return err
	}
	refused := func(what string, err error, want, inForce string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
		d.expect(what, nil, nil, "iris", inForce)
	}
	d.expect("drain", drain("canary"), nil, "iris", "2 operator canary: 0, stable: 95")
	d.expect("again", drain("canary"), nil, "iris", "2 operator canary: 0, stable: 95")
	refused("the last", drain("stable"), "no traffic but on drained pools: canary, stable", "2 operator canary: 0, stable: 95")
	refused("the active", drain("blue"), `"blue" is the active one of route "search"`, "2 operator canary: 0, stable: 95")
	d.expect("unknown", drain("canaries"), ErrUnknownPool, "iris", "2 operator canary: 0, stable: 95")
	if err := drain("http://127.0.0.1:1"); !strings.Contains(fmt.Sprint(err), "drain an endpoint as an endpoint") {
		t.Errorf("an endpoint: %v", err)
	}
	d.expect("idle", drain("green"), nil, "search", "2 file blue")
	_, err := d.SetActive(t.Context(), Change{Route: "search", Force: true}, "green")
	refused("a switch to it", err, "drained", "2 operator canary: 0, stable: 95")
	refused("a split on it alone", d.split("iris", config.Weights{"stable": 0, "canary": 1}), "drained", "2 operator canary: 0, stable: 95")

	d.expect("a split beneath", d.split("iris", config.Weights{"stable": 95, "canary": 50}), nil, "iris", "3 operator canary: 0, stable: 95")
	if changes := d.Status().Changes; len(changes) != 1 || !strings.Contains(changes[0], "canary: 50") {
		t.Errorf("what changed is %v", changes)
	}
	d.expect("undrain", undrain("canary"), nil, "iris", "4 operator canary: 50, stable: 95")
	_, err = d.Rollback(t.Context(), Change{Route: "iris"})
	d.expect("a drain is nothing to roll back to", err, nil, "iris", "5 file canary: 5, stable: 95")
	d.expect("twice", undrain("canary"), ErrNoOverride, "iris", "5 file canary: 5, stable: 95")
}

// pair is a file in which the pools of iris share an endpoint, and each has one more.
func (d *desk) pair(routes ...string) *config.Config {
	c := d.config(append(routes, iris)...)
	c.Pools["stable"].Endpoints = append(c.Pools["stable"].Endpoints, config.Endpoint{URL: "http://127.0.0.1:2", Weight: 1})
	c.Pools["canary"].Endpoints = append(c.Pools["canary"].Endpoints, config.Endpoint{URL: "http://127.0.0.1:3", Weight: 1})
	c.Pools["blue"].Endpoints = []config.Endpoint{{URL: "http://127.0.0.1:4", Weight: 1}, {URL: "http://127.0.0.1:5", Weight: 1}}
	return c
}

// outNow are the endpoints that status shows as drained, and the table does not pick.
func (d *desk) outNow() string {
	d.Helper()
	var out []string
	for _, p := range d.router.Table().Pools() {
		for i, e := range p.Endpoints {
			shown := d.Status().Pools[p.Name].Endpoints[i].Drained != nil
			if shown != p.Drained(e) {
				d.Errorf("%s of %s: status says %v, the table %v", e.URL(), p.Name, shown, p.Drained(e))
			}
			if shown {
				out = append(out, p.Name+" "+strings.Replace(e.URL(), d.up, "shared", 1))
			}
		}
	}
	return strings.Join(out, ", ")
}

func TestDrainOfAnEndpoint(t *testing.T) {
	d := newDesk(t)
	d.expect("file", d.reloadFile(d.pair(), nil), nil, "iris", "2 file canary: 5, stable: 95")
	f := func(force bool, endpoint, refusal, out string) {
		t.Helper()
		_, err := d.DrainEndpoint(t.Context(), Change{Author: "ann", Force: force}, endpoint)
		if (err == nil) != (refusal == "") || !strings.Contains(fmt.Sprint(err), refusal) && err != nil {
			t.Errorf("%s: %v, want %q", endpoint, err, refusal)
		}
		if got := d.outNow(); got != out {
			t.Errorf("%s: out are %q, want %q", endpoint, got, out)
		}
	}
	f(false, "stable", "unknown endpoint", "")
	f(false, "http://127.0.0.1:99", "unknown endpoint", "")
	f(false, "127.0.0.1:4", "", "blue http://127.0.0.1:4")
	f(false, "http://127.0.0.1:4", "", "blue http://127.0.0.1:4")
	f(false, "http://127.0.0.1:5", `route "search": pool "blue" has traffic`, "blue http://127.0.0.1:4")
	if changes := d.Revisions()[0].Changes; len(changes) != 1 || changes[0] != "endpoint http://127.0.0.1:4: drained" {
		t.Errorf("changes %q", changes)
	}
	f(false, d.down, "", "blue http://127.0.0.1:4, green "+d.down) // idle: all of it may be drained
	_, err := d.SetActive(t.Context(), Change{Route: "search", Force: true}, "green")
	if !strings.Contains(fmt.Sprint(err), `pool "green" has traffic`) {
		t.Errorf("a switch to it: %v", err)
	}
	if _, err = d.SetActive(t.Context(), Change{Route: "search"}, "green"); !strings.Contains(fmt.Sprint(err), d.down+": drained") {
		t.Errorf("a switch to it: %v", err)
	}
	f(true, "http://127.0.0.1:5", "", "blue http://127.0.0.1:4, blue http://127.0.0.1:5, green "+d.down)
	undrain := func(endpoint string) error {
		_, err := d.UndrainEndpoint(t.Context(), Change{}, endpoint)
		return err
	}
	for _, endpoint := range []string{"127.0.0.1:5", "http://127.0.0.1:4", d.down} {
		if err := undrain(endpoint); err != nil {
			t.Error(err)
		}
	}
	if err := undrain(d.down); !errors.Is(err, ErrNoOverride) || d.outNow() != "" {
		t.Errorf("undrained twice: %v, out are %q", err, d.outNow())
	}
}

// The last endpoint that answers is not drained by mistake, though another one stands beside it.
func TestTheLastFitEndpointIsNotDrained(t *testing.T) {
	d := newDesk(t)
	d.expect("file", d.reloadFile(d.pair(), nil), nil, "iris", "2 file canary: 5, stable: 95")
	broken := errors.New("broken")
	for range 5 {
		_ = pool(d.router.Table(), "blue").Endpoints[1].Health().Do(func(*health.Trial) error { return broken })
	}
	drain := func(force bool) error {
		_, err := d.DrainEndpoint(t.Context(), Change{Force: force}, "http://127.0.0.1:4")
		return err
	}
	if err := drain(false); !errors.Is(err, ErrLastFit) || d.outNow() != "" {
		t.Errorf("%v, out are %q", err, d.outNow())
	}
	if err := drain(true); err != nil || d.outNow() != "blue http://127.0.0.1:4" {
		t.Errorf("forced: %v, out are %q", err, d.outNow())
	}
}

// One endpoint of several pools is one model server.
func TestAnEndpointIsDrainedInAllItsPools(t *testing.T) {
	d := newDesk(t)
	d.expect("file", d.reloadFile(d.pair(), nil), nil, "iris", "2 file canary: 5, stable: 95")
	_, err := d.DrainEndpoint(t.Context(), Change{TTL: time.Hour}, d.up)
	d.expect("drain", err, nil, "iris", "3 file canary: 5, stable: 95")
	const out = "canary shared, next shared, stable shared"
	if got := d.outNow(); got != out {
		t.Errorf("out are %q", got)
	}
	c := d.pair()
	c.Pools["canary"].Endpoints = c.Pools["canary"].Endpoints[:1]
	if err := d.reloadFile(c, nil); !strings.Contains(fmt.Sprint(err), `pool "canary" has traffic, and no endpoint that is not drained`) {
		t.Errorf("a file that leaves drained endpoints only: %v", err)
	}
	if got := d.outNow(); got != out {
		t.Errorf("out are %q", got)
	}
	c = d.pair()
	for _, name := range []string{"canary", "next", "stable"} {
		c.Pools[name].Endpoints[0].URL = "http://127.0.0.1:6"
	}
	d.expect("it leaves", d.reloadFile(c, nil), nil, "iris", "4 file canary: 5, stable: 95")
	if left := d.Overrides().Drained; len(left) > 0 {
		t.Errorf("still drained: %v", left)
	}
}

func TestFilesAboveADrain(t *testing.T) {
	d := newDesk(t)
	_, err := d.Drain(t.Context(), Change{}, "canary")
	d.expect("drain", err, nil, "iris", "2 operator canary: 0, stable: 95")
	err = d.reloadFile(d.config(`iris: {match: {path: /iris}, split: {stable: 50, canary: 50}}`), nil)
	d.expect("another weight of it", err, nil, "iris", "3 operator canary: 0, stable: 50")
	err = d.reloadFile(d.config(`iris: {match: {path: /iris}, split: {canary: 1}}`), nil)
	if err == nil || !strings.Contains(err.Error(), "drained") {
		t.Errorf("a file that leaves only the drained pool: %v", err)
	}
	d.expect("kept", nil, nil, "iris", "3 operator canary: 0, stable: 50")
	c := d.config(`iris: {match: {path: /iris}, split: {stable: 1}}`)
	delete(c.Pools, "canary")
	d.expect("its pool leaves", d.reloadFile(c, nil), nil, "iris", "4 file stable: 1")
	if left := d.Overrides().Drained; len(left) > 0 {
		t.Errorf("still drained: %v", left)
	}
}

func TestRevisions(t *testing.T) {
	d := newDesk(t)
	for canary := range 60 {
		if err := d.split("iris", config.Weights{"stable": 1, "canary": float64(canary)}); err != nil {
			t.Fatal(err)
		}
	}
	all := d.Revisions()
	if len(all) != most || all[0].Number != 61 || all[most-1].Number != 12 {
		t.Fatalf("%d revisions, %d to %d", len(all), all[0].Number, all[most-1].Number)
	}
	r := all[0]
	if !slices.Equal(r.Changes, []string{"iris: (canary: 58, stable: 1) -> (canary: 59, stable: 1)"}) || r.Author != "ann" || r.Reason != "test" || r.Digest == "" {
		t.Errorf("the last is %+v", r)
	}
}

func TestRestore(t *testing.T) {
	d := newDesk(t)
	restore := func(number int64) error {
		_, err := d.Restore(t.Context(), Change{Author: "bob", Reason: "as it was"}, number)
		return err
	}
	d.expect("split", d.split("iris", config.Weights{"stable": 1, "canary": 1}), nil, "iris", "2 operator canary: 1, stable: 1")
	_, err := d.SetActive(t.Context(), Change{Route: "search", Force: true}, "green")
	d.expect("switch", err, nil, "search", "3 operator green")
	d.expect("split", d.split("iris", config.Weights{"stable": 1, "canary": 2}), nil, "iris", "4 operator canary: 2, stable: 1")

	d.expect("the first", restore(1), nil, "iris", "5 file canary: 5, stable: 95")
	d.expect("of all routes", nil, nil, "search", "5 file blue")
	if len(d.Overrides().Routes) > 0 {
		t.Errorf("overrides %v", d.Overrides())
	}
	d.expect("one of a dead pool", restore(4), ErrUnfit, "search", "5 file blue")
	d.expect("the second", restore(2), nil, "iris", "6 operator canary: 1, stable: 1")
	if o := d.Overrides().Routes["iris"]; o.Author != "bob" || o.Reason != "as it was" || len(d.Overrides().Routes) != 1 {
		t.Errorf("overrides %v", d.Overrides())
	}
	d.expect("one that never was", restore(77), ErrUnknownRevision, "iris", "6 operator canary: 1, stable: 1")
}

func TestRestoreOnAnotherFile(t *testing.T) {
	d := newDesk(t)
	other := `other: {match: {path: /other}, blue_green: {blue: blue, green: next, active: blue}}`
	third := `third: {match: {path: /third}, split: {stable: 1, canary: 1}}`
	d.expect("more routes", d.reloadFile(d.config(iris, other, third), nil), nil, "iris", "2 file canary: 5, stable: 95")
	d.expect("pools join", d.reloadFile(d.config(`iris: {match: {path: /iris}, split: {stable: 1, canary: 1, next: 1}}`, other, third), nil),
		nil, "iris", "3 file canary: 1, next: 1, stable: 1")
	_, err := d.Restore(t.Context(), Change{}, 2)
	d.expect("what joined gets nothing", err, nil, "iris", "4 operator canary: 5, next: 0, stable: 95")
	_, err = d.RemoveOverride(t.Context(), Change{Route: "iris"})
	d.expect("removed", err, nil, "iris", "5 file canary: 1, next: 1, stable: 1")

	changed := `other: {match: {path: /other}, split: {stable: 1}}`
	d.expect("all else", d.reloadFile(d.config(`iris: {match: {path: /iris}, split: {stable: 1, next: 1}}`, changed), nil), nil, "iris", "6 file next: 1, stable: 1")
	_, err = d.Restore(t.Context(), Change{}, 2)
	d.expect("kept", nil, nil, "iris", "6 file next: 1, stable: 1")
	if faults := list(err); len(faults) != 3 {
		t.Errorf("faults %q", faults)
	}
	for _, want := range []string{`pool "canary", which it no longer has`, `route "other" was blue/green`, `route "third" is gone`, "revision 2: "} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	_, err = d.Restore(t.Context(), Change{}, 1)
	if err == nil {
		t.Error("a split with traffic on a pool that has left was restored")
	}
}

func TestRevisionsSayWhatChanged(t *testing.T) {
	d := newDesk(t)
	f := func(routes string, change func(c *config.Config), want ...string) {
		t.Helper()
		c := d.config(routes)
		change(c)
		if err := d.reloadFile(c, nil); err != nil {
			t.Fatal(err)
		}
		if got := d.Revisions()[0].Changes; !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	if got := d.Revisions()[0].Changes; !slices.Equal(got, []string{"iris: new (canary: 5, stable: 95)", "search: new (blue)"}) {
		t.Errorf("at the start: %q", got)
	}
	f(iris+"\n  a.split: {match: {path: /a}, split: {stable: 1}}", func(c *config.Config) { c.Routes["iris"].Timeout = time.Second },
		"a.split: new (stable: 1)", "routes.iris.timeout: 30s -> 1s")
	f(`iris: {match: {path: /iris}, split: {stable: 1, next: 1}}`, func(c *config.Config) { delete(c.Pools, "canary"); c.Limits.MaxHeaderCount = 7 },
		"iris: (canary: 5, stable: 95) -> (next: 1, stable: 1)", "a.split: gone", "limits.max_header_count: 100 -> 7", "pools.canary: gone",
		"routes.iris.timeout: 1s -> 30s")
	f(`iris: {match: {path: /iris}, blue_green: {blue: next, green: stable, active: blue}}`, func(c *config.Config) { delete(c.Pools, "canary"); c.Limits.MaxHeaderCount = 7 },
		"iris: (next: 1, stable: 1) -> (blue)", "routes.iris.blue_green: new {blue: next, green: stable, active: blue}", "routes.iris.split: gone")
	many := d.config(iris)
	for i := range 200 {
		many.Pools[fmt.Sprint("x", i)] = &config.Pool{Endpoints: []config.Endpoint{{URL: "http://" + strings.Repeat("x", 300) + ":1", Weight: 1}}, Balance: "round_robin"}
	}
	if err := d.reloadFile(many, nil); err != nil {
		t.Fatal(err)
	}
	if got := d.Revisions()[0].Changes; len(got) != mostChanges+1 || !strings.HasPrefix(got[mostChanges], "and 1") || len(got[50]) > 250 {
		t.Errorf("many changes: %d, %q", len(got), got)
	}
}
