package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// The exit codes of every command; scripts rely on them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitConfig      = 3
	exitUnreachable = 4
)

// cli is the whole command line. A command is a struct of flags with Run(*terminal) error; what Run returns decides the
// exit code (see codeOf) and is printed unless it is silent.
type cli struct {
	Serve      serveCmd      `cmd:"" help:"Route traffic as the config file says."`
	Check      checkCmd      `cmd:"" help:"Say everything that is wrong with a config file, and where."`
	Plan       planCmd       `cmd:"" help:"Say what a config file would change, and which users would move."`
	Schema     schemaCmd     `cmd:"" help:"Print the JSON Schema of the config file."`
	Demo       demoCmd       `cmd:"" help:"Start model servers with small real models, the proxy and some traffic; needs nothing else."`
	Status     statusCmd     `cmd:"" help:"Show what a running mlproxy does: what is wrong first, then routes and pools."`
	Summary    summaryCmd    `cmd:"" help:"Show what a route's models were asked and said."`
	Split      splitCmd      `cmd:"" help:"Divide a route's traffic anew, e.g. split iris iris-stable=90 iris-canary=10."`
	Switch     switchCmd     `cmd:"" help:"Make a route's blue or green pool the active one."`
	Rollback   rollbackCmd   `cmd:"" help:"Return a route to its previous split or active pool."`
	Drain      drainCmd      `cmd:"" help:"Take a pool or an endpoint out of all new traffic."`
	Undrain    undrainCmd    `cmd:"" help:"Give a drained pool or endpoint its traffic back."`
	Override   overrideCmd   `cmd:"" help:"List, or remove, what operators have set over the config file."`
	Shadow     shadowCmd     `cmd:"" help:"Show how the answers of a route's shadows compare with the live ones."`
	History    historyCmd    `cmd:"" help:"List the last revisions: when, who, why, and what changed."`
	Restore    restoreCmd    `cmd:"" help:"Return all routes to an earlier revision."`
	Journal    journalCmd    `cmd:"" help:"Read the journal of predictions."`
	Completion completionCmd `cmd:"" help:"Print what makes a shell complete mlproxy's commands."`
	Complete   completeCmd   `cmd:"" hidden:"" passthrough:"" help:"Complete a command line, for the scripts of completion."`
	Key        keyCmd        `cmd:"" help:"Make API keys for clients of routes that ask for one."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// terminal is where a command writes. Results go to Out, everything said about them to Err.
type terminal struct {
	Out, Err io.Writer
}

func main() { os.Exit(run(os.Args[1:], &terminal{Out: os.Stdout, Err: os.Stderr})) }

// run carries out one command line and returns the exit code.
func run(args []string, t *terminal) int {
	parser := newParser(t)
	if len(args) == 0 {
		return overview(parser)
	}
	command, err := parser.Parse(args)
	if err != nil {
		err = usage(fmt.Errorf("%w; see mlproxy --help", err))
	} else {
		err = command.Run(t, parser)
	}
	if err != nil && !errors.Is(err, errSaid) {
		complain(t, args, err)
	}
	return codeOf(err)
}

func newParser(t *terminal) *kong.Kong {
	return kong.Must(&cli{},
		kong.Name("mlproxy"),
		kong.Description("The traffic router for model servers."),
		kong.Writers(t.Out, t.Err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(t),
	)
}

// overview is for those who type the program's name to see what it can do.
func overview(parser *kong.Kong) int {
	if command, err := kong.Trace(parser, nil); err == nil {
		_ = command.PrintUsage(false)
	}
	return exitUsage
}
