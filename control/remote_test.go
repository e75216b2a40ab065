package control

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mlproxy/config"
	"mlproxy/source"
)

// fleetDesk is a desk whose loop hears what Consul says from the test; Consul itself cannot be reached.
type fleetDesk struct {
	*desk
	index uint64
	keys  map[string]string
}

func newFleetDesk(t *testing.T) *fleetDesk {
	t.Helper()
	d := &fleetDesk{desk: &desk{T: t, up: listening(t), down: "http://127.0.0.1:1", dir: t.TempDir()}, index: 10, keys: map[string]string{}}
	d.share = func(l *Loop) {
		c, err := source.NewConsul(source.ConsulOptions{Address: d.down, Prefix: "mlproxy"})
		if err != nil {
			t.Fatal(err)
		}
		l.Share(c, "mlproxy")
	}
	t.Cleanup(d.run())
	return d
}

// put writes keys, name and value in turn; the value "-" deletes.
func (d *fleetDesk) put(pairs ...string) {
	d.Helper()
	d.index++
	for i := 0; i < len(pairs); i += 2 {
		if d.keys[pairs[i]] = pairs[i+1]; pairs[i+1] == "-" {
			delete(d.keys, pairs[i])
		}
	}
	now := source.Keys{Index: d.index, Pairs: map[string]source.Pair{}}
	for name, value := range d.keys {
		now.Pairs[name] = source.Pair{Value: []byte(value), Index: d.index}
	}
	d.Hear(now)
}

// says holds what is in force of a route, and, of the key, what must stand in its fault; empty = it is valid, - = there is none.
func (d *fleetDesk) says(route, inForce, key, fault string) {
	d.Helper()
	settled(d.desk)
	if got := d.inForce(route); got != inForce {
		d.Errorf("in force is %q, want %q", got, inForce)
	}
	k, there := d.Consul().Keys["mlproxy/"+key]
	switch {
	case there != (fault != "-"):
		d.Errorf("%s is there: %v", key, there)
	case !there:
	case k.Valid != (fault == "") || !strings.Contains(k.Fault, fault):
		d.Errorf("%s: valid %v, %q; want %q", key, k.Valid, k.Fault, fault)
	}
}

// settled returns when the loop has taken all that it was told so far.
func settled(d *desk) {
	_ = d.send(d.Context(), order{plan: func(*state) (*state, error) { return nil, ErrStale }})
}

func TestKeysLieOverTheFile(t *testing.T) {
	d := newFleetDesk(t)
	d.says("iris", "1 file canary: 5, stable: 95", "routes/iris/split", "-")
	d.put("routes/iris/split", "{stable: 90, canary: 10} # a comment")
	d.says("iris", "2 consul canary: 10, stable: 90", "routes/iris/split", "")
	d.put("routes/iris/split", `{"stable": 80, "canary": 20}`)
	d.says("iris", "3 consul canary: 20, stable: 80", "routes/iris/split", "")
	d.put("routes/iris/split", "-")
	d.says("iris", "4 file canary: 5, stable: 95", "routes/iris/split", "-")
	if by := d.Status().Revision; by.Origin != "consul" || by.Reason != "mlproxy/routes/iris/split deleted" {
		t.Errorf("the revision is of %+v", by)
	}
}

