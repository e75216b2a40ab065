package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// What an audit asks for is written whatever the level; of the rest what is of the level.
func TestAuditsAreAboveLevels(t *testing.T) {
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: "debug info error made refused",
		slog.LevelInfo:  "info error made refused",
		slog.LevelWarn:  "error made refused",
		slog.LevelError: "error made refused",
	} {
		var out bytes.Buffer
		plain := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})
		log := slog.New(audited{plain, level}).With("a", 1).WithGroup("g")
		log.Debug("debug")
		log.Info("info")
		log.Error("error", "about", "audit")
		log.Info("made", "revision", 1, "audit", true)
		log.Warn("refused", "audit", true)
		var got []string
		for line := range strings.Lines(out.String()) {
			_, said, _ := strings.Cut(line, "msg=")
			got = append(got, strings.Fields(said)[0])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v: %q, want %q", level, got, want)
		}
	}
}
