package control

import (
	"time"

	"mlproxy/config"
)

// Revision is one applied config.
type Revision struct {
	// Number counts the configs this process has applied, from 1.
	Number int64 `json:"revision"`
	// Digest is equal on replicas whose configs have the same effect.
	Digest string `json:"digest"`
	// Applied is when the table was swapped.
	Applied time.Time `json:"applied"`
	// Origin is the layer whose word brought it about: "file" or "operator".
	Origin string `json:"origin"`
	// Author is who an operator's change, or the wish to read the file again, came from; else empty.
	Author string `json:"author,omitempty"`
	// Reason is what the author gave as the reason, or why the file was read.
	Reason string `json:"reason,omitempty"`
	// Changes is what it changed, in words, one thing each.
	Changes []string `json:"changes,omitempty"`
}

// attributes are what the log says of a revision.
func (r *Revision) attributes() []any {
	list := []any{"revision", r.Number, "digest", r.Digest, "origin", r.Origin}
	if r.Author != "" {
		list = append(list, "author", r.Author)
	}
	if r.Reason != "" {
		list = append(list, "reason", r.Reason)
	}
	return list
}

// same says whether two configs have the same effect, and every value is set by the same origin.
func same(a, b *config.Config) bool {
	if a.Digest() != b.Digest() {
		return false
	}
	for name, r := range a.Routes {
		if b.Routes[name].Origin != r.Origin {
			return false
		}
	}
	return true
}
