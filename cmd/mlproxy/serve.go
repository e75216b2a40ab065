package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

type serveCmd struct {
	configFile
}

// Run serves until SIGTERM or SIGINT, and then lets running exchanges finish. A second such signal ends it at once.
// SIGHUP reads the config file again, SIGUSR1 begins the access log's file anew, SIGUSR2 lets a new process take over.
func (c *serveCmd) Run(t *terminal) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)

	given, err := inherit()
	if err != nil {
		return err
	}
	p, err := newProgram(c.Config, t.Err, given)
	if err != nil {
		return err
	}
	if p.binary, err = binaryFile(); err != nil {
		return err
	}
	takeResources(p.log, p.loop.Config())
	stop, stopping := context.WithCancel(context.Background())
	defer stopping()
	ended := make(chan struct{})
	heard := newGroup()
	heard.Go(func() error { return c.hear(signals, ended, p, stopping) })
	err = p.run(stop)
	close(ended)
	return firstOf(err, heard.Wait())
}

// hear obeys signals until the program has ended.
func (c *serveCmd) hear(signals <-chan os.Signal, ended <-chan struct{}, p *program, stop func()) error {
	beside := newGroup()
	defer func() { _ = beside.Wait() }()
	upgrades, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	stopping := false
	for {
		select {
		case <-ended:
			return nil
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP:
				beside.Go(p.reloadQuietly)
			case s == syscall.SIGUSR1:
				p.access.Reopen()
				p.noted.Reopen()
			case s == syscall.SIGUSR2:
				beside.Go(func() error { p.upgrade(upgrades, stop); return nil })
			case stopping:
				p.log.Warn("ending at once", "signal", s.String())
				os.Exit(exitFailed)
			default:
				p.log.Info("stopping; a second signal ends at once", "signal", s.String())
				stopping = true
				giveUp()
				stop()
			}
		}
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
