package main

import (
	"log/slog"

	"mlproxy/upstream"
)

// tellHealth logs every change of an endpoint's health: for the worse as a warning.
func tellHealth(log *slog.Logger) func(upstream.Transition) {
	return func(t upstream.Transition) {
		say := log.Info
		if t.To == "open" || t.To == "down" {
			say = log.Warn
		}
		say("endpoint health", "pool", t.Pool, "endpoint", t.Endpoint, "role", t.Role, "witness", t.Kind, "from", t.From, "to", t.To, "why", t.Why)
	}
}