// A wrong value changes nothing and keeps no other key from being heard; what was right before stays.
func TestAWrongKeyKeepsItsLastGood(t *testing.T) {
	d := newFleetDesk(t)
	f := func(value, fault string) {
		t.Helper()
		d.put("routes/iris/split", value)
		d.says("iris", "2 consul canary: 10, stable: 90", "routes/iris/split", fault)
	}
	f("{stable: 90, canary: 10}", "")
	f("{stable: 90, canary: ", "mlproxy/routes/iris/split:")
	f("{stable: 90}", "without canary")
	f("{stable: 90, canari: 10}", "canari")
	f("{stable: 0, canary: 0}", "0")
	f("green", "mlproxy/routes/iris/split:1")
	f("", "mlproxy/routes/iris/split")
	d.put("routes/iris/shadow", "{next: {sample: 50%}}")
	d.says("iris", "3 consul canary: 10, stable: 90", "routes/iris/shadow", "")
	if got := d.Status().Routes["iris"].Shadow["next"]; got != 0.5 {
		t.Errorf("the shadow gets %g", got)
	}
	d.put("routes/iris/splitt", "{}")
	d.says("iris", "3 consul canary: 10, stable: 90", "routes/iris/splitt", "is no key that mlproxy knows")
	d.put("routes/split", "{a: 1}")
	d.says("iris", "3 consul canary: 10, stable: 90", "routes/split", "is no key that mlproxy knows")
	d.put("routes/none/split", "{a: 1}")
	d.says("iris", "3 consul canary: 10, stable: 90", "routes/none/split", `no route "none"`)
	d.put("routes/iris/split", "{stable: 1, canary: 1}")
	d.says("iris", "4 consul canary: 1, stable: 1", "routes/iris/split", "")
	if !strings.Contains(d.log.String(), "a key of Consul is right again") {
		t.Error("nothing is said of the key that is right again")
	}
}

// The document lies below single keys, and is not taken where it would leave one of them wrong.
func TestTheDocument(t *testing.T) {
	d := newFleetDesk(t)
	document := func(split string) string {
		return fmt.Sprintf("version: 1\npools: {extra: {endpoints: [%q]}}\nroutes:\n  rank: {match: {path: /rank}, split: %s}\n", d.up, split)
	}
	d.put("config", document("{stable: 1, extra: 1}"))
	d.says("rank", "2 consul extra: 1, stable: 1", "config", "")
	d.put("routes/rank/split", "{stable: 3, extra: 1}")
	d.says("rank", "3 consul extra: 1, stable: 3", "routes/rank/split", "")
	d.put("config", document("{stable: 1, canary: 1}"))
	d.says("rank", "3 consul extra: 1, stable: 3", "config", "other keys need what it said before")
	d.put("config", "-")
	d.says("rank", "3 consul extra: 1, stable: 3", "config", "other keys need what it said before")
	d.put("config", document("{stable: 1, canary: 1}"), "routes/rank/split", "-")
	d.says("rank", "4 consul canary: 1, stable: 1", "config", "")
	d.put("config", "version: 1\nlisten: :80\n")
	d.says("rank", "4 consul canary: 1, stable: 1", "config", "listen")
	d.put("config", strings.Replace(document("{stable: 1}"), "/rank", "/iris", 1)) // two routes for the same requests
	d.says("rank", "4 consul canary: 1, stable: 1", "config", "same requests")
	d.put("config", "-")
	settled(d.desk)
	if _, there := d.Status().Routes["rank"]; there {
		t.Error("the route stays though the document is gone")
	}
}

// A reload of the file that would leave a key wrong is refused.
func TestAReloadBeneathKeys(t *testing.T) {
	d := newFleetDesk(t)
	d.put("routes/iris/split", "{stable: 90, canary: 10}")
	err := d.reloadFile(d.config(`iris: {match: {path: /iris}, split: {stable: 1, next: 1}}`), nil)
	if faults, is := errors.AsType[config.Faults](err); !is || !strings.Contains(faults[0].Error(), "mlproxy/routes/iris/split") {
		t.Errorf("the reload: %v", err)
	}
	d.says("iris", "2 consul canary: 10, stable: 90", "routes/iris/split", "")
	err = d.reloadFile(d.config(`iris: {match: {path: /iris}, split: {stable: 50, canary: 50}}`), nil)
	d.expect("a reload beneath the key", err, nil, "iris", "2 consul canary: 10, stable: 90")
	if !strings.Contains(d.log.String(), "is masked by a layer above") {
		t.Errorf("nothing is said of the mask: %s", d.log)
	}
	d.hides("iris", "the config file", "change or delete the key mlproxy/routes/iris/split")
	d.put("routes/iris/split", "-")
	d.says("iris", "3 file canary: 50, stable: 50", "routes/iris/split", "-")
	d.hides("iris", "", "")
}

