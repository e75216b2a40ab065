// Package e2e shows the main job through the real binary: traffic split, mirrored, switched and measured, between real
// clients and real model servers on real sockets.
//
// The package is tests only. Each test starts a process of its own ([running]) on ports the system chooses, asserts order
// and counts, and ends the process, which must then end well. No test sleeps or holds a time: whoever waits, waits for
// what must come, and fails when patience ends. Under the race detector the binary is built with it as well, and what it
// finds fails the test.
package e2e
