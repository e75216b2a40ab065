package main

import (
	"fmt"
	"io"
	"log/slog"

	"mlproxy/config"
	"mlproxy/journal"
	"mlproxy/monitor"
	"mlproxy/router"
)

// newAccess is an access log as the config in force says, so that a reload changes it; before there is one, as first says.
func newAccess(first *config.Config, r *router.Router, registry *monitor.Registry, stderr io.Writer, log *slog.Logger) *journal.Access {
	return journal.New(journal.Options{
		Settings: func() journal.Settings {
			if table := r.Table(); table != nil {
				return journal.Settings(table.Config().Log.Access)
			}
			return journal.Settings(first.Log.Access)
		},
		Stderr: stderr, Dropped: registry.AccessDropped, Log: log,
	})
}

// openAccess opens the access log's file before the first request, so that a start tells what is wrong with it.
func (p *program) openAccess() error {
	if err := p.access.Open(); err != nil {
		return fmt.Errorf("cannot open the access log: %w; make it writable, or change log.access.file", err)
	}
	return nil
}
