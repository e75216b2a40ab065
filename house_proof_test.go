package mlproxy_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// sound is a small house without a fault. Each case of the proof changes one thing in it.
var sound = map[string]string{
	"go.mod":                 "module mlproxy\n\ngo 1.26.0\n\nrequire github.com/fsnotify/fsnotify v1.10.1\n",
	"README.md":              "```yaml\nsplit: {a: 1}\n```\nSee [the pages](docs/index.md) and [words](docs/index.md#the-words).\n",
	"docs/index.md":          "# Pages\n\n[house](architecture.md)\n\n## The words\n",
	"docs/architecture.md":   floors + arrows + doors,
	"config/doc.go":          "// Package config is desired state.\npackage config\n\n// Max is a limit.\nconst Max = 1\n",
	"source/doc.go":          "// Package source is where desired state comes from.\npackage source\n\nimport (\n_ \"github.com/fsnotify/fsnotify\"\n_ \"mlproxy/config\"\n)\n",
	"source/a_test.go":       "package source\n\nimport (\n_ \"net/http\"\n_ \"mlproxy/monitor\"\n_ \"go.uber.org/goleak\"\n)\n",
	"cmd/mlproxy/main.go":    "// Command mlproxy is the program.\npackage main\n\nimport _ \"mlproxy/source\"\n\nfunc main() {}\n",
	"source/suite/doc.go":    "// Package suite tests source.\npackage suite\n",
	"source/suite/a_test.go": "package suite\n\nimport _ \"mlproxy/config\"\n",
	"tools/x/go.mod":         "module other\n",
	"tools/x/util.go":        "package util\n",
	"a/testdata/bad.go":      "not Go at all",
}

func TestEveryRuleCanFail(t *testing.T) {
	p := readPolicy(t, floors, arrows, doors)
	judged := map[string]bool{}
	f := func(rule, file, content, want string) {
		t.Helper()
		judged[rule] = true
		got := judge(t, p, rule, file, content)
		if !slices.ContainsFunc(got, func(fault string) bool { return strings.Contains(fault, want) }) {
			t.Errorf("%s: %s with\n%s\ngot faults %q\nwant one with %q", rule, file, content, got, want)
		}
	}
	f("placed", "router/policies/p2c.go", "package policies\n\nvar x int\n", "router/policies stands on no floor")
	f("placed", "proxy/suite/x.go", "package suite\n\nfunc x() {}\n", "proxy/suite stands on no floor")
	f("placed", "suite/x_test.go", "package suite\n", "suite stands on no floor")
	f("placed", "main.go", "package mlproxy\n", "main.go: a Go file of the program at the root")
	f("names", "util/x.go", "package strings\n", `a package named "util"`)
	f("names", "router/x.go", "package models\n", `a package named "models"`)
	f("names", "pkg/router/x.go", "package router\n", `a package named "pkg"`)
	f("arrows", "router/x.go", "package router\n\nimport _ \"mlproxy/proxy\"\n",
		"router/x.go:3: router (floor 3) imports proxy (floor 5), upward; let proxy hand down")
	f("arrows", "router/x_test.go", "package router\n\nimport _ \"mlproxy/proxy\"\n", "upward")
	f("arrows", "router/suite/x_test.go", "package suite\n\nimport _ \"mlproxy/proxy\"\n", "upward")
	f("arrows", "proxy/x.go", "package proxy\n\nimport _ \"mlproxy/config\"\n",
		"proxy imports config; it may import router, shadow, monitor, protocol, upstream")
	f("arrows", "protocol/x.go", "package protocol\n\nimport _ \"mlproxy/health\"\n", "may import no room of ours")
	f("arrows", "router/x.go", "package router\n\nimport _ \"mlproxy/nowhere\"\n", "nowhere, which stands on no floor")
	f("doors", "router/x.go", "package router\n\nimport _ \"github.com/valyala/fasthttp/fasthttputil\"\n",
		"router/x.go:3: router imports github.com/valyala/fasthttp/fasthttputil, whose door is proxy, shadow, upstream")
	f("doors", "router/x.go", "package router\n\nimport _ \"net/http\"\n", "whose door is admin, health")
	f("doors", "config/x.go", "package config\n\nimport _ \"pgregory.net/rapid\"\n", "whose door is tests")
	f("doors", "router/x_test.go", "package router\n\nimport _ \"example.com/clever\"\n", "example.com/clever is behind no door")
	f("dependencies", "go.mod", "module mlproxy\n\nrequire (\n\texample.com/clever v1.0.0\n\texample.com/deep v1.0.0 // indirect\n)\n",
		"go.mod:4: example.com/clever is behind no door")
	f("dependencies", "go.mod", "module mlproxy\n\nrequire github.com/valyala/fasthttp v1.0.0\n",
		"go.mod:3: nobody imports github.com/valyala/fasthttp")
	f("package comments", "router/x.go", "package router\n", `package router has no comment; begin one with "Package router"`)
	f("package comments", "cmd/mlproxy/main.go", "// Package main.\npackage main\n", `begin one with "Command mlproxy"`)
	f("exported comments", "config/x.go", "package config\n\nfunc Load() {}\n", "config/x.go:3: exported Load has no comment")
	f("exported comments", "config/x.go", "package config\n\ntype T struct{}\n", "exported T has no comment")
	f("exported comments", "config/x.go", "package config\n\n// T is.\ntype T[X any] struct{}\n\nfunc (t *T[X]) M() {}\n", "exported T.M has no comment")
	f("exported comments", "config/x.go", "package config\n\nvar (\n\tA = 1 // A is one.\n\tB = 2\n)\n", "config/x.go:5: exported B has no comment")
	f("file length", "config/x.go", "package config\n"+strings.Repeat("\n", maxFileLines), "config/x.go: 501 lines; at most 500")
	f("function length", "config/x.go", "package config\n\nfunc long() {"+strings.Repeat("\n", maxFunctionLines)+"}\n",
		"config/x.go:3: long has 71 lines; at most 70")
	f("links", "README.md", "\n[x](docs/nothing.md)\n", "README.md:2: link to docs/nothing.md: there is no docs/nothing.md")
	f("links", "README.md", "```\n[code](x)\n```\n[x](docs/index.md#nothing)\n", "README.md:4: link to docs/index.md#nothing: docs/index.md has no heading")
	f("pages", "docs/lost.md", "# Lost\n", "docs/lost.md: not listed in docs/index.md")
	f("named tests", "README.md", "Held by `TestNothing`.\n", "README.md:1: there is no test TestNothing in any file")
	f("named tests", "README.md", "[x_test.go](config/x_test.go): `TestNothing`\n", "README.md:1: there is no test TestNothing in config/x_test.go")
	f("architecture page", "docs/architecture.md", floors+arrows, `lacks the line "github.com/valyala/fasthttp`)
	f("shown configs", "README.md", "Do so:\n\n```yaml\nversion: 1\nlisten: nowhere\nrouts: {}\n```\n", "README.md:4: the config that begins here is refused: README.md:")

	for _, r := range rules {
		if !judged[r.name] {
			t.Errorf("rule %q was never seen failing; add a case", r.name)
		}
	}
}

