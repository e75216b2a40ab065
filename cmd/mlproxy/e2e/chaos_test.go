package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// chaos is what bench/chaos says of one scenario; docs/chaos.md explains it.
type chaos struct {
	Requests    int           `json:"requests"`
	Failed      int           `json:"failed"`
	Grace       int           `json:"requests_in_grace"`
	FailedGrace int           `json:"failed_in_grace"`
	After       int           `json:"failed_after"`
	Unanswered  int           `json:"unanswered"`
	While       int           `json:"requests_while_broken"`
	Slow        int           `json:"over_1s"`
	P99         time.Duration `json:"p99_ns"`
	Late        time.Duration `json:"late_ns"`
	IsBack      bool          `json:"is_back"`
	Unwell      time.Duration `json:"unwell_ns"`
	Ending      string        `json:"ending"`

	Growth  int64          `json:"growth"`
	Hostile int            `json:"hostile"`
	Cut     int            `json:"cut"`
	CutIn   time.Duration  `json:"cut_in_ns"`
	Told    map[string]int `json:"told"`
	Taken   int64          `json:"taken"`
	Events  int            `json:"events"`
	Delay   time.Duration  `json:"delay_ns"`
	Gone    time.Duration  `json:"gone_ns"`
	Exit    time.Duration  `json:"exit_ns"`
	Why     map[string]int `json:"failures"`
}

// Model servers break while users ask: the scenarios of `make chaos` in short. The promises themselves are held there, on a machine
// that does nothing else; here there is room for one that does.
func TestChaos(t *testing.T) {
	f := scenarios(t, mlproxy)
	ejected := func(c *chaos) bool { return c.FailedGrace*10 <= c.Grace && c.After*100 <= c.Requests }

	f("kill", func(c *chaos) bool { return c.Failed <= 20 && c.IsBack })
	f("freeze", ejected)
	f("hang", ejected)
	f("hang-impatient", ejected)
	f("500", ejected)
	f("reset", ejected)
	f("slow", func(c *chaos) bool { return c.Failed == 0 && c.Slow*10 <= c.While })
	f("all-down", func(c *chaos) bool {
		return c.Unanswered == 0 && c.P99 <= 2*time.Second && c.Unwell <= 4*time.Second && c.IsBack
	})
	f("all-frozen", func(c *chaos) bool { // the route's timeout is 1.5 s
		return c.Unanswered == 0 && c.Late <= 1200*time.Millisecond && c.Unwell <= 4*time.Second && c.IsBack
	})
	f("canary", func(c *chaos) bool { return c.Failed*25 <= c.Requests })
	f("stop", func(c *chaos) bool {
		return c.Failed == c.Why["connection refused"] && 0 < c.Exit && c.Exit <= patience
	})
}

// The network between mlproxy and one of three model servers falls ill.
func TestNetworkFaults(t *testing.T) {
	f := scenarios(t, mlproxy)
	ejected := func(c *chaos) bool { return c.FailedGrace*10 <= c.Grace && c.After*100 <= c.Requests }
	well := func(c *chaos) bool { return c.Failed == 0 && c.Slow*10 <= c.While }
	f("net-down", ejected)
	f("net-cut", ejected)
	f("net-reset", ejected)
	f("net-vanish", ejected)
	f("net-latency", well)
	f("net-slices", well)
}

// Whatever clients do to use up memory, connections or descriptors, the others are served, and mlproxy grows by little.
func TestExhaustion(t *testing.T) {
	const megabyte = 1 << 20
	f := scenarios(t, swift)
	unharmed := func(c *chaos, growth int64) bool {
		return c.Failed == 0 && c.P99 <= 2*time.Second && c.Growth <= growth*megabyte
	}
	gone := func(c *chaos) bool { return 0 < c.Gone && c.Gone <= 10*time.Second }

	f("slowloris", func(c *chaos) bool { return unharmed(c, 100) && c.Cut == c.Hostile && c.CutIn <= 15*time.Second })
	f("drip", func(c *chaos) bool { return unharmed(c, 100) && gone(c) })
	f("claims", func(c *chaos) bool { return unharmed(c, 32) && gone(c) })
	f("unread", func(c *chaos) bool { return unharmed(c, 100) && gone(c) && 0 < c.Taken && c.Taken <= 32*megabyte })
	f("large-heads", func(c *chaos) bool { return unharmed(c, 64) && refusedHeads(c) == c.Hostile })
	f("many-fields", func(c *chaos) bool { return unharmed(c, 64) && refusedHeads(c) == c.Hostile })
	f("offered", func(c *chaos) bool { return unharmed(c, 32) && 0 < c.Taken && c.Taken <= 32*megabyte })
	f("descriptors", func(c *chaos) bool { return c.IsBack && c.Unwell <= 4*time.Second && c.Cut > 0 })
	f("streams", func(c *chaos) bool { return unharmed(c, 32) && gone(c) && c.Events > 0 && c.Delay <= time.Second })
	f("shadow-hang-1mb", func(c *chaos) bool { return unharmed(c, 64) })
}

func refusedHeads(c *chaos) (n int) {
	for line, times := range c.Told {
		if strings.HasPrefix(line, "HTTP/1.1 431") {
			n += times
		}
	}
	return n
}

// scenarios builds the program of `make chaos`, and returns what runs one of its scenarios on a binary as a test.
func scenarios(t *testing.T, binary string) func(scenario string, held func(*chaos) bool) {
	t.Helper()
	must(t, lookAtSources())
	program := filepath.Join(t.TempDir(), "chaos")
	must(t, goBuild("-o", program, "mlproxy/bench/chaos"))
	return func(scenario string, held func(*chaos) bool) {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			got, all := unleash(t, program, binary, scenario)
			if !held(got) || got.Ending != "" || got.Requests == 0 {
				t.Errorf("%+v\n%s", *got, all)
			}
		})
	}
}

// unleash runs one scenario on the binary, and returns what came of it; all is the same at length.
func unleash(t *testing.T, program, binary, scenario string) (got *chaos, all string) {
	t.Helper()
	var out, said bytes.Buffer
	run := exec.Command(program, "-mlproxy", binary, "-only", scenario, "-short", "-json")
	run.Stdout, run.Stderr = &out, &said
	ended := run.Run()
	var results []*chaos
	if err := json.Unmarshal(out.Bytes(), &results); err != nil || len(results) != 1 {
		t.Fatal(fmt.Sprintf("%d results, %v, %v:", len(results), err, ended), said.String())
	}
	return results[0], out.String()
}
