package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// sight is what is seen besides the requests of users.
type sight struct {
	Memory int64 `json:"memory"` // bytes: the most that mlproxy had since the break
	Growth int64 `json:"growth"` // of these, beyond what it had just before

	Hostile int            `json:"hostile"` // connections of an attack, or of streams
	Cut     int            `json:"cut"`     // of these, that mlproxy ended
	CutIn   time.Duration  `json:"cut_in_ns"`
	Told    map[string]int `json:"told"` // status lines they were answered with

	Taken int64         `json:"taken"`    // bytes of one message, from a peer for another that takes none
	Delay time.Duration `json:"delay_ns"` // of an event of a stream, at most
	Gone  time.Duration `json:"gone_ns"`  // from the departure of clients until the last of their requests to model servers had ended
	Exit  time.Duration `json:"exit_ns"`  // from the stop signal until mlproxy had ended
	Sent  int           `json:"events"`   // of streams
}

// brief lists what there is to see.
func (s *sight) brief() string {
	list := []string{"+" + megabytes(s.Growth)}
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if s.Hostile > 0 && s.CutIn > 0 {
		say("%d of %d cut in %s", s.Cut, s.Hostile, brief(s.CutIn))
	}
	if s.Taken > 0 {
		say("%s taken", megabytes(s.Taken))
	}
	if s.Sent > 0 {
		say("%d events within %s", s.Sent, brief(s.Delay))
	}
	if s.Gone > 0 {
		say("gone in %s", brief(s.Gone))
	}
	if s.Exit > 0 {
		say("exit in %s", brief(s.Exit))
	}
	return strings.Join(list, ", ")
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// memory is what mlproxy has now, in bytes. From now on the peak is looked for.
func (s *site) memory() int64 {
	const resetPeak = "5"
	_ = os.WriteFile(s.proc("clear_refs"), []byte(resetPeak), 0o200)
	return s.figure("VmRSS")
}

// peak is the most that mlproxy had since memory was called.
func (s *site) peak() int64 { return s.figure("VmHWM") }

// figure is one of mlproxy's, in bytes; 0 when it has ended.
func (s *site) figure(name string) int64 {
	text, err := os.ReadFile(s.proc("status"))
	m := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(text)
	if err != nil || m == nil {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kilobytes << 10
}

// proc is a file about mlproxy's process.
func (s *site) proc(name string) string {
	return fmt.Sprintf("/proc/%d/%s", s.proxy.cmd.Process.Pid, name)
}