// TestSoundHouse shows that the proof's faults come from its changes.
func TestSoundHouse(t *testing.T) {
	p := readPolicy(t, floors, arrows, doors)
	for _, r := range rules {
		if faults := judge(t, p, r.name, "config/x.go", "package config\n"); len(faults) > 0 {
			t.Errorf("%s: faults in a sound house: %q", r.name, faults)
		}
	}
}

// judge builds the sound house with one file changed, and asks one rule.
func judge(t *testing.T, p *policy, name, file, content string) []string {
	t.Helper()
	files := maps.Clone(sound)
	files[file] = content
	tree := fstest.MapFS{}
	for path, text := range files {
		tree[path] = &fstest.MapFile{Data: []byte(text)}
	}
	h, err := readHouse(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if r.name == name {
			return r.faults(p, h)
		}
	}
	t.Fatalf("no rule is named %q", name)
	return nil
}

func TestPolicyCanContradictItself(t *testing.T) {
	f := func(floors, arrows, doors, want string) {
		t.Helper()
		_, faults := parsePolicy(floors, arrows, doors)
		if !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, want) }) {
			t.Errorf("got %q, want one with %q", faults, want)
		}
	}
	f("2 a\n1 b", "b : a\na :", "", "arrow b -> a does not lead to a lower floor")
	f("1 a b", "b : a\na :", "", "arrow b -> a does not lead to a lower floor")
	f("1 a", "a : ghost", "", "arrow a -> ghost does not lead to a lower floor")
	f("1 a", "a :\nghost :", "", "arrows name ghost, which stands on no floor")
	f("1 a b", "a :", "", "b stands on a floor, but arrows do not say")
	f("1 a", "a :", "net/http : ghost", "door net/http opens to ghost")
	f("first a", "a :", "", `floors line "first a"`)
}
