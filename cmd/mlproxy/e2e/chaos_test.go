package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
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
	IsBack      bool          `json:"is_back"`
	Unwell      time.Duration `json:"unwell_ns"`
	Ending      string        `json:"ending"`
}

// Model servers break while users ask: the scenarios of `make chaos` in short. The promises themselves are held there, on a machine
// that does nothing else; here there is room for one that does.
func TestChaos(t *testing.T) {
	must(t, lookAtSources())
	program := filepath.Join(t.TempDir(), "chaos")
	must(t, goBuild("-o", program, "mlproxy/bench/chaos"))
	f := func(scenario string, held func(*chaos) bool) {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			got, all := unleash(t, program, scenario)
			if !held(got) || got.Ending != "" || got.Requests == 0 {
				t.Errorf("%+v\n%s", *got, all)
			}
		})
	}
	ejected := func(c *chaos) bool { return c.FailedGrace*10 <= c.Grace && c.After*100 <= c.Requests }

	f("kill", func(c *chaos) bool { return c.Failed <= 20 && c.IsBack })
	f("freeze", ejected)
	f("hang", ejected)
	f("500", ejected)
	f("reset", ejected)
	f("slow", func(c *chaos) bool { return c.Failed == 0 && c.Slow*10 <= c.While })
	f("all-down", func(c *chaos) bool {
		return c.Unanswered == 0 && c.P99 <= 2*time.Second && c.Unwell <= 4*time.Second && c.IsBack
	})
	f("canary", func(c *chaos) bool { return c.Failed*25 <= c.Requests })
}

// unleash runs one scenario on the binary, and returns what came of it; all is the same at length.
func unleash(t *testing.T, program, scenario string) (got *chaos, all string) {
	t.Helper()
	var out, said bytes.Buffer
	run := exec.Command(program, "-mlproxy", mlproxy, "-only", scenario, "-short", "-rate", "200", "-json")
	run.Stdout, run.Stderr = &out, &said
	ended := run.Run()
	var results []*chaos
	if err := json.Unmarshal(out.Bytes(), &results); err != nil || len(results) != 1 {
		t.Fatal(fmt.Sprintf("%d results, %v, %v:", len(results), err, ended), said.String())
	}
	return results[0], out.String()
}
