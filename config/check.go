package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// endpoint is a URL, or a mapping with more to say.
var endpoint = kind[Endpoint]{
	shape: shape{
		name: "endpoint", example: "http://127.0.0.1:9001", keys: endpointSection.keys,
		schema: object{"type": []string{"string", "object"}, "pattern": endpointPattern},
	},
	read: func(r *reader, n *node, path string) (Endpoint, bool) {
		if n.kind == mapping {
			return endpointSection.read(r, n, path)
		}
		url, ok := endpointURL.read(r, n, path)
		return Endpoint{URL: url, Weight: 1}, ok
	},
	show: func(e Endpoint, all bool) *yaml.Node {
		if e.Weight == 1 {
			return endpointURL.show(e.URL, all)
		}
		return endpointSection.show(e, all)
	},
}

// weights are nil when one of them is no weight, so that nothing further is said of them.
var weights = kind[Weights]{
	shape: shape{
		name: "weights", example: "{iris-stable: 95, iris-canary: 5}", each: &amount.shape,
		schema: object{"type": "object", "propertyNames": object{"pattern": namePattern}, "minProperties": 1},
	},
	read: func(r *reader, n *node, path string) (Weights, bool) {
		m, ok := mapOf(amount, namePattern, name).read(r, n, path)
		if !ok {
			return nil, false
		}
		if p := weighable(m); !p.none() {
			r.fault(r.where[path], path+" "+p.what, p.remedy)
			return nil, false
		}
		return m, true
	},
	show: func(w Weights, all bool) *yaml.Node { return showMap(w, all, amount) },
}

// weighable says what keeps numbers from being divided by their sum.
func weighable(w Weights) problem {
	sum := 0.0
	for _, v := range w {
		if v < 0 || math.IsNaN(v) {
			return problem{fmt.Sprintf("has the weight %g", v), "write finite numbers of 0 or more"}
		}
		sum += v
	}
	switch {
	case len(w) == 0:
		return problem{"names no pool", "write at least one, such as {iris-stable: 100}"}
	case sum == 0:
		return problem{"gives every pool the weight 0", "give at least one pool a weight above 0"}
	case math.IsInf(sum, 0):
		return problem{"has weights with an infinite sum", "write smaller numbers"}
	}
	return problem{}
}

// oneDivision sees to it that a route has exactly one of split and blue_green.
func oneDivision(r *reader, n *node, path string) {
	split, blueGreen := n.get("split"), n.get("blue_green")
	switch {
	case split != nil && blueGreen != nil:
		r.fault(r.where[path+".blue_green"], path+" has both split and blue_green", "keep one of them")
	case split == nil && blueGreen == nil:
		r.fault(r.where[path], path+" sends its requests nowhere",
			"write split: {pool: 100}, or blue_green: {blue: pool, green: pool, active: blue}")
	}
}

// oneCondition sees to it that nobody takes every request without saying so.
func oneCondition(r *reader, n *node, path string) {
	if isOff(n) {
		r.fault(r.where[path], path+" sets no condition", "write path: / if every request is meant")
	}
}

// check finds what is wrong between the parts of a config whose values are each right. Parts that were not read are
// skipped: they have their fault already.
func (c *Config) check() Faults {
	faults := append(c.checkListeners(), c.checkTLS()...)
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		faults = append(faults, c.checkEndpoints("pools."+name+".endpoints", c.Pools[name])...)
		faults = append(faults, c.checkPoolTLS("pools."+name+".tls", c.Pools[name])...)
		faults = append(faults, c.checkForeign("pools."+name+".endpoints", c.Pools[name])...)
		if c.Pools[name].Consul != nil && c.Consul == nil {
			faults = append(faults, c.Fault("pools."+name+".consul", "pools."+name+".consul asks Consul's catalogue, and there is no consul section",
				"write consul: {address: http://127.0.0.1:8500} at the top level, or name endpoints instead"))
		}
		if h := c.Pools[name].HealthCheck; h != nil {
			faults = append(faults, c.checkHealthCheck("pools."+name+".health_check", h)...)
		}
	}
	pools := slices.Sorted(maps.Keys(c.Pools)) // once, for however many unknown ones are compared to them
	for _, name := range slices.Sorted(maps.Keys(c.Routes)) {
		faults = append(faults, c.checkRoute("routes."+name, c.Routes[name], pools)...)
	}
	return faults
}

