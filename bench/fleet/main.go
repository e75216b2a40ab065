package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	maxSwitches = 1000
	maxRate     = 5000
	maxProxies  = 20
)

// options are one command line.
type options struct {
	mlproxy  string
	proxies  int
	switches int
	every    time.Duration // from the beginning of a switch to that of the next
	rate     int           // of requests a second, on all proxies together
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit code: 1 when a request failed or the fleet did not agree, 2 when it was typed
// wrong.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	o, err := parse(args, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(progress, "fleet: %v\n", err)
		return 2
	}
	if err := o.run(ctx, out, progress); err != nil {
		fmt.Fprintf(progress, "fleet: %v\n", err)
		return 1
	}
	return 0
}

func parse(args []string, help io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.StringVar(&o.mlproxy, "mlproxy", "bin/mlproxy", "the binary")
	flags.IntVar(&o.proxies, "proxies", 3, "how many of it")
	flags.IntVar(&o.switches, "switches", 20, "how often the key changes")
	flags.DurationVar(&o.every, "every", time.Second, "from one switch to the next; they wait for agreement besides")
	flags.IntVar(&o.rate, "rate", 500, "requests a second, on all proxies together")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	return o, o.check(flags.Args())
}

func (o *options) check(rest []string) error {
	switch _, err := os.Stat(o.mlproxy); {
	case len(rest) > 0:
		return fmt.Errorf("%q: only flags are taken", rest[0])
	case err != nil:
		return fmt.Errorf("-mlproxy: %w; build it with `make build`", err)
	case o.proxies < 1 || o.proxies > maxProxies:
		return fmt.Errorf("-proxies %d: choose 1 to %d", o.proxies, maxProxies)
	case o.switches < 1 || o.switches > maxSwitches:
		return fmt.Errorf("-switches %d: choose 1 to %d", o.switches, maxSwitches)
	case o.every < 0 || o.every > time.Minute:
		return fmt.Errorf("-every %v: choose a time up to 1m", o.every)
	case o.rate < 1 || o.rate > maxRate:
		return fmt.Errorf("-rate %d: choose 1 to %d requests a second", o.rate, maxRate)
	}
	return nil
}

// run starts a fleet, switches it under load, and prints what came of it. A failed request is an error.
func (o *options) run(ctx context.Context, out, progress io.Writer) error {
	f, err := assemble(ctx, o, progress)
	if err != nil {
		return err
	}
	load := newLoad(f.proxies, o.rate)
	switches, err := o.switchAll(ctx, f, progress)
	seen := load.end()
	err = errors.Join(err, f.disband())
	report(out, switches, seen)
	return errors.Join(err, seen.verdict())
}

// switchAll has the key say the other colour again and again. When ctx ends it stops early, and what was seen counts.
func (o *options) switchAll(ctx context.Context, f *fleet, progress io.Writer) (done []agreement, err error) {
	next := time.NewTimer(o.every) // the fleet has only just begun
	defer next.Stop()
	for i := range o.switches {
		select {
		case <-next.C:
		case <-ctx.Done():
			return done, nil
		}
		next.Reset(o.every)
		a, err := f.switchTo(ctx, colours[(i+1)%len(colours)])
		switch {
		case ctx.Err() != nil:
			return done, nil
		case err != nil:
			return done, err
		}
		fmt.Fprintf(progress, "%3d of %d: %s\n", i+1, o.switches, a)
		done = append(done, a)
	}
	return done, nil
}
