package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mlproxy/journal"
	"mlproxy/modeltest"
)

// journalled are the lines of a journal.
func journalled(file string) (all []journal.Prediction, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		var p journal.Prediction
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// Exchanges with model servers are in the journal, with what they carried where that is read, and without what is redacted.
func TestJournal(t *testing.T) {
	model := serve(t, modeltest.Options{})
	file := filepath.Join(t.TempDir(), "predictions.jsonl")
	config := fmt.Sprintf(`
journal: {file: %q, bodies: true, redact: [inputs.*.data], hash: [id]}
trusted_proxies: [127.0.0.1]
pools: {a: {endpoints: [%q]}, gone: {endpoints: ["http://127.0.0.1:1"]}}
routes:
  iris: {match: {path: /v2/}, split: {a: 1}, protocol: open_inference}
  plain: {match: {path: /plain/}, split: {a: 1}}
  lost: {match: {path: /lost/}, split: {gone: 1}, protocol: open_inference}
`, file, model.URL)
	r := start(t, config)
	r.post(inferPath, strings.Replace(setosa, "{", `{"id":"42",`, 1), "X-Request-ID: read")
	r.post("/plain/", "hello", "X-Request-ID: plain")
	r.post("/lost/", setosa, "X-Request-ID: lost")
	r.post("/lost", setosa) // no route: no prediction
	var lines map[string]journal.Prediction
	await(t, "three lines", func() error {
		all, err := journalled(file)
		lines = map[string]journal.Prediction{}
		for _, p := range all {
			lines[p.RequestID] = p
		}
		return errors.Join(err, equal("lines", len(all), 3))
	})
	read := lines["read"]
	if read.Facts == nil || read.Facts.Rows != 1 || read.Facts.Values != 4 || len(read.Facts.Outputs) != 1 || read.Status != 200 || read.Pool != "a" ||
		read.SamplingFraction != 1 || read.Latency <= 0 {
		t.Errorf("the line is %+v, with the facts %+v", read, read.Facts)
	}
	asked, _ := json.Marshal(read.Asked)
	if text := string(asked); strings.Contains(text, "5.1") || !strings.Contains(text, `"data":"[redacted]"`) || !strings.Contains(text, `"id":"hmac-sha256:`) {
		t.Errorf("the request is in the journal as %s", text)
	}
	if read.Answered == nil {
		t.Error("the answer is not in the journal")
	}
	if p := lines["plain"]; p.Facts != nil || p.Asked != nil || p.Status != 404 {
		t.Errorf("the line of a route without protocol is %+v", p)
	}
	if p := lines["lost"]; p.Status != 502 || p.Reason != "upstream_connect" || p.Facts != nil {
		t.Errorf("the line of an exchange without an answer is %+v", p)
	}

	tail := r.cliWithout(0, "journal", "tail", "-n", "2", file)
	if strings.Count(tail, "\n") != 2 || !strings.Contains(tail, "lost/gone  502") {
		t.Errorf("journal tail says\n%s", tail)
	}
	var sum journal.Summary
	must(t, json.Unmarshal([]byte(r.cliWithout(0, "journal", "stats", "-o", "json", file)), &sum))
	if sum.Lines != 3 || len(sum.Versions) != 3 || sum.Versions[0].Rows != 1 || sum.Versions[1].Errors != 1 {
		t.Errorf("journal stats says %+v", sum)
	}
	r.cliWithout(1, "journal", "stats", file+".missing")

	// A disk that is full costs lines, and no request.
	r.rewrite(strings.Replace(config, file, "/dev/full", 1))
	r.reload()
	for range 5 {
		answer, _ := r.post(inferPath, setosa)
		must(t, equal("the status", answer.StatusCode, http.StatusOK))
	}
	r.awaitSum(5, "mlproxy_journal_dropped_total")
	r.awaitSaid("the journal cannot be written as it should")
}

// Whoever renames the file sends SIGUSR1; a reader that follows it goes on with the new one. What was served until the end is there after it.
func TestJournalIsReopenedAndFollowed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "predictions.jsonl")
	r := start(t, fmt.Sprintf(`
journal: {file: %q}
trusted_proxies: [127.0.0.1]
pools: {a: {endpoints: [%q]}}
routes: {iris: {match: {path: /v2/}, split: {a: 1}, protocol: open_inference}}
`, file, serve(t, modeltest.Options{}).URL))
	ask := func(id string) {
		t.Helper()
		answer, _ := r.post(inferPath, setosa, "X-Request-ID: "+id)
		must(t, equal("the status", answer.StatusCode, http.StatusOK))
	}
	holds := func(file, want string) {
		t.Helper()
		await(t, file, func() error {
			all, err := journalled(file)
			var ids []string
			for _, p := range all {
				ids = append(ids, p.RequestID)
			}
			return errors.Join(err, equal("the request IDs", strings.Join(ids, " "), want))
		})
	}
	ask("one")
	holds(file, "one")
	follower := exec.CommandContext(t.Context(), mlproxy, "journal", "tail", "-f", "-o", "json", file)
	out, err := follower.StdoutPipe()
	must(t, err)
	must(t, follower.Start())
	lines := bufio.NewScanner(out)
	follows := func(id string) {
		t.Helper()
		if !lines.Scan() || !strings.Contains(lines.Text(), `"request_id":"`+id+`"`) {
			t.Errorf("the reader shows %q, %v, want %s", lines.Text(), lines.Err(), id)
		}
	}
	follows("one")

	must(t, os.Rename(file, file+".1"))
	ask("two") // into the renamed file
	holds(file+".1", "one two")
	follows("two")
	r.signal(syscall.SIGUSR1)
	r.awaitSaid("journal reopened")
	ask("three")
	holds(file, "three")
	follows("three")
	must(t, follower.Process.Signal(os.Interrupt))
	must(t, follower.Wait())

	ask("last")
	r.end()
	holds(file, "three last")
	holds(file+".1", "one two")
}
