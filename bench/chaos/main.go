package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	exitBroken = 1 // a promise, or the run itself
	exitUsage  = 2
	maxRate    = 5000
)

// options are one command line.
type options struct {
	mlproxy     string
	only        []scenario
	short       bool
	soak        time.Duration // instead of scenarios; 0 = none
	rate        int           // of requests a second; 0 = each scenario's own
	patience    time.Duration // of a client
	pool, route string
	asJSON      bool
	verbose     bool
}

func main() {
	if place, is := os.LookupEnv(placeVar); is {
		os.Exit(serveModel(place, os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	o, err := parse(args, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(progress, "chaos: %v\n", err)
		return exitUsage
	}
	act := o.chaos
	if o.soak > 0 {
		act = o.soakThrough
	}
	held, err := act(ctx, out, progress)
	if err != nil {
		fmt.Fprintf(progress, "chaos: %v\n", err)
	}
	if err != nil || !held {
		return exitBroken
	}
	return 0
}

// chaos runs the chosen scenarios and prints what came of them.
func (o *options) chaos(ctx context.Context, out, progress io.Writer) (held bool, err error) {
	results, err := o.runAll(ctx, progress)
	o.report(out, results)
	return !slices.ContainsFunc(results, func(r *result) bool { return len(r.Broken) > 0 }), err
}

// soakThrough soaks and prints what came of it.
func (o *options) soakThrough(ctx context.Context, out, progress io.Writer) (held bool, err error) {
	r, err := o.soaks(ctx, progress)
	switch {
	case err != nil:
		return false, err
	case o.asJSON:
		err = json.NewEncoder(out).Encode(r)
	default:
		r.print(out)
	}
	return len(r.Broken) == 0, err
}

func parse(args []string, help io.Writer) (*options, error) {
	o, only := &options{}, ""
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.StringVar(&o.mlproxy, "mlproxy", "bin/mlproxy", "the binary that is put to the test")
	flags.StringVar(&only, "only", "", "scenarios, comma-separated (default: all): "+strings.Join(names(scenarios), ", "))
	flags.BoolVar(&o.short, "short", false, "a few seconds a scenario: shows the same, proves less")
	flags.DurationVar(&o.soak, "soak", 0, "instead of scenarios: everything at once for so long, and a look whether mlproxy grows")
	flags.IntVar(&o.rate, "rate", 0, "requests a second (default: 400, and 2000 where the config is reloaded)")
	flags.DurationVar(&o.patience, "patience", 12*time.Second, "of a client with one request; longer than the route's timeout, so that mlproxy gives up first")
	flags.StringVar(&o.pool, "pool", "health_check: {path: /v2/health/ready}", "YAML of both pools, beside their endpoints")
	flags.StringVar(&o.route, "route", "failover: [stable]", "YAML of the route, beside match, split and timeout")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, with every second of each scenario and mlproxy's log")
	flags.BoolVar(&o.verbose, "v", false, "print every second of each scenario, and mlproxy's log")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q: only flags are taken; see -help", flags.Args())
	}
	return o, o.check(only)
}

func (o *options) check(only string) (err error) {
	if o.rate < 0 || o.rate > maxRate {
		return fmt.Errorf("-rate %d: choose 1 to %d requests a second", o.rate, maxRate)
	}
	if o.soak != 0 && o.soak < soakAtLeast {
		return fmt.Errorf("-soak %v: choose %v or more", o.soak, soakAtLeast)
	}
	if o.patience <= 0 || o.patience > time.Minute {
		return fmt.Errorf("-patience %v: choose a time up to 1m", o.patience)
	}
	if _, err := os.Stat(o.mlproxy); err != nil {
		return fmt.Errorf("-mlproxy: %w; build it with `make build`", err)
	}
	o.only, err = choose(only)
	return err
}

// choose finds scenarios by their names; "" is all.
func choose(only string) ([]scenario, error) {
	if only == "" {
		return scenarios, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only %q: no such scenario; there are %s", name, strings.Join(names(scenarios), ", "))
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}

func names(of []scenario) (list []string) {
	for _, s := range of {
		list = append(list, s.name)
	}
	return list
}

// runAll runs the chosen scenarios one after the other, and returns what it has when one cannot be run.
func (o *options) runAll(ctx context.Context, progress io.Writer) (results []*result, err error) {
	for i, s := range o.only {
		fmt.Fprintf(progress, "%d of %d: %s (%s)\n", i+1, len(o.only), s.name, s.what)
		r, err := o.run(ctx, s)
		if err != nil {
			return results, fmt.Errorf("%s: %w", s.name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

func (o *options) report(out io.Writer, results []*result) {
	if o.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(results)
		return
	}
	if o.verbose {
		for _, r := range results {
			printSeconds(out, r)
		}
	}
	printTable(out, results)
}
