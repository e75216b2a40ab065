package control

import (
	"bytes"
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mlproxy/config"
	"mlproxy/source"
)

// A file that is believed says the same when it is written again; one byte of it changed is believed only if it says the same still.
func FuzzDecode(f *testing.F) {
	for _, said := range []Overrides{
		{},
		{Routes: map[string]config.Override{"iris": {Split: config.Weights{"stable": 1, "canary": 0.5}, Author: "ann", Reason: "\u2028", Time: time.Unix(1, 0).UTC()}}},
		{Drained: map[string]config.Override{"http://127.0.0.1:1": {Forced: true, Expires: time.Unix(2, 0).UTC()}}, Routes: map[string]config.Override{"s": {Active: "green"}}},
	} {
		src, err := encode(&said)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src, uint(len(src)/2), byte(1))
		f.Add(src[:len(src)/2], uint(0), byte(0))
	}
	f.Add([]byte(`{"version": 1, "checksum": "", "content": null}`), uint(3), byte(4))
	f.Fuzz(func(t *testing.T, src []byte, at uint, flip byte) {
		said, err := decode[Overrides](src)
		if err != nil {
			return
		}
		again, err := encode(&said)
		if err != nil {
			t.Fatalf("%q: what was believed cannot be written: %v", src, err)
		}
		if read, err := decode[Overrides](again); err != nil || !reflect.DeepEqual(normal(read), normal(said)) {
			t.Fatalf("%q: %+v becomes %+v, %v", src, said, read, err)
		}
		if len(src) == 0 {
			return
		}
		damaged := bytes.Clone(src)
		damaged[at%uint(len(src))] ^= flip
		if other, err := decode[Overrides](damaged); err == nil && !reflect.DeepEqual(other, said) {
			t.Fatalf("%q is believed, and says %+v in place of %+v", damaged, other, said)
		}
	})
}

// normal makes empty and absent the same, as JSON does.
func normal(o Overrides) Overrides {
	if len(o.Routes) == 0 {
		o.Routes = nil
	}
	if len(o.Drained) == 0 {
		o.Drained = nil
	}
	for _, m := range []map[string]config.Override{o.Routes, o.Drained} {
		for name, v := range m {
			if len(v.Split) == 0 {
				v.Split = nil
			}
			m[name] = v
		}
	}
	return o
}

// A key says one thing or what is wrong with it. What it said before stays in force until it is laid over the file, and no other key hears of it.
func FuzzHear(f *testing.F) {
	for name, value := range map[string]string{
		"config": "pools: {a: {endpoints: [http://127.0.0.1:1]}}", "routes/iris/split": "{stable: 90, canary: 10}", "routes/iris/active": "green",
		"routes//shadow": "{b: {sample: 5%}}", "routes/iris/split/": "{a: 1}", "routes/active": "blue", "elsewhere": "", "overrides/": "{active: blue",
		"overrides/iris": `{"split":{"a":1},"author":"x","time":"2030-01-02T03:04:05Z"}`,
	} {
		f.Add(name, []byte(value))
	}
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		if name == "routes/the-test's/active" {
			return
		}
		other, now := source.Pair{Value: []byte("green"), Index: 1}, time.Unix(0, 0)
		before := (&remote{prefix: "p"}).hear(source.Keys{Pairs: map[string]source.Pair{"routes/the-test's/active": other}}, now)
		good := &word{index: 1}
		before.keys[name] = key{index: 1, good: good}
		heard := source.Keys{Index: 2, Pairs: map[string]source.Pair{"routes/the-test's/active": other, name: {Value: value, Index: 2}}}
		after := before.hear(heard, now)
		k := after.keys[name]
		if (k.fault == "") != (k.next != nil) || k.good != good || k.index != 2 || !bytes.Equal(k.value, value) || len(after.keys) != 2 {
			t.Fatalf("%q: %+v", name, k)
		}
		if !reflect.DeepEqual(after.keys["routes/the-test's/active"], before.keys["routes/the-test's/active"]) {
			t.Errorf("another key is %+v", after.keys["routes/the-test's/active"])
		}
		if k.next == nil {
			if !strings.Contains(k.fault, "p/"+name) {
				t.Errorf("a fault of %q does not name it: %s", name, k.fault)
			}
			return
		}
		route := "routes/" + routeOf(name)
		known := []string{route + "/split", route + "/active", route + "/shadow", "overrides/" + routeOf(name)}
		if (k.next.fleet != nil) != (name == "config") || (k.next.over != nil) != slices.Contains(known, name) {
			t.Errorf("%q says %+v of %q", name, k.next, routeOf(name))
		}
		if again := after.hear(heard, now); !reflect.DeepEqual(again, after) {
			t.Errorf("%q: heard again it is %+v", name, again.keys[name])
		}
	})
}

