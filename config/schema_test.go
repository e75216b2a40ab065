package config

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, src []byte) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(src, &v); err != nil {
		return err
	}
	return s.Validate(v)
}

func TestSchemaTakesGoodFiles(t *testing.T) {
	all := goodFiles(t)
	s := compileSchema(t)
	maps.Copy(all, files(t, "../config.yaml"))
	for name, src := range all {
		if err := validate(t, s, src); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of the refused files the schema takes only those whose fault lies between keys, or in what a pattern cannot say.
func TestSchemaRefusesWhatItCanSee(t *testing.T) {
	s := compileSchema(t)
	beyond := strings.Fields(`admin_host_with_port admin_open_without_token admin_token_missing_for_host_name blue_green_same
		blue_green_unknown_pool control_character endpoint_twice endpoint_weight listen_port_too_high listen_strange_host listen_twice
		listen_where_admin_listens match_header_twice match_without_condition match_empty not_utf8 route_with_both_divisions
		route_without_division shadow_in_split shadow_unknown_pool size_too_large size_zero duration_zero connect_timeout_zero split_all_zero
		split_sum_not_finite split_unknown_pool sticky_json_path trusted_proxy_inside_a_network trusted_proxy_not_a_network
		two_documents variable_not_set variable_without_end variable_without_name custom_tag split_not_finite match_host_pattern
		health/interval_under_timeout health/timeout_as_long_as_interval health/interval_too_short health/body_with_get
		health/body_not_json health/expect_with_head health/weight_not_finite health/breaker_no_time
		consul/ca_file_without_https consul/pool_switched_off consul/pool_without_section consul/pool_section_switched_off
		failover/unknown_pool failover/twice failover/only_pool failover/shadow queue/timeout_zero allow_endpoints/inside_a_network allow_endpoints/upper_case
		allow_endpoints/pattern_in_the_middle allow_endpoints/url
		feedback/window_zero inspect/max_body_zero admission/header_framing admission/by_key_without_keys
		compare/argmax_without_protocol compare/top_k_without_protocol
		tls/cert_without_key tls/client_ca_alone tls/nothing_to_secure tls/pool_cert_without_key`)
	for name, src := range refusedFiles(t) {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "testdata/"), ".yaml")
		if err := validate(t, s, src); err == nil && !slices.Contains(beyond, name) {
			t.Errorf("%s: the schema takes it", name)
		}
	}
}

func TestSchemaKnowsNoOtherKeys(t *testing.T) {
	s := compileSchema(t)
	f := func(src string, want bool) {
		t.Helper()
		if err := validate(t, s, []byte(src)); (err == nil) != want {
			t.Errorf("%s: taken %v, want %v (%v)", src, err == nil, want, err)
		}
	}
	f("version: 1", true)
	f("version: 1\nfoo: 1", false)
	f("version: 1\nlimits: {foo: 1}", false)
	f("version: 1\ntls: {foo: null}", false)
	f("version: 1\ntls: {cert_file: null}", true)
	f("version: 1\npools: {a: {endpoints: [http://h:1], foo: 1}}", false)
	f("version: 1\npools: {A: {endpoints: [http://h:1]}}", false)
	f("version: 1\npools: {a: {endpoints: [{url: http://h:1, foo: 1}]}}", false)
	f("version: 1\nroutes: {a: {match: {path: /, foo: 1}, split: {a: 1}}}", false)
	f("version: 1\nroutes: {a: {match: {path: /}, split: {a: 1}, shadow: {b: {foo: 1}}}}", false)
}

// walk visits every key of the description with its path, mapping names written as NAME.
func walk(path string, keys []about, visit func(path string, a about)) {
	for _, a := range keys {
		at := join(path, a.key)
		visit(at, a)
		s := a.shape
		if s.each != nil {
			s, at = s.each, at+map[bool]string{true: "[]", false: ".NAME"}[strings.HasPrefix(a.shape.name, "list")]
		}
		walk(at, s.keys, visit)
	}
}

