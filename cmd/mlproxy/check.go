package main

import (
	"errors"
	"fmt"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/router"
)

// configFile is the flag for the config file.
type configFile struct {
	Config string `short:"c" default:"config.yaml" placeholder:"FILE" help:"The config file (${default})."`
}

type checkCmd struct {
	configFile
	output
}

// checked is the result of check.
type checked struct {
	File   string  `json:"file"`
	OK     bool    `json:"ok"`
	Pools  int     `json:"pools,omitempty"`
	Routes int     `json:"routes,omitempty"`
	Faults []fault `json:"faults,omitempty"`
}

// fault is one thing wrong, for programs.
type fault struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

// Run prints everything that is wrong with the file, or that nothing is.
func (c *checkCmd) Run(t *terminal) error {
	cfg, err := compiled(c.Config)
	result := checked{File: c.Config, OK: err == nil, Faults: faultsOf(err)}
	if err == nil {
		result.Pools, result.Routes = len(cfg.Pools), len(cfg.Routes)
	}
	printed := c.print(t, result, func() {
		if err != nil {
			fmt.Fprintln(t.Err, err)
			return
		}
		fmt.Fprintf(t.Out, "%s: ok (%s, %s)\n", c.Config, count(result.Pools, "pool"), count(result.Routes, "route"))
	})
	if err != nil {
		return invalid(errSaid)
	}
	return printed
}

// compiled reads a config file and compiles it as serving would, to find what only then shows.
func compiled(path string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	_, err = router.Compile(cfg, router.NewEstate(monitor.New()))
	return cfg, err
}

func faultsOf(err error) []fault {
	if err == nil {
		return nil
	}
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		return []fault{{What: err.Error()}}
	}
	list := make([]fault, len(faults))
	for i, f := range faults {
		list[i] = fault{f.At.File, f.At.Line, f.At.Col, f.What, f.Remedy}
	}
	return list
}

// count is a number of things in words: "1 pool", "3 pools".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

type schemaCmd struct{}

// Run prints the schema.
func (*schemaCmd) Run(t *terminal) error {
	_, err := t.Out.Write(config.Schema())
	return err
}
