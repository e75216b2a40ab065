package config

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// readBack sees to it that what is written is read as the same.
func readBack(t *testing.T, c *Config) {
	t.Helper()
	text := Render(c)
	again, err := Parse("config.yaml", text, noEnv)
	if strings.Contains(string(text), "redacted") {
		return
	}
	if err != nil || again.Digest() != c.Digest() {
		t.Errorf("not read back: %v\n%s", err, text)
		return
	}
	if changes := Diff(c, again); len(changes) > 0 {
		t.Errorf("read back with differences: %v", changes)
	}
}

func TestRenderIsReadBack(t *testing.T) {
	all := goodFiles(t)
	maps.Copy(all, files(t, "../config.yaml"))
	for _, src := range all {
		readBack(t, mustParse(t, string(src)))
	}
	readBack(t, mustParse(t, twoRoutes))
}

func TestRender(t *testing.T) {
	got := string(Render(mustParse(t, `
version: 1
admin: {listen: :9090, token_file: /etc/mlproxy/token}
pools:
  b: {endpoints: [http://127.0.0.1:9001, http://127.0.0.1:9002]}
  a: {endpoints: [http://127.0.0.1:9003], host: ml.example.org}
routes:
  x:
    match: {headers: {Authorization: Bearer abc, X-Api-Key: k, X-Team: "$${x}", Cookie: "*"}, model: "1"}
    split: {b: 0.5, a: 2}
    shadow: {}
`)))
	want := `
pools:
  a:
    endpoints:
    - http://127.0.0.1:9003
    balance: least_request
    connect_timeout: 500ms
    max_connections: 512
    host: ml.example.org
    on_client_gone: cancel
  b:
    endpoints:
    - http://127.0.0.1:9001
    - http://127.0.0.1:9002
    balance: least_request
    connect_timeout: 500ms
    max_connections: 512
    host: ""
    on_client_gone: cancel
routes:
  x:
    match:
      hosts: []
      methods: []
      headers:
        authorization: redacted
        cookie: "*"
        x-api-key: redacted
        x-team: $${x}
      model: "1"
    split:
      a: 2
      b: 0.5
    sticky: []
`
	rest := got
	for line := range strings.Lines(strings.TrimPrefix(want, "\n")) {
		var there bool
		if _, rest, there = strings.Cut(rest, line); !there {
			t.Fatalf("no line %q where it should be in\n%s", line, got)
		}
	}
}

func TestWritten(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	share := func(v float64) string { return showShare(v).Value }
	f(share(0), "0%")
	f(share(0.07), "7%")
	f(share(0.125), "12.5%")
	f(share(1), "100%")
	f(share(1e-9), "1e-09")
	f(durationText(0), "0s")
	f(durationText(1500*time.Millisecond), "1.5s")
	f(durationText(10*time.Second), "10s")
	f(durationText(10*time.Minute), "10m")
	f(durationText(2*time.Hour), "2h")
	f(durationText(time.Hour+time.Second), "1h0m1s")
	f(sizeText(0), "0B")
	f(sizeText(1000), "1000B")
	f(sizeText(1536), "1536B")
	f(sizeText(16<<10), "16KiB")
	f(sizeText(3<<30), "3GiB")
}

func TestSharesAreReadBack(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		v := float64(random.IntN(1000)) / 1000
		if random.IntN(2) == 0 {
			v = random.Float64()
		}
		n := showShare(v)
		if got, p := share.read(&reader{}, &node{kind: scalar, tag: n.Tag, text: n.Value}, ""); got != v || !p {
			t.Fatalf("%v is written %s and read as %v", v, n.Value, got)
		}
	}
}

func TestPlainTextIsReadBack(t *testing.T) {
	for _, s := range []string{"", "a", "$", "${", "${A}", "$${A}", "$$${A}", "${A${B}", "${A}${B}", "a${b", "${a}}$", "$$", "${${${", "{}$"} {
		if got, p := expand(plain(s), noEnv); got != s || !p.none() {
			t.Errorf("%s is written %s and read as %s", s, plain(s), got)
		}
	}
}

func TestDiff(t *testing.T) {
	const route = "routes: {x: {match: {path: /}, split: {a: 95, b: 5}}}\n"
	f := func(before, after string, want ...string) {
		t.Helper()
		var got []string
		for _, c := range Diff(mustParse(t, twoPools+before), mustParse(t, twoPools+after)) {
			got = append(got, fmt.Sprintf("%s: %s -> %s", c.Path, c.Was, c.Is))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	x := func(text string) string { return "routes: {x: {match: {path: /}, " + text + "}}\n" }
	f(route, route)
	f(route, "limits: {}\n"+route+"# comment\n")
	f(route, x("split: {a: 90, b: 10}"), "routes.x.split.a: 95 -> 90", "routes.x.split.b: 5 -> 10")
	f(route, x("split: {a: 95}"), "routes.x.split.b: 5 -> ")
	f(x("blue_green: {blue: a, green: b, active: blue}"), x("blue_green: {blue: a, green: b, active: green}"),
		"routes.x.blue_green.active: blue -> green")
	f(route, x("blue_green: {blue: a, green: b, active: blue}"),
		"routes.x.blue_green:  -> {blue: a, green: b, active: blue}", "routes.x.split: {a: 95, b: 5} -> ")
	f(route, "", "routes.x: {match: {path: /}, split: {a: 95, b: 5}} -> ")
	f("", x("split: {a: 1}, timeout: 30s, retry: {attempts: 0}"), "routes.x:  -> {match: {path: /}, split: {a: 1}, retry: {attempts: 0}}")
	f(x("split: {a: 1}"), x("split: {a: 1}, sticky: [client_ip], timeout: 90s, shadow: {b: {sample: 7%}}"),
		"routes.x.shadow.b:  -> {sample: 7%}", "routes.x.sticky: [] -> [client_ip]", "routes.x.timeout: 30s -> 1m30s")
	f("listen: :1\n", "listen: [\":1\", \":2\"]\n", `listen: [":1"] -> [":1", ":2"]`)
	f("routes: {x: {match: {headers: {X-Token: a}}, split: {a: 1}}}\n", "routes: {x: {match: {headers: {X-Token: b}}, split: {a: 1}}}\n",
		"routes.x.match.headers.x-token: redacted -> redacted")
	f("routes: {x: {match: {headers: {X-Token: a}}, split: {a: 1}}}\n", "",
		"routes.x: {match: {headers: {x-token: redacted}}, split: {a: 1}} -> ")
}

// What an operator said over the file is part of what is in force.
func TestDiffAndRenderSeeLayers(t *testing.T) {
	base := mustParse(t, twoRoutes)
	merged, err := Merge(base, Layer{"operator", map[string]Override{"colour": {Active: "green"}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Change{{"routes.colour.blue_green.active", "blue", "green"}}, Diff(base, merged)); diff != "" {
		t.Error(diff)
	}
	readBack(t, merged)
}