func TestEveryKeyHasASentence(t *testing.T) {
	walk("", document.keys, func(path string, a about) {
		if doc := a.doc; doc != "" && !strings.HasSuffix(doc, ".") || doc == "" && a.shape.name != "off" {
			t.Errorf("%s: %q", path, doc)
		}
		if a.required && a.initial != "" {
			t.Errorf("%s is needed and has a default", path)
		}
	})
}

var commentedOut = regexp.MustCompile(`(?m)^( *)# ([a-z0-9_]+: )`)

// The example shows every key that works, and its default where it has one. What few will want is commented out.
func TestExampleShowsEveryKey(t *testing.T) {
	src := commentedOut.ReplaceAllString(string(files(t, "../config.yaml")["../config.yaml"]), "$1$2")
	c, err := Parse("config.yaml", []byte(src), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"pools.NAME": "pools.iris-stable", "routes.NAME": "routes.iris", "shadow.NAME": "shadow.iris-next", "endpoints[]": "endpoints[1]"}
	walk("", document.keys, func(path string, a about) {
		for from, to := range names {
			path = strings.Replace(path, from, to, 1)
		}
		if strings.Contains(path, "blue_green") {
			path = strings.Replace(path, "iris", "search", 1)
		}
		if _, there := c.where[path]; !there && !a.off {
			t.Errorf("config.yaml does not show %s", path)
		}
		if a.initial != "" && a.shape.keys == nil && a.shape.each == nil && !strings.Contains(src, a.key+": "+a.initial) {
			t.Errorf("config.yaml shows another value than %s: %s", path, a.initial)
		}
	})
}

const (
	begin = "<!-- reference: written by `go test ./config -run Reference -update` -->\n"
	end   = "<!-- end of reference -->\n"
)

func TestReferencePage(t *testing.T) {
	const page = "../docs/config.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/config.md lost the marks around its reference")
	}
	now := reference()
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+now+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != now {
		t.Error("docs/config.md differs from the description; run go test ./config -run Reference -update")
	}
}

// reference is the part of docs/config.md that the description knows.
func reference() string {
	var b, off strings.Builder
	table(&b, "", "", document.keys)
	walk("", document.keys, func(path string, a about) {
		s, at := a.shape, path
		if s.each != nil && s.each.keys != nil {
			s, at = s.each, path+"."+"NAME"
			if strings.HasPrefix(a.shape.name, "list") {
				at = path + "[]"
			}
		}
		switch {
		case a.idle() && a.doc == "":
		case a.idle() && a.shape.name == "off":
			fmt.Fprintf(&off, "- `%s`: %s\n", path, a.doc)
		case a.idle():
			fmt.Fprintf(&off, "- `%s`: %s\n", path, a.sentence())
		case s.keys != nil:
			table(&b, at, a.doc, s.keys)
		}
	})
	b.WriteString("\n### Known, but not available yet\n\nRefused, unless the value switches the feature off: `false`, `0`, `0%`, `0s`, `none`, `\"\"`, `[]`, `{}`\nor nothing. " +
		"(Where `{}` would switch a feature on with its defaults, as it would `consul`, it is refused too.)\n\n" + off.String() + "\n")
	return b.String()
}

func table(b *strings.Builder, path, doc string, keys []about) {
	title := "### Top level"
	if path != "" {
		title = "### `" + path + "`\n\n" + doc
	}
	fmt.Fprintf(b, "\n%s\n\n| key | value | default | what it does |\n|---|---|---|---|\n", title)
	for _, a := range keys {
		if a.idle() {
			continue
		}
		value, initial := strings.ReplaceAll(a.shape.name, "|", `\|`), "-"
		switch {
		case a.required:
			initial = "needed"
		case a.initial == "{}" && a.shape.keys != nil:
			initial = "each its own"
		case a.initial != "":
			initial = "`" + a.initial + "`"
		}
		if a.shape.keys != nil {
			value = "section"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", a.key, value, initial, a.doc)
	}
}
