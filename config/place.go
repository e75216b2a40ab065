package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// At is the place of a path such as "pools.iris.balance" or "routes.x.sticky[0]" in the file; of one that is not there,
// such as a default, the place of what it would be in.
func (c *Config) At(path string) Position {
	for {
		if at, known := c.where[path]; known {
			return at
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return c.where[""]
		}
		path = path[:cut]
	}
}

// Fault is a fault at a path, for those who find more wrong with a config than its own checks do.
func (c *Config) Fault(path, what, remedy string) Fault {
	return Fault{c.At(path), what, remedy}
}

// Digest is the same for configs that have the same effect, whatever their files look like and whoever set their values:
// 16 hexadecimal digits, for people to compare.
func (c *Config) Digest() string {
	plain := *c
	plain.Routes = maps.Clone(c.Routes)
	for name, r := range plain.Routes {
		route := *r
		route.Origin = ""
		plain.Routes[name] = &route
	}
	text, err := json.Marshal(plain)
	if err != nil {
		panic(fmt.Sprintf("config: a checked config has only values JSON can hold: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// RestartNeeded finds what next changes that a running process cannot.
func (c *Config) RestartNeeded(next *Config) (faults Faults) {
	refuse := func(path, now, then string) {
		if now != then {
			faults = append(faults, next.Fault(path, fmt.Sprintf("%s changes from %s to %s", path, now, then),
				"restart needed: restart mlproxy, or put the old value back"))
		}
	}
	refuse("listen", addresses(c.Listen), addresses(next.Listen))
	refuse("admin.listen", c.Admin.Listen, next.Admin.Listen)
	refuse("state_dir", c.StateDir, next.StateDir)
	return faults
}

func addresses(listen []string) string {
	return strings.Join(slices.Sorted(slices.Values(listen)), ", ")
}
