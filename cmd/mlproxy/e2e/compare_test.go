package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"mlproxy/admin"
	"mlproxy/modeltest"
	"mlproxy/shadow"
)

// predictions asks two models the held-out examples in this process, and says which rows they label differently.
func predictions(t *testing.T, name, live, other string) (rows [][]float64, differ []bool, pairs map[[2]int]int) {
	t.Helper()
	a, err := modeltest.LoadModel(live)
	must(t, err)
	b, err := modeltest.LoadModel(other)
	must(t, err)
	samples, err := modeltest.Samples(name)
	must(t, err)
	pairs = map[[2]int]int{}
	for _, s := range samples {
		x, _ := a.Predict(s.Row)
		y, _ := b.Predict(s.Row)
		rows, differ = append(rows, s.Row), append(differ, x != y)
		pairs[[2]int{x, y}]++
	}
	return rows, differ, pairs
}

func count(of []bool) (n int) {
	for _, is := range of {
		n += index(is)
	}
	return n
}

// shadows asks for what comparing found.
func (r *running) shadows(route string) []*shadow.Report {
	r.t.Helper()
	client, err := admin.NewClient(r.admin, "")
	must(r.t, err)
	all, err := client.Shadows(context.Background(), route)
	must(r.t, err)
	return all.Shadows
}

// Value by value, answers differ where the models do, and the live pool never from itself.
func TestShadowAnswersAreLookedInto(t *testing.T) {
	live, other := serve(t, modeltest.Options{Models: []string{"digits.1"}}), serve(t, modeltest.Options{Models: []string{"digits.2"}})
	r := start(t, fmt.Sprintf(`
pools:
  live:  {endpoints: [%q]}
  other: {endpoints: [%q]}
routes:
  digits:
    match: {path: /}
    split: {live: 1}
    shadow:
      other:
        sample: 100%%
        timeout: 1h
        max_in_flight: 10000
        compare: {mode: json, ignore: [id, model_version, outputs.probabilities]}
        noise_probe: 100%%
`, live.URL, other.URL))
	must(t, equal("what is said before anything was compared", strings.Contains(r.cli(0, "shadow", "digits"), "nothing compared yet"), true))

	rows, differ, _ := predictions(t, "digits", "digits.1", "digits.2")
	n, differing := len(rows), count(differ)
	for i := 0; i < n; i += 16 { // so few at once that nothing is dropped
		r.ask(min(16, n-i), 1, func(j int) string {
			return inferOf("/v2/models/digits/infer", string(modeltest.InferBody(rows[i+j:i+j+1])))
		})
		r.awaitSum(min(i+16, n), "mlproxy_shadow_compared_total")
	}
	r.awaitSum(differing, "mlproxy_shadow_compared_total", "pool=other", "result=differ")
	r.awaitSum(n-differing, "mlproxy_shadow_compared_total", "pool=other", "result=agree")
	r.awaitSum(n, "mlproxy_shadow_noise_total", "pool=other", "result=agree")
	must(t, equal("rows that differ", r.metrics().sum("mlproxy_shadow_rows_total", "result=differ"), differing))
	must(t, equal("errors", r.metrics().sum("mlproxy_shadow_compare_errors_total"), 0))
	must(t, equal("live exchanges", r.metrics().sum("mlproxy_requests_total"), n))

	report := r.shadows("digits")[0]
	must(t, equal("rows compared", int(report.Rows.Compared), n))
	must(t, equal("rows that differ", int(report.Rows.Differ), differing))
	must(t, equal("noise", report.Noise.Rows, shadow.Share{Compared: int64(n), Interval: report.Noise.Rows.Interval}))
	if f := report.Fields[0]; f.Field != "outputs.label.data.#" || int(f.Differ) != differing || int(f.Compared) != n {
		t.Errorf("the first field is %+v", f)
	}
	worst := report.Worst[0]
	if len(report.Worst) != min(10, differing) || worst.RequestID == "" || worst.Path != "/v2/models/digits/infer" || worst.Pool != "live" {
		t.Errorf("the worst are %+v", report.Worst)
	}
	line := fmt.Sprintf("differs %.1f%% [%.1f, %.1f], noise 0.0%%", 100*report.Rows.Rate, 100*report.Rows.Interval[0], 100*report.Rows.Interval[1])
	for _, command := range [][]string{{"shadow", "digits"}, {"status"}} {
		if said := r.cli(0, command...); !strings.Contains(said, line) {
			t.Errorf("mlproxy %s does not say %q:\n%s", command[0], line, said)
		}
	}
	if said := r.cli(0, "shadow", "digits", "--reset", "--reason", "another build"); !strings.Contains(said, "nothing compared yet") {
		t.Errorf("after a reset there is:\n%s", said)
	}
	r.awaitSaid(`reason="another build"`)
}

