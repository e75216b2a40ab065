package config

import (
	"fmt"
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
	refuse("consul", consulText(c.Consul), consulText(next.Consul))
	return faults
}

func addresses(listen []string) string {
	return strings.Join(slices.Sorted(slices.Values(listen)), ", ")
}

func consulText(c *Consul) string {
	if c == nil {
		return "nothing"
	}
	return oneLine(consul.show(*c, false))
}