func (c *Config) checkListeners() (faults Faults) {
	const most = 64
	if len(c.Listen) > most {
		return Faults{c.Fault("listen", fmt.Sprintf("listen names %d addresses", len(c.Listen)), fmt.Sprintf("write at most %d", most))}
	}
	for i, a := range c.Listen {
		for _, b := range c.Listen[:i] {
			if collide(a, b) {
				faults = append(faults, c.Fault(fmt.Sprintf("listen[%d]", i),
					fmt.Sprintf("listen names %s and %s, which are one place", b, a), "remove one"))
			}
		}
		if collide(a, c.Admin.Listen) {
			faults = append(faults, c.Fault(c.written("admin.listen", fmt.Sprintf("listen[%d]", i)),
				fmt.Sprintf("admin.listen %s is also where clients connect (listen %s)", c.Admin.Listen, a), "give one of them another port"))
		}
	}
	if c.Admin.Listen != "" && !onLoopback(c.Admin.Listen) && c.Admin.TokenFile == "" {
		faults = append(faults, c.Fault("admin.listen",
			fmt.Sprintf("admin.listen %s can be reached from other machines, and there is no admin.token_file", c.Admin.Listen),
			"write admin.token_file, or listen on 127.0.0.1"))
	}
	return faults
}

// written is the first path if the file says something there, else the other.
func (c *Config) written(path, other string) string {
	if c.says(path) {
		return path
	}
	return other
}

// says whether the file itself has a value at path.
func (c *Config) says(path string) bool {
	_, there := c.where[path]
	return there
}

// collide says whether two addresses cannot both be listened on.
func collide(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(strings.Replace(a, "localhost:", "127.0.0.1:", 1))
	hostB, portB, _ := net.SplitHostPort(strings.Replace(b, "localhost:", "127.0.0.1:", 1))
	if portA != portB || portA == "0" || portA == "" {
		return false
	}
	return strings.EqualFold(hostA, hostB) || covers(hostA, hostB) || covers(hostB, hostA)
}

// covers says whether wide is every address of a machine, of a family that host belongs to.
func covers(wide, host string) bool {
	if wide == "" || wide == "::" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return wide == "0.0.0.0" && (err != nil || a.Is4())
}

func onLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func (c *Config) checkEndpoints(path string, p *Pool) (faults Faults) {
	seen := map[string]bool{}
	for i, e := range *p.written() {
		if e.URL != "" && seen[e.URL] {
			at := fmt.Sprintf("%s[%d]", path, i)
			faults = append(faults, c.Fault(at, at+" is "+e.URL+" again", "keep one of them"))
		}
		seen[e.URL] = true
	}
	return faults
}

// checkHealthCheck finds probes that would overtake each other, or that no endpoint could answer as expected.
func (c *Config) checkHealthCheck(path string, h *HealthCheck) (faults Faults) {
	if h.Interval > 0 && h.Timeout >= h.Interval {
		faults = append(faults, c.Fault(c.written(path+".timeout", path+".interval"),
			fmt.Sprintf("%s: the timeout of %s is not shorter than the interval of %s", path, durationText(h.Timeout), durationText(h.Interval)),
			"write a shorter timeout, or a longer interval"))
	}
	if h.Body != "" && h.Method != "" && h.Method != "POST" && h.Method != "PUT" {
		faults = append(faults, c.Fault(path+".body", fmt.Sprintf("%s has a body, and a %s request none", path, h.Method), "write method: POST"))
	}
	if err := json.Unmarshal([]byte(h.Body), new(any)); err != nil && h.Body != "" && h.ContentType == "application/json" {
		faults = append(faults, c.Fault(path+".body", fmt.Sprintf("%s.body is not JSON: %v", path, err), "mend it, or write the content_type it has"))
	}
	if len(h.Expect) > 0 && h.Method == "HEAD" {
		faults = append(faults, c.Fault(path+".expect", path+".expect reads the answer's body, and an answer to HEAD has none", "write method: GET"))
	}
	return faults
}

