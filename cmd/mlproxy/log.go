package main

import (
	"context"
	"io"
	"log/slog"

	"mlproxy/config"
	"mlproxy/router"
)

// newLog is a log in the config's format. Its level is that of the config in force, so that a reload changes it; before
// there is one, it is info.
func newLog(to io.Writer, format string, r *router.Router) *slog.Logger {
	level, to := levelInForce{r}, printable{to}
	options := &slog.HandlerOptions{Level: slog.LevelDebug} // audited holds the level
	if format == "json" {
		return slog.New(audited{slog.NewJSONHandler(to, options), level})
	}
	return slog.New(audited{slog.NewTextHandler(to, options), level})
}

// audited is a handler that writes what an audit looks for at whatever level, and of the rest what is of the level in force.
type audited struct {
	slog.Handler
	level slog.Leveler
}

// Enabled lets pass what may be of an audit: changes are INFO at least.
func (a audited) Enabled(_ context.Context, l slog.Level) bool {
	return l >= min(a.level.Level(), slog.LevelInfo)
}

// Handle writes r, unless it is beneath the level and of no audit.
func (a audited) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < a.level.Level() && !ofAudit(&r) {
		return nil
	}
	return a.Handler.Handle(ctx, r)
}

// WithAttrs keeps the level.
func (a audited) WithAttrs(attrs []slog.Attr) slog.Handler {
	return audited{a.Handler.WithAttrs(attrs), a.level}
}

// WithGroup is WithAttrs for a group.
func (a audited) WithGroup(name string) slog.Handler {
	return audited{a.Handler.WithGroup(name), a.level}
}

// ofAudit says that the line says audit=true.
func ofAudit(r *slog.Record) (is bool) {
	r.Attrs(func(a slog.Attr) bool {
		is = a.Key == "audit"
		return !is
	})
	return is
}

// levelInForce is the log level of the config in force.
type levelInForce struct{ router *router.Router }

// Level reads the table's config.
func (l levelInForce) Level() slog.Level {
	table := l.router.Table()
	if table == nil {
		return slog.LevelInfo
	}
	return levelOf(table.Config())
}

// levelOf is a config's log level; config has checked the word.
func levelOf(c *config.Config) (level slog.Level) {
	_ = level.UnmarshalText([]byte(c.Log.Level))
	return level
}
