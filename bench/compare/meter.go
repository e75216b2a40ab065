package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tree is a process with all its children, looked up anew each time.
type tree int

// tick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on all Linux systems that run Go. See proc_pid_stat(5).
const tick = 10 * time.Millisecond

// used is the CPU time that the processes have taken, in user mode and in the kernel.
func (t tree) used() (sum time.Duration, err error) {
	for _, pid := range t.all() {
		stat, err := os.ReadFile(proc(pid, "stat"))
		if err != nil {
			return 0, err
		}
		_, rest, _ := bytes.Cut(stat, []byte(") ")) // after the name, which may contain anything
		fields := strings.Fields(string(rest))
		if len(fields) < 13 {
			return 0, fmt.Errorf("%s: %q", proc(pid, "stat"), stat)
		}
		for _, f := range fields[11:13] {
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// peak is the most memory they had since forget was called, in bytes: resident, each for itself.
func (t tree) peak() (sum int64, err error) {
	for _, pid := range t.all() {
		status, err := os.ReadFile(proc(pid, "status"))
		if err != nil {
			return 0, err
		}
		_, rest, found := strings.Cut(string(status), "VmHWM:")
		if fields := strings.Fields(rest); found && len(fields) > 0 {
			kib, err := strconv.ParseInt(fields[0], 10, 64)
			if err != nil {
				return 0, err
			}
			sum += kib << 10
		}
	}
	return sum, nil
}

// forget has peak begin anew; see clear_refs in proc(5).
func (t tree) forget() error {
	for _, pid := range t.all() {
		if err := os.WriteFile(proc(pid, "clear_refs"), []byte("5"), 0); err != nil {
			return err
		}
	}
	return nil
}

// all are the process and those it started, directly or not.
func (t tree) all() []int {
	all := []int{int(t)}
	for i := 0; i < len(all); i++ {
		lists, _ := filepath.Glob(proc(all[i], "task/*/children"))
		for _, list := range lists {
			children, _ := os.ReadFile(list) // a thread that has just ended has none
			for f := range strings.FieldsSeq(string(children)) {
				if pid, err := strconv.Atoi(f); err == nil {
					all = append(all, pid)
				}
			}
		}
	}
	return all
}

func proc(pid int, file string) string { return filepath.Join("/proc", strconv.Itoa(pid), file) }
