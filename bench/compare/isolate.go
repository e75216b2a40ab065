package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// isolated is set in the environment of the program once it runs where it should.
const isolated = "MLPROXY_BENCH_ISOLATED"

// isolate starts the program anew on the core that is kept for clients and model servers, and, when root asks, in a network namespace of
// its own: there nobody else's connections are in the way, and the congestion control is the plain one, as others pace even the
// loopback. It returns only if there is something wrong, or nothing left to do.
func (o *options) isolate() error {
	if os.Getenv(isolated) != "" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := append([]string{"taskset", "-c", strconv.Itoa(o.loadCore), self}, os.Args[1:]...)
	if os.Geteuid() == 0 && !o.shared {
		command = append([]string{
			"unshare", "-n", "sh", "-c",
			`ip link set lo up; echo reno >/proc/sys/net/ipv4/tcp_congestion_control; exec "$@"`, "sh",
		}, command...)
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("%w: it is part of util-linux, which Linux systems have", err)
	}
	return syscall.Exec(path, command, append(os.Environ(), isolated+"=1"))
}
