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

// news is what changes in words when next gets another table, and whether it makes a revision: what was said, and by whom, is another
// thing, and not only which members the catalogue has. What has no effect yet, as the split of a drained pool, counts as well.
func (s *state) news(wanted, merged *config.Config) (changes []string, is bool) {
	if s.table == nil {
		return differences(nil, merged), true
	}
	changes = differences(s.table.Config(), merged)
	if len(changes) == 0 {
		changes = differences(s.wanted, wanted)
	}
	return changes, len(changes) > 0 || !sameOrigins(s.wanted, wanted)
}

// sameOrigins says whether the routes of two configs with the same routes have their values from the same layers.
func sameOrigins(a, b *config.Config) bool {
	for name, r := range a.Routes {
		if b.Routes[name].Origin != r.Origin {
			return false
		}
	}
	return true
}
