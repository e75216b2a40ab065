package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mlproxy/admin"
	"mlproxy/monitor"
)

// scoring is a model server with a protocol of its own: the path is the key of what it answers.
func scoring(t *testing.T) string {
	answers := map[string]string{
		"/both":  `{"trace": {"id": "t1"}, "meta": {"model_version": "7"}, "status": "ok", "result": [{"label": "good", "score": 0.75}, {"label": "bad", "score": 0.5}]}`,
		"/short": `{"status": "ok", "result": [{"label": "good", "score": 1}]}`,
		"/none":  `{"status": "no_match", "result": []}`,
		"/error": `{"error": {"msg": "out of memory"}}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// What a model server says in JSON of its own is found by the paths of the config, and a reload makes others count.
func TestJSONIsReadByPaths(t *testing.T) {
	const config = `
pools: {a: {endpoints: [%q]}}
routes:
  score:
    match: {path: /}
    split: {a: 1}
    protocol: json
    extract:
      request: {rows: data.features, missing: [null, NA, -999]}
      response:
        prediction: result.#.label
        confidence: result.#.score
        missing_when: ["status=='no_match'"]
        error: error.msg
        request_id: trace.id
        version: meta.model_version
`
	url := scoring(t)
	r := start(t, fmt.Sprintf(config, url))
	ask := func(path, rows string) {
		t.Helper()
		status, said := call(t, http.MethodPost, "http://"+r.data+path, `{"data": {"features": [`+rows+`]}, "pad": [1, 2, 3]}`)
		must(t, equal(said, status, http.StatusOK))
	}
	ask("/both", `{"age": 31, "city": "Ulm"}, {"age": -999.0, "city": "NA"}`)
	ask("/both", `{"age": 32, "city": "Bonn"}, {"age": 40, "city": "-999"}`)
	ask("/short", `{"age": 33, "city": "Kiel"}, {"age": 41}`)
	ask("/none", `{"age": 34, "city": "Jena"}`)
	ask("/error", `{"age": 35, "city": "Rust"}`)
	r.awaitSum(8, "mlproxy_rows_total", "route=score")
	r.awaitSum(3, "mlproxy_input_rows_missing_total")
	r.awaitSum(4, "mlproxy_input_values_missing_total")
	r.awaitSum(3, "mlproxy_predictions_total", "class=good")
	r.awaitSum(2, "mlproxy_predictions_total", "class=bad")
	r.awaitSum(5, "mlproxy_confidence")
	must(t, near("the mean confidence", r.mean("mlproxy_confidence"), (0.75+0.5+0.75+0.5+1)/5))
	r.awaitSum(1, "mlproxy_outputs_missing_total", "reason=too_few_rows")
	r.awaitSum(1, "mlproxy_outputs_missing_total", "reason=absent")
	r.awaitSum(1, "mlproxy_outputs_missing_total", "reason=error_in_stream")
	r.awaitSum(3, "mlproxy_outputs_missing_total")
	r.awaitSum(0, "mlproxy_extract_errors_total")
	summary := fetch[admin.Summary](t, "http://"+r.admin+"/api/v1/routes/score/summary?window=5m").Versions[0]
	must(t, equal("missing ages", *summary.Features["age"], monitor.FeatureSummary{Values: 8, Missing: 1, Numbers: 7, Sum: 31 + 32 + 40 + 33 + 41 + 34 + 35}))
	must(t, equal("missing cities", summary.Features["city"].Missing, 3))
	must(t, equal("answers of version 7", summary.Served["7"], 2))

	r.rewrite(fmt.Sprintf(strings.Replace(config, "data.features", "pad", 1), url))
	status, said := r.reload()
	must(t, equal(said, status, http.StatusOK))
	ask("/both", "")
	r.awaitSum(8+3, "mlproxy_rows_total", "route=score")
}

// A path that is none is told with its place, and the revision in force stays.
func TestPathsOfConfigAreChecked(t *testing.T) {
	const config = `pools: {a: {endpoints: ["http://127.0.0.1:9"]}}
routes:
  score: {match: {path: /}, split: {a: 1}, protocol: %s, extract: {response: {prediction: %s, missing_when: [a==1, %s]}}}
`
	r := start(t, fmt.Sprintf(config, "json", "a.b", "b==1"))
	f := func(protocol, path, condition string, says ...string) {
		t.Helper()
		r.rewrite(fmt.Sprintf(config, protocol, path, condition))
		out := r.cliWithout(3, "check", "--config", r.file)
		for _, s := range says {
			if !strings.Contains(out, s) {
				t.Errorf("%s\nwant: %s", out, s)
			}
		}
		status, said := r.reload()
		must(t, equal(said, status, http.StatusUnprocessableEntity))
	}
	f("json", "a..b", "x", ":6:93: routes.score.extract.response.prediction is \"a..b\": a name is missing before or after a dot; write names",
		"routes.score.extract.response.missing_when[1] is \"x\": it compares nothing; write a path, == or !=")
	f("mlflow", "a", "x==1", "routes.score.extract.response.prediction is a place, and protocol mlflow knows its own; remove it, or write protocol: json",
		"routes.score.extract.response.missing_when is a place")
	f("none", "a", "x==1", "is nothing that protocol none needs to be told; remove it")
	must(t, equal("the revision", int(r.status().Number), 1))
}
