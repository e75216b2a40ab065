package main

import (
	"io"
	"os"
	"regexp"
	"slices"
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

// Every scenario is explained, and none is promised anything by that is not there.
func TestPages(t *testing.T) {
	read := func(page string) string {
		t.Helper()
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	explained := read("chaos.md")
	for _, name := range names(scenarios) {
		if base := strings.TrimSuffix(name, "-1mb"); !strings.Contains(explained, "`"+base+"`") {
			t.Errorf("docs/chaos.md does not explain %s", name)
		}
	}
	known := regexp.MustCompile("`([a-z0-9]+(-[a-z0-9]+)*)`")
	_, faults, _ := strings.Cut(read("reliability.md"), "## Faults")
	faults, _, _ = strings.Cut(faults, "## Shadow")
	for _, m := range known.FindAllStringSubmatch(faults, -1) {
		if !slices.Contains(names(scenarios), m[1]) {
			t.Errorf("docs/reliability.md names a scenario %s, which is not there", m[1])
		}
	}
}