// What was compared in one way says nothing of another: with the way the figures begin anew, and stay when something else changes.
func TestComparingAnew(t *testing.T) {
	live, other := serve(t, modeltest.Options{}), serve(t, modeltest.Options{Models: []string{"iris.2"}})
	config := func(sample, compare string) string {
		return fmt.Sprintf(`
pools:
  live:  {endpoints: [%q]}
  other: {endpoints: [%q]}
routes:
  iris: {match: {path: /}, split: {live: 1}, shadow: {other: {sample: %s, compare: {%s}}}}
`, live.URL, other.URL, sample, compare)
	}
	r := start(t, config("100%", "mode: exact"))
	r.ask(1, 1, func(int) string { return infer() })
	r.awaitSum(1, "mlproxy_shadow_compared_total", "result=differ")
	f := func(sample, compare string, want int) {
		t.Helper()
		r.rewrite(config(sample, compare))
		status, text := r.reload()
		must(t, equal(text, status, http.StatusOK))
		must(t, equal("rows compared so far", int(r.shadows("iris")[0].Rows.Compared), want))
	}
	f("50%", "mode: exact", 1)
	f("50%", "mode: json", 0)
}

// With the route's protocol, predictions are compared row by row of a batch: differing classes are counted, and stand in a table.
func TestPredictionsOfShadowsAreCompared(t *testing.T) {
	live, other := serve(t, modeltest.Options{Models: []string{"digits.1"}}), serve(t, modeltest.Options{Models: []string{"digits.2"}})
	config := func(compare string) string {
		return fmt.Sprintf(`
pools:
  live:  {endpoints: [%q]}
  other: {endpoints: [%q]}
routes:
  digits:
    match: {path: /}
    protocol: open_inference
    inspect: {sample: 0%%}
    split: {live: 1}
    shadow: {other: {sample: 100%%, timeout: 1h, max_in_flight: 10000, compare: {%s}}}
`, live.URL, other.URL, compare)
	}
	rows, differ, pairs := predictions(t, "digits", "digits.1", "digits.2")
	r := start(t, config("mode: argmax"))
	const batch = 5
	ask := func() (rowsAsked, differing int) {
		already := r.metrics().sum("mlproxy_shadow_compared_total")
		for i := 0; i+batch <= len(rows); i += batch {
			r.ask(1, 1, func(int) string {
				return inferOf("/v2/models/digits/infer", string(modeltest.InferBody(rows[i:i+batch], "label", "probabilities")))
			})
			rowsAsked, differing = rowsAsked+batch, differing+count(differ[i:i+batch])
			r.awaitSum(already+rowsAsked/batch, "mlproxy_shadow_compared_total")
		}
		return rowsAsked, differing
	}
	n, differing := ask()
	must(t, equal("rows that differ", r.metrics().sum("mlproxy_shadow_rows_total", "result=differ"), differing))
	must(t, equal("rows that agree", r.metrics().sum("mlproxy_shadow_rows_total", "result=agree"), n-differing))
	report := r.shadows("digits")[0]
	must(t, equal("mode", report.Mode, "argmax"))
	must(t, equal("rows compared", int(report.Rows.Compared), n))
	for _, c := range report.Confusion {
		if n == len(rows) && int(c.Rows) != pairs[[2]int{digit(t, c.Live), digit(t, c.Shadow)}] {
			t.Errorf("%s by the live model and %s by the other: %d rows", c.Live, c.Shadow, c.Rows)
		}
	}
	must(t, equal("classes that are pairs", len(report.Confusion) >= 10, true))

	r.rewrite(config("mode: top_k, k: 10"))
	status, text := r.reload()
	must(t, equal(text, status, http.StatusOK))
	n, _ = ask()
	report = r.shadows("digits")[0]
	must(t, equal("rows whose ten best of ten classes differ", int(report.Rows.Differ), 0))
	must(t, equal("rows compared by top_k", int(report.Rows.Compared), n))
}

func digit(t *testing.T, class string) int {
	t.Helper()
	n, err := strconv.Atoi(class)
	must(t, err)
	return n
}
