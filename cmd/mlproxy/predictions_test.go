package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mlproxy/journal"
	"mlproxy/monitor"
	"mlproxy/protocol"
)

// The end comes while an exchange is inspected: the journal still takes what the inspector tells of it.
func TestJournalOutlivesTheInspector(t *testing.T) {
	file := filepath.Join(t.TempDir(), "predictions.jsonl")
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		p := &program{noted: journal.NewPredictions(journal.PredictionOptions{
			Settings: func() journal.PredictionSettings { return journal.PredictionSettings{File: file, Sample: 1} },
			Dropped:  func(int) {}, Log: slog.New(slog.DiscardHandler),
		})}
		registry := monitor.New()
		p.reader = monitor.NewInspector(registry, func(r *monitor.Record) {
			end()
			time.Sleep(time.Minute) // all that has been told to end has ended
			p.noted.Learn(r)
		})
		adapter, err := protocol.New("open_inference", nil)
		if err != nil {
			t.Fatal(err)
		}
		c := p.reader.Begin(adapter, 100)
		c.Answer(200, 0)
		p.reader.Offer(c, registry.Model("iris", "stable"), &monitor.Record{Pool: "stable", Seen: &monitor.Observation{Status: 200}}, nil)
		p.inspect(ctx)
	})
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != 1 {
		t.Errorf("the journal has %q (%v)", text, err)
	}
}
