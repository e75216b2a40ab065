package main

import (
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine describes where figures come from: without it they mean nothing.
type machine struct {
	Processor  string            `json:"processor"`
	Cores      int               `json:"cores"`
	Memory     string            `json:"memory"`
	Kernel     string            `json:"kernel"`
	Congestion string            `json:"congestion_control"`
	Compiler   string            `json:"go"`
	Versions   map[string]string `json:"versions"`
}

// saved is the file of -save.
type saved struct {
	At      time.Time `json:"at"`
	Machine machine   `json:"machine"`
	Seconds float64   `json:"seconds_per_round"`
	Results []result  `json:"results"`
}

func describe(versions map[string]string) machine {
	return machine{
		Processor: field("/proc/cpuinfo", "model name"), Cores: cores(), Memory: field("/proc/meminfo", "MemTotal"),
		Kernel: line("/proc/sys/kernel/osrelease"), Congestion: line("/proc/sys/net/ipv4/tcp_congestion_control"),
		Compiler: runtime.Version(), Versions: versions,
	}
}

// cores counts those of the machine: the program itself is kept on one.
func cores() int { return strings.Count(line("/proc/cpuinfo"), "\nprocessor") + 1 }

// field is a value of a file with lines such as "key : value"; empty if there is none.
func field(file, key string) string {
	for l := range strings.Lines(line(file)) {
		if name, value, found := strings.Cut(l, ":"); found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// line is what a small file says; empty if it is not there.
func line(file string) string {
	text, _ := os.ReadFile(file)
	return strings.TrimSpace(string(text))
}

func (s *saved) write(file string) error {
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
