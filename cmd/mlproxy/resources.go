package main

import (
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"mlproxy/config"
)

// takeResources fits the program to what the system grants it, and logs what that is. Go itself takes its share of the processors
// (GOMAXPROCS) from the control group, and raises the soft limit of descriptors to the hard one.
func takeResources(log *slog.Logger, c *config.Config) {
	said := []any{"processors", runtime.GOMAXPROCS(0)}
	if limit, from := memoryLimit(os.DirFS("/"), os.Getenv("GOMEMLIMIT")); limit > 0 {
		debug.SetMemoryLimit(limit)
		said = append(said, "memory", limit, "memory_from", from)
	} else {
		said = append(said, "memory_from", from)
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		said = append(said, "descriptors", files.Cur)
		if needed := descriptorsFor(c); needed > files.Cur {
			log.Warn("limits.max_connections are more than the descriptors suffice for; raise LimitNOFILE or ulimit -n, or lower limits.max_connections",
				"max_connections", c.Limits.MaxConnections, "descriptors", files.Cur, "needed", needed)
		}
	}
	log.Info("resources", said...)
}

// descriptorsFor is how many descriptors a config can come to use: one for every client, another for the model server that works for
// it, and a few for the rest.
func descriptorsFor(c *config.Config) uint64 { return 2*uint64(c.Limits.MaxConnections) + 100 }

// memoryShare of the control group's memory is what Go's heap may grow to before it is collected with more effort. The rest is for what
// the limit does not count.
const memoryShare = 0.9

// memoryLimit is what the program's memory should be held to in bytes, and where that comes from; 0 = nothing is to be set. root is
// the system's tree, set is GOMEMLIMIT.
func memoryLimit(root fs.FS, set string) (bytes int64, from string) {
	if set != "" {
		return 0, "GOMEMLIMIT=" + set
	}
	most, from := int64(math.MaxInt64), "no limit"
	for _, file := range memoryFiles(root) {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is none
		if err == nil && limit > 0 && limit < most {
			most, from = limit, "90% of /"+file
		}
	}
	if most > 1<<60 {
		return 0, "no limit" // version 1 has no word for it, only very large numbers
	}
	return int64(memoryShare * float64(most)), from
}

// memoryFiles are where limits of this process's control group may stand, those of the groups around it included: version 2 first, then
// version 1. In a container the group's path may not be seen; its limit then stands at the top.
func memoryFiles(root fs.FS) (files []string) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		if len(parts) != 3 {
			continue
		}
		top, file := "sys/fs/cgroup", "memory.max"
		if parts[1] == "memory" {
			top, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		for group := path.Join("/", parts[2]); ; group = path.Dir(group) {
			files = append(files, path.Join(top, group, file))
			if group == "/" {
				break
			}
		}
	}
	return files
}
