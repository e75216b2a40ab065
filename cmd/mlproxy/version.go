package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version may be set with -ldflags "-X main.version=v1.2.3"; else it is what the Go command recorded.
var version string

// build is what this binary was built from.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Commit = s.Value + b.Commit
		case s.Key == "vcs.modified" && s.Value == "true":
			b.Commit += " (modified)"
		}
	}
	return b
}

type versionCmd struct {
	output
}

// Run prints the version.
func (c *versionCmd) Run(t *terminal) error {
	b := thisBuild()
	return c.print(t, b, func() {
		fmt.Fprintf(t.Out, "mlproxy %s", b.Version)
		if b.Commit != "" {
			fmt.Fprintf(t.Out, ", commit %s", b.Commit)
		}
		fmt.Fprintf(t.Out, ", %s %s/%s\n", b.Go, runtime.GOOS, runtime.GOARCH)
	})
}
