package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const (
	maxRate     = 100_000
	maxDuration = 10 * time.Minute
	maxWorkers  = 1024             // requests that wait for an answer at once; beyond it the rate falls
	patience    = 10 * time.Second // of one request
)

// load is one run.
type load struct {
	rate     int // requests a second
	duration time.Duration
	target   string // scheme://host:port of the data listener
	admin    string // scheme://host:port of the admin listener
	file     string // of targets; empty: the embedded ones
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit code: 2 when it was typed wrong.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	l, err := parse(args, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(progress, "load: %v\n", err)
		return 2
	}
	if err := l.run(ctx, out, progress); err != nil {
		fmt.Fprintf(progress, "load: %v\n", err)
		return 1
	}
	return 0
}

func parse(args []string, help io.Writer) (*load, error) {
	l := &load{}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.IntVar(&l.rate, "rate", 500, "requests a second")
	flags.DurationVar(&l.duration, "duration", 10*time.Second, "how long")
	flags.StringVar(&l.target, "target", "http://127.0.0.1:8080", "mlproxy's data listener")
	flags.StringVar(&l.admin, "admin", "http://127.0.0.1:9090", "mlproxy's admin listener")
	flags.StringVar(&l.file, "targets", "", "file of targets in vegeta's JSON format (default: bench/load/targets.json)")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	return l, l.check()
}

func (l *load) check() error {
	switch {
	case l.rate < 1 || l.rate > maxRate:
		return fmt.Errorf("-rate %d: choose 1 to %d requests a second", l.rate, maxRate)
	case l.duration <= 0 || l.duration > maxDuration:
		return fmt.Errorf("-duration %v: choose a time up to %v", l.duration, maxDuration)
	}
	return errors.Join(loopback("-target", l.target), loopback("-admin", l.admin))
}

// loopback refuses every other machine: a load is not to be aimed at somebody by a slip.
func loopback(flag, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.Path != "" {
		return fmt.Errorf("%s %q: write http://host:port", flag, address)
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s %q: load goes to this machine only; use http://127.0.0.1:port", flag, address)
	}
	return nil
}

// run measures, and prints both sides of the story.
func (l *load) run(ctx context.Context, out, progress io.Writer) error {
	targets, err := l.targets()
	if err != nil {
		return err
	}
	before, err := scrape(ctx, l.admin)
	if err != nil {
		return fmt.Errorf("no mlproxy answers at %s (%w); start the demo in another terminal with `make run`", l.admin, err)
	}
	seen := l.attack(ctx, targets, progress)
	after, err := settled(context.WithoutCancel(ctx), l.admin, before, seen)
	if err != nil {
		return fmt.Errorf("mlproxy went away during the load: %w", err)
	}
	fmt.Fprintln(out, "What the clients saw:")
	if err := vegeta.NewTextReporter(seen).Report(out); err != nil {
		return err
	}
	report(out, since(before, after))
	return nil
}

// attack sends at the rate and says every second how it goes. When ctx ends it stops early, and what was seen counts.
func (l *load) attack(ctx context.Context, targets []vegeta.Target, progress io.Writer) *vegeta.Metrics {
	attacker := vegeta.NewAttacker(
		vegeta.MaxWorkers(maxWorkers), vegeta.Connections(maxWorkers), vegeta.Timeout(patience), vegeta.HTTP2(false), vegeta.Redirects(vegeta.NoFollow),
	)
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	results := attacker.Attack(vegeta.NewStaticTargeter(targets...), vegeta.ConstantPacer{Freq: l.rate, Per: time.Second}, l.duration, "load")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	began, seen := time.Now(), &vegeta.Metrics{}
	defer seen.Close()
	failed := 0
	for {
		select {
		case r, more := <-results:
			if !more {
				return seen
			}
			if seen.Add(r); r.Code != 200 {
				failed++
			}
		case <-tick.C:
			fmt.Fprintf(progress, "%v of %v: %d answers, %d failed\n", time.Since(began).Round(time.Second), l.duration, seen.Requests, failed)
		}
	}
}