// someEndpoints sees to it that a pool says where its endpoints come from.
func someEndpoints(r *reader, n *node, path string) {
	if n.get("endpoints") != nil {
		return
	}
	if k := n.get("consul"); k != nil && !isAbsent(k) {
		return
	}
	r.fault(r.where[path], path+".endpoints is missing", "write endpoints: [http://127.0.0.1:9001], or consul: {service: name}")
}

func (c *Config) checkRoute(path string, r *Route, pools []string) (faults Faults) {
	for _, pool := range slices.Sorted(maps.Keys(r.Split)) {
		faults = append(faults, c.checkPool(path+".split."+pool, pool, pools)...)
	}
	if b := r.BlueGreen; b != nil {
		faults = append(faults, c.checkPool(path+".blue_green.blue", b.Blue, pools)...)
		faults = append(faults, c.checkPool(path+".blue_green.green", b.Green, pools)...)
		if b.Blue == b.Green && b.Blue != "" {
			faults = append(faults, c.Fault(path+".blue_green.green", path+".blue_green has "+b.Green+" on both sides", "name two pools"))
		}
	}
	faults = append(faults, c.checkFailover(path, r, pools)...)
	faults = append(faults, c.checkAdmission(path, r)...)
	serving := r.Serving()
	for _, pool := range slices.Sorted(maps.Keys(r.Shadow)) {
		at := path + ".shadow." + pool
		faults = append(faults, c.checkPool(at, pool, pools)...)
		if serving[pool] {
			faults = append(faults, c.Fault(at, at+" also serves the route", "name a pool that clients get no answers from, or remove the shadow"))
		}
		if s := r.Shadow[pool]; s.predictions() && !r.reads() {
			at += ".compare.mode"
			faults = append(faults, c.Fault(at, at+" is "+s.Compare.Mode+", and the route does not say how predictions are found in its answers",
				"write the route's protocol, such as protocol: open_inference, or compare by json"))
		}
	}
	return faults
}

// predictions says that predictions are compared, which only an adapter finds.
func (s *Shadow) predictions() bool { return s.Compare.Mode == "argmax" || s.Compare.Mode == "top_k" }

// reads says that the route has an adapter.
func (r *Route) reads() bool { return r.Protocol != "" && r.Protocol != "none" }

// checkFailover sees to it that each pool is one more than those tried before it.
func (c *Config) checkFailover(path string, r *Route, pools []string) (faults Faults) {
	seen := map[string]bool{}
	for i, pool := range r.Failover {
		at := fmt.Sprintf("%s.failover[%d]", path, i)
		faults = append(faults, c.checkPool(at, pool, pools)...)
		if seen[pool] && pool != "" {
			faults = append(faults, c.Fault(at, at+" is "+pool+" again", "keep one of them"))
		}
		if _, only := r.Split[pool]; only && len(r.Split) == 1 {
			faults = append(faults, c.Fault(at, at+" is "+pool+", the pool that all requests are for", "name another pool, or remove it"))
		}
		seen[pool] = true
	}
	return faults
}

// Serving are the pools clients may get answers of.
func (r *Route) Serving() map[string]bool {
	pools := map[string]bool{}
	for pool := range r.Split {
		pools[pool] = true
	}
	if b := r.BlueGreen; b != nil {
		pools[b.Blue], pools[b.Green] = true, true
	}
	for _, pool := range r.Failover {
		pools[pool] = true
	}
	return pools
}

// checkPool sees to it that a pool named at path is there.
func (c *Config) checkPool(path, name string, pools []string) Faults {
	if _, known := c.Pools[name]; known || name == "" {
		return nil
	}
	return Faults{c.Fault(path, fmt.Sprintf("%s: there is no pool %q", path, name),
		didYouMean(name, pools))}
}
