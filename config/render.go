package config

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Render writes all of a config as YAML, defaults included, in the order of the reference page and by name. Read as a file
// of the working directory it gives a config of the same digest, but for header values that look like secrets: those
// are never written.
func Render(c *Config) []byte {
	return written(redacted(own(document.show(*c, true))))
}

// Change is one difference between two configs.
type Change struct {
	// Path is that of a value, such as "routes.iris.split.canary", or of a whole entry that came or went, such as
	// "pools.canary".
	Path string
	// Was and Is are what one would write in the file, on one line and without defaults; "" = it is not there.
	Was, Is string
}

// Diff is what differs between the effective values of two configs, by path; who set them plays no part. Header values that
// look like secrets are compared, but not shown.
func Diff(old, now *Config) []Change {
	d := differ{}
	d.compare("", sideOf(old), sideOf(now))
	slices.SortFunc(d.changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return d.changes
}

// side is a value of one config, all of it and without defaults.
type side struct{ all, brief *yaml.Node }

func sideOf(c *Config) side { return side{document.show(*c, true), document.show(*c, false)} }

// entries are the values of a mapping by key.
func (s side) entries() map[string]side {
	entries, brief := map[string]side{}, entriesOf(s.brief)
	for key, n := range entriesOf(s.all) {
		entries[key] = side{n, brief[key]}
	}
	return entries
}

// text is the value on one line.
func (s side) text() string {
	if s.brief != nil {
		return oneLine(redacted(s.brief))
	}
	return oneLine(redacted(s.all))
}

type differ struct{ changes []Change }

func (d *differ) compare(path string, was, is side) {
	before, after := was.entries(), is.entries()
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	for key := range keys {
		at, was, is := join(path, key), before[key], after[key]
		switch {
		case isOfFile(was.all) != isOfFile(is.all) && (was.all == nil || is.all == nil): // that file was not read
		case isMapping(was.all) && isMapping(is.all):
			d.compare(at, was, is)
		case oneLine(was.all) != oneLine(is.all):
			d.changes = append(d.changes, Change{at, was.text(), is.text()})
		}
	}
}

func isMapping(n *yaml.Node) bool { return n != nil && n.Kind == yaml.MappingNode }

func isOfFile(n *yaml.Node) bool { return n != nil && n.Tag == ofFile }

// own is a copy without what stands in other files.
func own(n *yaml.Node) *yaml.Node {
	clone := *n
	clone.Content = nil
	for i, c := range n.Content {
		if isMapping(n) && isOfFile(n.Content[i|1]) {
			continue
		}
		clone.Content = append(clone.Content, own(c))
	}
	return &clone
}

func entriesOf(n *yaml.Node) map[string]*yaml.Node {
	entries := map[string]*yaml.Node{}
	if isMapping(n) {
		for i := 0; i < len(n.Content); i += 2 {
			entries[n.Content[i].Value] = n.Content[i+1]
		}
	}
	return entries
}

// redacted is a copy without secrets.
func redacted(n *yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	if n.Tag == secret {
		return single("!!str", "redacted")
	}
	clone := *n
	clone.Content = make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		clone.Content[i] = redacted(c)
	}
	return &clone
}

// oneLine writes n as it would stand in brackets.
func oneLine(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{n}}
	line := strings.TrimSuffix(string(written(list)), "\n")
	return strings.TrimSuffix(strings.TrimPrefix(line, "["), "]")
}

func written(n *yaml.Node) []byte {
	var b bytes.Buffer
	d, err := yaml.NewDumper(&b, yaml.WithIndent(2), yaml.WithLineWidth(-1), yaml.WithQuotePreference(yaml.QuoteDouble))
	if err == nil {
		err = d.Dump(n)
	}
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("config: the nodes of a config can be written: %v", err))
	}
	return b.Bytes()
}
