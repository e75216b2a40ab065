package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are one command line.
type options struct {
	mlproxy   string
	baseline  string
	cases     []workload
	peers     []peer
	rounds    int
	duration  time.Duration
	proxyCore int
	loadCore  int
	shared    bool
	save      string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit code: 1 when something could not be measured, 2 when it was typed wrong.
func run(ctx context.Context, args []string, out, progress io.Writer) int {
	o, err := parse(args, progress)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(progress, "compare: %v\n", err)
		return 2
	}
	if err := o.isolate(); err != nil {
		fmt.Fprintf(progress, "compare: %v\n", err)
		return 1
	}
	if err := o.compare(ctx, out, progress); err != nil {
		fmt.Fprintf(progress, "compare: %v\n", err)
		return 1
	}
	return 0
}

func parse(args []string, help io.Writer) (*options, error) {
	o := &options{}
	var cases, names string
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.StringVar(&o.mlproxy, "mlproxy", "bin/mlproxy", "the binary")
	flags.StringVar(&o.baseline, "baseline", "", "another binary of mlproxy to measure beside it, to see what a change costs")
	flags.StringVar(&cases, "cases", "small,medium,large,slow500,sse,mirror100,rate", "what to measure, or all:\n"+legend(workloads))
	flags.StringVar(&names, "peers", "nginx,haproxy,mlproxy", "whom to measure")
	flags.IntVar(&o.rounds, "rounds", 5, "how often")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "of a round")
	flags.IntVar(&o.proxyCore, "proxy-core", 0, "the processor that is the proxies'")
	flags.IntVar(&o.loadCore, "load-core", 1, "that of clients and model servers")
	flags.BoolVar(&o.shared, "shared-network", false, "do not make a network namespace, which takes root")
	flags.StringVar(&o.save, "save", "", "file for all results as JSON, with a description of the machine")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	return o, o.check(cases, names, flags.Args())
}

func (o *options) check(cases, names string, rest []string) (err error) {
	if o.cases, err = choose(cases); err != nil {
		return err
	}
	if o.baseline != "" {
		names += ",baseline"
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(peers, func(p peer) bool { return p.name == name })
		if i < 0 {
			return fmt.Errorf("-peers: there is no %q; choose of nginx,haproxy,mlproxy; another mlproxy is named by -baseline", name)
		}
		o.peers = append(o.peers, peers[i])
	}
	switch _, err := os.Stat(o.mlproxy); {
	case len(rest) > 0:
		return fmt.Errorf("%q: only flags are taken", rest[0])
	case err != nil:
		return fmt.Errorf("-mlproxy: %w; build it with `make build`", err)
	case o.baseline == "" && slices.ContainsFunc(o.peers, func(p peer) bool { return p.name == "baseline" }):
		return errors.New("-peers: baseline is another binary; name it with -baseline")
	case o.rounds < 1 || o.rounds > 100:
		return fmt.Errorf("-rounds %d: choose 1 to 100", o.rounds)
	case o.duration < 100*time.Millisecond || o.duration > time.Minute:
		return fmt.Errorf("-duration %v: choose a time from 100ms to 1m", o.duration)
	case o.proxyCore == o.loadCore:
		return errors.New("-proxy-core and -load-core are the same: what is measured would wait for what measures")
	case max(o.proxyCore, o.loadCore) >= cores() || min(o.proxyCore, o.loadCore) < 0:
		return fmt.Errorf("-proxy-core and -load-core: this machine has processors 0 to %d", cores()-1)
	}
	return nil
}

// compare measures every workload with every peer, the peers in turn within each round, and prints the table.
func (o *options) compare(ctx context.Context, out, progress io.Writer) error {
	runtime.GOMAXPROCS(1)
	versions := o.survey(ctx, progress)
	s := &saved{At: time.Now().UTC().Truncate(time.Second), Machine: describe(versions), Seconds: o.duration.Seconds()}
	var broken error
	for i := range o.cases {
		w := &o.cases[i]
		for round := range o.rounds {
			fmt.Fprintf(progress, "%s, round %d of %d\n", w.name, round+1, o.rounds)
			for j := range o.peers {
				p := &o.peers[(j+round)%len(o.peers)] // nobody is always the first
				if !w.takes(p) || versions[p.name] == "" {
					continue
				}
				r, err := o.measure(ctx, p, w, round)
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
				if err != nil {
					broken = errors.Join(broken, err)
					continue
				}
				s.Results = append(s.Results, *r)
			}
		}
	}
	report(out, o.cases, s.Results)
	if o.save != "" {
		broken = errors.Join(broken, s.write(o.save))
	}
	return broken
}

// survey finds out who is there, and says who is not.
func (o *options) survey(ctx context.Context, progress io.Writer) map[string]string {
	versions := map[string]string{}
	for i := range o.peers {
		p := &o.peers[i]
		version, err := p.installed(ctx, o)
		if err != nil {
			fmt.Fprintf(progress, "%s is left out: %v\n", p.name, err)
			continue
		}
		versions[p.name] = version
		fmt.Fprintf(progress, "%s: %s\n", p.name, version)
	}
	return versions
}
