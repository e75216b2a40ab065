package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"mlproxy/journal"
	"mlproxy/monitor"
	"mlproxy/router"
)

// newPredictions is the journal of the config in force, so that a reload changes it.
func newPredictions(r *router.Router, registry *monitor.Registry, log *slog.Logger) *journal.Predictions {
	return journal.NewPredictions(journal.PredictionOptions{
		Settings: func() journal.PredictionSettings {
			if table := r.Table(); table != nil && table.Config().Journal != nil {
				return journal.PredictionSettings(*table.Config().Journal)
			}
			return journal.PredictionSettings{}
		},
		HashKey: func() []byte {
			if keys := r.Table().Config().Feedback.Keys; len(keys) > 0 {
				return []byte(keys[0])
			}
			return nil
		},
		Dropped: registry.JournalDropped, Log: log,
	})
}

// inspect runs the inspector until ctx ends, and the journal until the inspector has told it of the last exchange.
func (p *program) inspect(ctx context.Context) {
	told, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var writer sync.WaitGroup
	writer.Go(func() { p.noted.Run(told) })
	p.reader.Run(ctx)
	end()
	writer.Wait()
}

// openJournal opens the journal's file before the first request, so that a start tells what is wrong with it.
func (p *program) openJournal() error {
	if err := p.noted.Open(); err != nil {
		return fmt.Errorf("cannot open the journal: %w; make it writable, or change journal.file", err)
	}
	return nil
}