// hides holds whose change of the route has no effect, and how it would; empty = there is none.
func (d *fleetDesk) hides(route, whose, remedy string) {
	d.Helper()
	m := d.Status().Routes[route].Masked
	if whose == "" || m == nil {
		if m != nil || whose != "" {
			d.Errorf("masked is %+v, want a change by %q", m, whose)
		}
		return
	}
	if !strings.HasPrefix(m.Words(), whose) || !strings.HasPrefix(m.Remedy, remedy) {
		d.Errorf("masked is what %s said (%s), want %s (%s)", m.Words(), m.Remedy, whose, remedy)
	}
}

// A switch by key waits for its pool, unless it is forced.
func TestASwitchByKeyIsPending(t *testing.T) {
	d := newFleetDesk(t)
	d.put("routes/search/active", "green")
	d.says("search", "2 consul blue", "routes/search/active", "")
	p := d.Status().Routes["search"].BlueGreen.Pending
	if p == nil || p.Pool != "green" || p.Active != "green" || !strings.HasPrefix(p.Words(), "consul mlproxy/routes/search/active @") {
		t.Errorf("pending: %+v", p)
	}
	d.put("routes/search/active", "-", "overrides/search", `{"active": "green", "author": "ann", "time": "2026-01-02T03:04:05Z"}`)
	d.says("search", "3 operator blue", "overrides/search", "")
	if p := d.Status().Routes["search"].BlueGreen.Pending; p == nil || p.Active != "green" || !strings.HasPrefix(p.Words(), "operator mlproxy/overrides/search @") {
		t.Errorf("what another proxy's operator said is pending: %+v", p)
	}
	d.put("routes/search/active", "{active: green, force: true}", "overrides/search", "-")
	d.says("search", "4 consul green", "routes/search/active", "")
}

// What operators say to the fleet lies above all keys; what one says to this proxy alone above that. Without Consul the fleet cannot be
// told, and nothing changes.
func TestOverridesOfAFleet(t *testing.T) {
	d := newFleetDesk(t)
	const said = `{"split": {"stable": 1, "canary": 1}, "author": "ann", "reason": "even", "time": "2026-01-02T03:04:05Z"}`
	d.put("routes/iris/split", "{stable: 90, canary: 10}", "overrides/iris", said)
	d.says("iris", "2 operator canary: 1, stable: 1", "overrides/iris", "")
	if o := d.Overrides().Routes["iris"]; o.Author != "ann" || o.Reason != "even" {
		t.Errorf("the override is %+v", o)
	}
	d.put("routes/iris/split", "{stable: 80, canary: 20}")
	d.says("iris", "2 operator canary: 1, stable: 1", "routes/iris/split", "")
	d.hides("iris", "consul mlproxy/routes/iris/split @", "mlproxy override remove iris, or")
	refused := func(c Change, words string) {
		t.Helper()
		if _, err := d.RemoveOverride(t.Context(), c); !errors.Is(err, ErrNoOverride) || !strings.Contains(err.Error(), words) {
			t.Errorf("removing %+v: %v", c, err)
		}
	}
	refused(Change{Route: "iris", Local: true}, "is the fleet's; mlproxy override remove iris, or")

	err := d.split("iris", config.Weights{"stable": 1, "canary": 0})
	d.expect("a change for the fleet", err, ErrFleet, "iris", "2 operator canary: 1, stable: 1")
	_, err = d.SetSplit(t.Context(), Change{Route: "iris", Local: true}, config.Weights{"stable": 1, "canary": 0})
	d.expect("a change for this proxy", err, nil, "iris", "3 operator canary: 0, stable: 1")
	err = d.split("iris", config.Weights{"stable": 1, "canary": 2})
	d.expect("a change for the fleet beneath it", err, ErrMasked, "iris", "3 operator canary: 0, stable: 1")
	d.put("routes/iris/split", "{stable: 70, canary: 30}")
	settled(d.desk)
	d.hides("iris", "consul mlproxy/routes/iris/split @", "mlproxy override remove iris --local, or")
	d.put("routes/iris/split", "{stable: 80, canary: 20}")
	refused(Change{Route: "search"}, "is as the config file says")
	_, err = d.RemoveOverride(t.Context(), Change{Route: "iris", Local: true})
	d.expect("as the fleet says", err, nil, "iris", "4 operator canary: 1, stable: 1")
	d.put("overrides/iris", strings.Replace(said, `"time"`, `"expires": "2026-01-02T03:04:06Z", "time"`, 1))
	d.says("iris", "5 consul canary: 20, stable: 80", "overrides/iris", "")
}

