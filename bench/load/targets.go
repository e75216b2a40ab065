package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/url"
	"os"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// committed targets: held-out rows of iris and digits, each asked by a user of its own; a test writes them (see there).
//
//go:embed targets.json
var committed []byte

// targets are what is asked, over and over in this order, all of it at l.target whatever host the file names.
func (l *load) targets() ([]vegeta.Target, error) {
	src, name := committed, "targets.json"
	if l.file != "" {
		var err error
		if src, err = os.ReadFile(l.file); err != nil {
			return nil, err
		}
		name = l.file
	}
	targets, err := vegeta.ReadAllTargets(vegeta.NewJSONTargeter(bytes.NewReader(src), nil, nil))
	if err != nil {
		return nil, fmt.Errorf("%s: %w; each line is one target in vegeta's JSON format", name, err)
	}
	for i := range targets {
		u, err := url.Parse(targets[i].URL)
		if err != nil {
			return nil, fmt.Errorf("%s: target %d: %w", name, i+1, err)
		}
		targets[i].URL = l.target + u.RequestURI()
	}
	return targets, nil
}
