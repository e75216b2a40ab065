package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	f := func(set, groups string, files map[string]string, want int64, from string) {
		t.Helper()
		root := fstest.MapFS{"proc/self/cgroup": {Data: []byte(groups)}}
		for name, text := range files {
			root[name] = &fstest.MapFile{Data: []byte(text + "\n")}
		}
		if got, said := memoryLimit(root, set); got != want || !strings.Contains(said, from) {
			t.Errorf("%q %q: %d from %q, want %d from %q", groups, files, got, said, want, from)
		}
	}
	two, one := "0::/a/b\n", "5:cpu,cpuacct:/a\n4:memory:/docker/x\n0::/\n"
	f("", two, map[string]string{"sys/fs/cgroup/a/b/memory.max": "1000000000"}, 900_000_000, "90% of /sys/fs/cgroup/a/b/memory.max")
	f("", two, map[string]string{"sys/fs/cgroup/a/b/memory.max": "max"}, 0, "no limit")
	f("", two, map[string]string{"sys/fs/cgroup/a/b/memory.max": "max", "sys/fs/cgroup/a/memory.max": "1000"}, 900, "/a/memory.max")
	f("", two, map[string]string{"sys/fs/cgroup/a/b/memory.max": "9000", "sys/fs/cgroup/a/memory.max": "1000"}, 900, "/a/memory.max")
	f("", two, map[string]string{"sys/fs/cgroup/memory.max": "1000"}, 900, "/sys/fs/cgroup/memory.max") // a container's own
	f("", one, map[string]string{"sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "1000"}, 900, "memory.limit_in_bytes")
	f("", one, map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "2000"}, 1800, "memory/memory.limit_in_bytes")
	f("", one, map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, 0, "no limit")
	f("", two, nil, 0, "no limit")
	f("", "nonsense\n", nil, 0, "no limit")
	f("1GiB", two, map[string]string{"sys/fs/cgroup/a/b/memory.max": "1000"}, 0, "GOMEMLIMIT=1GiB")
	if got, _ := memoryLimit(fstest.MapFS{}, ""); got != 0 {
		t.Errorf("without control groups: %d", got)
	}
}
