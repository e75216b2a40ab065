package config

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const catalogued = `
version: 1
consul: {}
pools:
  a: {endpoints: [http://127.0.0.1:9001], consul: {service: iris}}
  b: {consul: {service: iris, tags: [v2]}}
  c: {endpoints: [http://127.0.0.1:9003]}
routes:
  x: {match: {path: /x}, split: {a: 95, b: 5}, failover: [c]}
`

func urls(endpoints []Endpoint) (list []string) {
	for _, e := range endpoints {
		list = append(list, e.URL)
	}
	return list
}

func TestMembersTakeThePlaceOfEndpoints(t *testing.T) {
	base := mustParse(t, catalogued)
	f := func(c *Config, pool string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, urls(c.Pools[pool].Endpoints)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pool, diff)
		}
	}
	f(base, "a", "http://127.0.0.1:9001")
	f(base, "b")
	two := Members{
		"a": {{URL: "http://10.0.0.2:1", Weight: 1}, {URL: "http://10.0.0.1:1", Weight: 1}, {URL: "http://10.0.0.2:1", Weight: 3}},
		"b": {{URL: "http://10.0.0.3:1", Weight: 1}},
		"c": {{URL: "http://10.0.0.4:1", Weight: 1}},
		"d": {{URL: "http://10.0.0.5:1", Weight: 1}},
	}
	filled := WithMembers(base, two)
	f(filled, "a", "http://10.0.0.1:1", "http://10.0.0.2:1")
	f(filled, "b", "http://10.0.0.3:1")
	f(filled, "c", "http://127.0.0.1:9003")
	if e := filled.Pools["a"].Endpoints[1]; e.Weight != 3 || !e.Foreign || two["a"][0].Foreign {
		t.Errorf("of two weights the larger counts, and members are foreign: %+v", e)
	}
	if len(filled.Pools) != 3 {
		t.Error("a pool came from nowhere")
	}
	f(base, "a", "http://127.0.0.1:9001")

	again := WithMembers(filled, Members{"a": {}})
	f(again, "a")
	f(again, "b")
	f(WithMembers(filled, nil), "a", "http://127.0.0.1:9001")
	if !Same(WithMembers(filled, nil), base) {
		t.Error("without members it is not what it was")
	}
}

// Members come and go on each replica at times of its own; what is desired is the same all the while.
func TestMembersLeaveTheDigest(t *testing.T) {
	base := mustParse(t, catalogued)
	one := WithMembers(base, Members{"a": {{URL: "http://10.0.0.1:1", Weight: 1}, {URL: "http://10.0.0.2:1", Weight: 1}}})
	other := WithMembers(base, Members{"a": {{URL: "http://10.0.0.2:1", Weight: 1}, {URL: "http://10.0.0.1:1", Weight: 1}}})
	none := WithMembers(base, Members{"a": nil, "b": nil})
	for _, c := range []*Config{one, other, none} {
		if c.Digest() != base.Digest() {
			t.Error("members change the digest")
		}
		if changes := Diff(base, c); len(changes) > 0 {
			t.Errorf("members are changes of the config: %v", changes)
		}
		readBack(t, c)
	}
	if !Same(one, other) || Same(one, base) || Same(none, base) {
		t.Error("members of any order are the same, others are not")
	}
	drained := map[string]bool{"http://10.0.0.1:1": true, "http://127.0.0.1:9001": true}
	if Drain(one, drained).Digest() == base.Digest() || Drain(base, drained).Digest() == base.Digest() {
		t.Error("a drained endpoint is not in the digest")
	}
	if !Same(WithMembers(Drain(one, drained), nil), Drain(base, nil)) {
		t.Error("a drain of members stays with what the file says")
	}
}

func TestMember(t *testing.T) {
	c := mustParse(t, twoRoutes+"allow_endpoints: [10.0.0.0/8]\n")
	f := func(url string, weight float64, want Endpoint, wantErr string) {
		t.Helper()
		got, err := c.Member(url, weight)
		if err == nil && wantErr != "" || err != nil && err.Error() != wantErr || got != want {
			t.Errorf("%s: got %+v, %v", url, got, err)
		}
	}
	f("http://10.0.0.1:80", 2, Endpoint{URL: "http://10.0.0.1:80", Weight: 2, Foreign: true}, "")
	f("http://10.0.0.1:80", 0, Endpoint{URL: "http://10.0.0.1:80", Weight: leastWeight, Foreign: true}, "")
	f("http://10.0.0.1:80", math.Inf(1), Endpoint{URL: "http://10.0.0.1:80", Weight: mostWeight, Foreign: true}, "")
	f("http://10.0.0.1:80", math.NaN(), Endpoint{URL: "http://10.0.0.1:80", Weight: 1, Foreign: true}, "")
	f("http://10.0.0.1:0", 1, Endpoint{}, `its address is "http://10.0.0.1:0", without a port from 1 to 65535; write it out, such as http://10.0.0.1:80`)
	f("http://192.0.2.1:80", 1, Endpoint{}, "the address 192.0.2.1 is not allowed by allow_endpoints; add its network to allow_endpoints in config.yaml, if it should be")
}