// What the fleet's keys hold is listed as it was told, by ID and the newest first, and what cannot be read keeps nothing else from being listed.
func FuzzFleet(f *testing.F) {
	f.Add("7", []byte(`{"id":"8","admin":"http://127.0.0.1:9901","version":"v1","digest":"d","applied":"2030-01-02T03:04:05Z"}`))
	f.Add("", []byte(`{"time":"2030-01-02T03:04:05+01:00","author":"ann","reason":"r","changes":["iris: (split a 1)",null]}`))
	f.Add("id", []byte(`null`))
	f.Add("\xff", []byte(`{"applied":7,"changes":7}`))
	f.Fuzz(func(t *testing.T, id string, text []byte) {
		own := Instance{ID: "m", Digest: "d", Applied: time.Unix(1, 0).UTC()}
		told, err := json.Marshal(own)
		if err != nil {
			t.Fatal(err)
		}
		list := readInstances(map[string][]byte{id: text, "m": told})
		if !slices.IsSortedFunc(list, func(a, b Instance) int { return strings.Compare(a.ID, b.ID) }) || !slices.Contains(list, own) || len(list) > 2 {
			t.Errorf("%q, %s: %+v", id, text, list)
		}
		for _, i := range list {
			again, err := json.Marshal(i)
			if read := readInstances(map[string][]byte{i.ID: again}); err != nil || i.ID != id && i.ID != "m" || !cmp.Equal(read, []Instance{i}) {
				t.Errorf("%q, %s: %+v becomes %+v, %v", id, text, i, read, err)
			}
		}
		event, err := json.Marshal(Event{Author: "m", Changes: []string{"c"}})
		if err != nil {
			t.Fatal(err)
		}
		events := readEvents([][]byte{event, text, event})
		if n := len(events); n < 2 || n > 3 || events[0].Author != "m" || events[n-1].Author != "m" {
			t.Fatalf("%s: %+v", text, events)
		}
		for _, e := range events[1 : len(events)-1] {
			again, err := json.Marshal(e)
			if read := readEvents([][]byte{again}); err != nil || !cmp.Equal(read, []Event{e}) {
				t.Errorf("%s: %+v becomes %+v, %v", text, e, read, err)
			}
		}
	})
}

// An endpoint that the catalogue names is one that the file could have named, and has the address that the catalogue says; the others are
// refused, and nothing is lost.
func FuzzMemberships(f *testing.F) {
	for _, s := range []string{
		"10.0.0.1:80", "[::1]:9001", "HOST:80", "user@h:80", "h/path:80", `h"x:80`, "h?:80", "a b:80", "[fe80::1%eth0]:80", "h:", "é:80", "169.254.169.254:80",
	} {
		f.Add("http", s, 1.0)
	}
	f.Add("https", "h:443", 1e9)
	f.Add("ftp", "h:1", -1.0)
	base := &config.Config{Pools: map[string]*config.Pool{"p": {Consul: &config.Catalogue{Service: "s"}}, "q": {}}}
	f.Fuzz(func(t *testing.T, scheme, address string, weight float64) {
		service := source.Service{Name: "s"}
		s := &state{found: map[source.Service][]source.Instance{service: {{Scheme: scheme, Address: address, Weight: weight}}}}
		members, refused := s.memberships(base)
		if len(members) != 1 || len(members["p"])+len(refused) != 1 {
			t.Fatalf("%s://%s: %v, %v", scheme, address, members, refused)
		}
		for _, e := range members["p"] {
			file := "version: 1\npools: {p: {endpoints: [\"" + e.URL + "\"]}}"
			if _, err := config.Parse("config.yaml", []byte(file), func(string) (string, bool) { return "", false }); err != nil {
				t.Errorf("%s://%s: the file could not name %s: %v", scheme, address, e.URL, err)
			}
			u, err := url.Parse(e.URL)
			if err != nil || !strings.EqualFold(u.Host, address) || u.Scheme != scheme || !e.Foreign || !(e.Weight > 0 && e.Weight <= 1e6) {
				t.Errorf("%s://%s is %+v, %v", scheme, address, e, err)
			}
		}
	})
}