// A start without Consul begins with what it said last that was right.
func TestAStartWithoutConsul(t *testing.T) {
	d := newFleetDesk(t)
	d.put("routes/iris/split", "{stable: 90, canary: 10}")
	d.put("routes/iris/split", "{stable: 90, nonsense: 10}")
	t.Cleanup(d.run())
	d.says("iris", "1 consul canary: 10, stable: 90", "routes/iris/split", "")
	if !strings.Contains(d.log.String(), "Consul does not answer") {
		t.Errorf("the log: %s", d.log)
	}
}

// members are the endpoints of a pool, those that are drained in brackets.
func (d *desk) members(pool string) string {
	var words []string
	for _, e := range d.Status().Pools[pool].Endpoints {
		word := strings.TrimPrefix(e.URL, "http://")
		if e.Drained != nil {
			word = "(" + word + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// Endpoints come and go without a revision. Where the catalogue has drained ones alone, those of before are kept until the drain is over.
func TestTheCatalogueLeavesOnlyWhatIsDrained(t *testing.T) {
	d := newFleetDesk(t)
	c := d.config(iris)
	c.Pools["stable"].Consul = &config.Catalogue{Service: "iris"}
	d.expect("a pool of the catalogue", d.reloadFile(c, nil), nil, "iris", "2 file canary: 5, stable: 95")
	find := func(want string, addresses ...string) {
		t.Helper()
		var instances []source.Instance
		for _, a := range addresses {
			instances = append(instances, source.Instance{Address: a, Scheme: "http", Weight: 1})
		}
		d.Find(source.Service{Name: "iris"}, instances)
		d.says("iris", "2 file canary: 5, stable: 95", "", "-")
		if got := d.members("stable"); got != want {
			t.Errorf("the members are %s, want %s", got, want)
		}
	}
	find("127.0.0.1:1", "127.0.0.1:1")
	find("127.0.0.1:1 127.0.0.1:2", "127.0.0.1:1", "127.0.0.1:2")
	_, err := d.DrainEndpoint(t.Context(), Change{Force: true}, "127.0.0.1:2")
	d.expect("a drain", err, nil, "iris", "3 file canary: 5, stable: 95")
	_, err = d.UndrainEndpoint(t.Context(), Change{}, "127.0.0.1:2")
	d.expect("its end", err, nil, "iris", "4 file canary: 5, stable: 95")
	_, err = d.DrainEndpoint(t.Context(), Change{}, "127.0.0.1:2")
	d.expect("a drain", err, nil, "iris", "5 file canary: 5, stable: 95")

	d.Find(source.Service{Name: "iris"}, []source.Instance{{Address: "127.0.0.1:2", Scheme: "http", Weight: 1}})
	settled(d.desk)
	if got := d.members("stable"); got != "127.0.0.1:1 (127.0.0.1:2)" || !strings.Contains(d.log.String(), "keeping those of before") {
		t.Errorf("the members are %s; the log: %s", got, d.log)
	}
	_, err = d.UndrainEndpoint(t.Context(), Change{}, "127.0.0.1:2")
	settled(d.desk)
	d.expect("its end", err, nil, "iris", "6 file canary: 5, stable: 95")
	if got := d.members("stable"); got != "127.0.0.1:2" {
		t.Errorf("the members are %s", got)
	}
}
