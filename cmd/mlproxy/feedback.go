package main

import (
	"log/slog"

	"mlproxy/config"
)

// warnOfReceipts says what receipts without a key of the operator's are not good for.
func warnOfReceipts(c *config.Config, log *slog.Logger) {
	for name, r := range c.Routes {
		if r.Feedback && c.Feedback.KeyFile == "" {
			log.Warn("receipts are signed with a random key: no other replica believes them, nor this one after a restart; set feedback.key_file",
				"route", name)
			return
		}
	}
}
