package control

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"mlproxy/config"
)

// Revision is one applied config.
type Revision struct {
	// Number counts the configs this process has applied, from 1.
	Number int64 `json:"revision"`
	// Digest is equal on replicas whose pools and routes are treated alike.
	Digest string `json:"digest"`
	// Applied is when the table was swapped.
	Applied time.Time `json:"applied"`
	// Origin is the layer whose word brought it about: "file" or "operator".
	Origin string `json:"origin"`
	// Author is who an operator's change came from; empty for the file.
	Author string `json:"author,omitempty"`
	// Reason is what the author gave as the reason, or why the file was read.
	Reason string `json:"reason,omitempty"`
}

// digest is a short name of what a config makes of traffic; addresses of the process's own and who set a value do not count.
func digest(c *config.Config) string {
	type routing struct {
		Limits         config.Limits
		TrustedProxies any
		Pools, Routes  any
	}
	routes := make(map[string]config.Route, len(c.Routes))
	for name, r := range c.Routes {
		plain := *r
		plain.Origin = ""
		routes[name] = plain
	}
	sum := sha256.Sum256(encode(routing{c.Limits, c.TrustedProxies, c.Pools, routes}))
	return hex.EncodeToString(sum[:8])
}

// same says whether two configs say the same, places in the file apart.
func same(a, b *config.Config) bool { return bytes.Equal(encode(a), encode(b)) }

// encode writes config values in one canonical way: JSON sorts the keys of maps.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("control: config types must have a JSON form: " + err.Error())
	}
	return text
}
