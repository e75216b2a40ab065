package config

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// A file of API keys gives names with sums and routes that there are, or faults with their places; and these quote nothing that stands
// where a sum should: who is new to it writes the key itself there.
func FuzzAPIKeys(f *testing.F) {
	for _, s := range []string{
		"team-a: {sha256: " + oneSum + "}\nteam-b: {sha256: [" + otherSum + "], routes: [x]}\n", "{}", "", "a: mlp_of-the-test", "a: {sha256: mlp_of-the-test}",
		"a: {sha256: [mlp_of-the-test, mlp_of-the-test]}", "a: {sha256: {k: mlp_of-the-test}}", "a: {sha256: *mlp_of-the-test}", "a: {sha256: !mlp_of-the-test x}",
		"a: {sha256: &k mlp_of-the-test}\nb: {sha256: *k, <<: *k}", "a: {sha256: \"mlp_of-the-test}", "a: {sha256: \"${mlp_of-the-test}\"}",
		"a:\n  sha256: |\n    mlp_of-the-test\n",
	} {
		f.Add([]byte(s))
	}
	base := mustParse(f, guardedFile)
	f.Fuzz(func(t *testing.T, src []byte) {
		keys, faults := base.parseKeys("keys.yaml", src)
		secrets := inPlaceOfSums(src)
		for _, fault := range faults {
			if fault.At.Line < 1 || fault.At.Col < 1 || fault.At.File != "keys.yaml" || fault.What == "" || fault.Remedy == "" {
				t.Errorf("a fault says too little: %q", fault)
			}
			for _, s := range secrets {
				if strings.Contains(fault.What+fault.Remedy, s) {
					t.Errorf("%q is quoted: %v", s, fault)
				}
			}
		}
		if len(faults) > 0 {
			return
		}
		var sums []string
		for name, key := range keys {
			if !isName.MatchString(name) || len(key.SHA256) == 0 {
				t.Errorf("%q has %q", name, key)
			}
			for _, route := range key.Routes {
				if base.Routes[route] == nil {
					t.Errorf("%s is good for %q", name, route)
				}
			}
			sums = append(sums, key.SHA256...)
		}
		for _, sum := range sums {
			if len(sum) != 64 || strings.Trim(sum, "0123456789abcdef") != "" {
				t.Errorf("%q is no sum", sum)
			}
		}
		if slices.Sort(sums); len(slices.Compact(sums)) < len(sums) {
			t.Errorf("two have one key: %q", keys)
		}
	})
}

// inPlaceOfSums are the texts below the names sha256, or beside the names of keys, that might be a key and stand nowhere else.
func inPlaceOfSums(src []byte) []string {
	var document yaml.Node
	if yaml.Unmarshal(src, &document) != nil {
		return nil
	}
	var secrets, others []string
	var walk func(n *yaml.Node, secret bool)
	walk = func(n *yaml.Node, secret bool) {
		if n.Kind == yaml.ScalarNode && secret {
			secrets = append(secrets, n.Value)
		} else {
			others = append(others, n.Value, n.Tag, n.Anchor)
		}
		for i, part := range n.Content {
			inMapping := n.Kind == yaml.MappingNode
			isName := inMapping && i%2 == 0
			named := inMapping && !isName && (n.Content[i-1].Value == "sha256" || n == document.Content[0] && part.Kind == yaml.ScalarNode)
			walk(part, !isName && (secret || named))
		}
	}
	walk(&document, false)
	return slices.DeleteFunc(secrets, func(s string) bool {
		elsewhere := func(other string) bool { return strings.Contains(other, s) }
		return !mayBeKey.MatchString(s) || slices.ContainsFunc(others, elsewhere)
	})
}

var mayBeKey = regexp.MustCompile(`^[A-Za-z0-9_-]{14,}$`)
