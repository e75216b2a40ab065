package health

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// expect looks up each path in a JSON document and compares what is there, as text.
func expect(body []byte, want map[string]string) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // as they are written
	var document any
	if err := d.Decode(&document); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	for _, path := range slices.Sorted(maps.Keys(want)) {
		got, err := text(walk(document, path))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if got != want[path] {
			return fmt.Errorf("%s is %s, not %q", path, shortened(got), want[path])
		}
	}
	return nil
}

var errAbsent = errors.New("the answer has no such value")

// walk follows a path such as outputs.0.data.0; a dot that belongs to a name is written \.
func walk(v any, path string) (any, error) {
	for _, step := range steps(path) {
		switch at := v.(type) {
		case map[string]any:
			inner, ok := at[step]
			if !ok {
				return nil, errAbsent
			}
			v = inner
		case []any:
			i, err := strconv.ParseUint(step, 10, 32)
			if err != nil || i >= uint64(len(at)) {
				return nil, errAbsent
			}
			v = at[i]
		default:
			return nil, errAbsent
		}
	}
	return v, nil
}

// steps splits a path at its dots.
func steps(path string) []string {
	parts := strings.Split(strings.ReplaceAll(path, `\.`, "\x00"), ".")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], "\x00", ".")
	}
	return parts
}

func text(v any, err error) (string, error) {
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case map[string]any, []any:
		return "", errors.New("the answer has a list or an object there; name one value in it")
	case nil:
		return "null", nil
	default:
		return fmt.Sprint(v), nil
	}
}

// shortened is foreign text fit for a log.
func shortened(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}
