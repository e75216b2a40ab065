package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be a model server, as the program is.
func TestMain(m *testing.M) {
	if place, is := os.LookupEnv(placeVar); is {
		os.Exit(serveModel(place, os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

func TestParseRefuses(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		var said strings.Builder
		if code := run(t.Context(), args, io.Discard, &said); code != exitUsage || !strings.Contains(said.String(), want) {
			t.Errorf("%v: exit %d, %s; want %q", args, code, said.String(), want)
		}
	}
	f("build it with `make build`", "-mlproxy", "no/such/file")
	f("choose 1 to 5000", "-rate", "5001")
	f("choose a time up to 1m", "-patience", "2m")
	f("choose 20s or more", "-soak", "1s")
	f("only flags are taken", "kill")
	f(`no such scenario; there are kill, freeze,`, "-mlproxy", os.Args[0], "-only", "kill,kil")
	f("flag provided but not defined", "-speed")
}

func TestChoose(t *testing.T) {
	f := func(only string, want ...string) {
		t.Helper()
		chosen, err := choose(only)
		if got := strings.Join(names(chosen), " "); err != nil || got != strings.Join(want, " ") {
			t.Errorf("%q: %s, %v; want %v", only, got, err, want)
		}
	}
	f("", names(scenarios)...)
	f("slow,kill", "slow", "kill")
}

// A program that is no mlproxy ends the run with what it said, and nothing of it stays.
func TestRunWithoutProxy(t *testing.T) {
	var said strings.Builder
	if code := run(t.Context(), []string{"-mlproxy", "/bin/false", "-only", "kill"}, io.Discard, &said); code != exitBroken {
		t.Errorf("exit %d", code)
	}
	if !strings.Contains(said.String(), "/bin/false ended (exit status 1)") {
		t.Error(said.String())
	}
}
