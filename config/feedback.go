package config

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

var feedback = section("feedback", nil,
	key("key_file", filePath, func(f *Feedback) *string { return &f.KeyFile }, `""`,
		"File with the keys of receipts, one a line: the first signs, the others are still believed. All replicas need the same. It is read again when it "+
			"changes. Empty: a random key, so that only the process that made a receipt believes it. A relative path starts at the folder of this file."),
	key("window", positive, func(f *Feedback) *time.Duration { return &f.Window }, "1h",
		"Time after an answer, for a click after its impression, in which feedback counts; later it is late."),
	key("remember", whole(1, 10_000_000), func(f *Feedback) *int { return &f.Remember }, "100000",
		"Exchanges that are remembered for feedback that names a request ID; the oldest gives way. Each takes about 200 bytes."),
	key("max_per_second", whole(1, mostInts), func(f *Feedback) *int { return &f.MaxPerSecond }, "100",
		"Requests with feedback that the data listeners take of one client address; above it 429."),
)

var feedbackShown = kind[Feedback]{feedback.shape, feedback.read, showFeedback}

// showFeedback adds the keys, so that another key is told as a change.
func showFeedback(f Feedback, all bool) *yaml.Node {
	m := feedback.show(f, all)
	if !all || f.Keys == nil {
		return m
	}
	keys := &yaml.Node{Kind: yaml.MappingNode, Tag: ofFile}
	keys.Content = append(keys.Content, single("!!str", "key"), single(secret, strings.Join(f.Keys, "\n")))
	m.Content = append(m.Content, single("!!str", "keys"), keys)
	return m
}

// shortestKey is that of a key of receipts, in bytes: 128 bits, if they are random.
const shortestKey = 16

// loadFeedback reads the keys of receipts.
func (c *Config) loadFeedback() Faults {
	f := &c.Feedback
	if f.KeyFile == "" {
		return nil
	}
	fault := func(format string, args ...any) Faults {
		return Faults{c.Fault("feedback.key_file", "feedback.key_file: "+fmt.Sprintf(format, args...),
			"name a file with a random key, as `openssl rand -hex 32` prints one")}
	}
	src, err := readFile(f.KeyFile)
	if err != nil {
		return fault("%v", err)
	}
	for line := range strings.Lines(string(src)) {
		key := strings.TrimSpace(line)
		switch {
		case key == "" || key[0] == '#':
			continue
		case len(key) < shortestKey:
			return fault("%s has a key of %d characters; %d at least", f.KeyFile, len(key), shortestKey)
		}
		f.Keys = append(f.Keys, key)
	}
	if len(f.Keys) == 0 {
		return fault("%s has no key", f.KeyFile)
	}
	return nil
}
