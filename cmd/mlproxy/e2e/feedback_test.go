package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mlproxy/admin"
	"mlproxy/modeltest"
	"mlproxy/monitor"
)

const receiptHeader = "X-MLProxy-Receipt"

// feedbackConfig is two replicas' config: a route whose users say what they did with the answers, and one whose users do not.
func feedbackConfig(model *modeltest.Server, keys string) string {
	return fmt.Sprintf(`
trusted_proxies: [127.0.0.1]
feedback: {key_file: %q}
pools: {a: {endpoints: [%q]}, b: {endpoints: [%q]}}
routes:
  iris: {match: {path: /v2/}, split: {a: 1, b: 0}, sticky: [header:X-User-ID], force: {header: X-MLProxy-Pool}, feedback: true}
  other: {match: {path: /}, split: {a: 1}}
`, keys, model.URL, model.URL)
}

// feedback is what the API says of a route and its pool by one source.
func (r *running) feedback(route, pool, source string) (found monitor.FeedbackSummary) {
	r.t.Helper()
	status, text := r.call(http.MethodGet, "/api/v1/routes/"+route+"/feedback?window=5m", "")
	must(r.t, equal("the status", status, 200))
	var all admin.Feedback
	must(r.t, json.Unmarshal([]byte(text), &all))
	for _, v := range all.Versions {
		for _, s := range v.Sources {
			if v.Pool == pool && s.Source == source {
				found = s
			}
		}
	}
	return found
}

// What users do is joined to the version that answered them, by receipt on any replica and by request ID on the one that answered.
func TestFeedback(t *testing.T) {
	model := serve(t, modeltest.Options{})
	keys := filepath.Join(t.TempDir(), "receipts")
	must(t, os.WriteFile(keys, []byte("a key of receipts, for tests\n"), 0o600))
	r, replica := start(t, feedbackConfig(model, keys)), start(t, feedbackConfig(model, keys))

	first, _ := r.post(inferPath, setosa, "X-Request-ID: first", "X-MLProxy-Pool: b")
	second, _ := r.post(inferPath, setosa, "X-Request-ID: second")
	other, _ := r.post("/other", setosa)
	must(t, equal("the receipt of a route without feedback", other.Header.Get(receiptHeader), ""))
	for _, answer := range []*http.Response{first, second} {
		if answer.Header.Get(receiptHeader) == "" {
			t.Fatal("an answer carries no receipt")
		}
	}

	say := func(url, body string, want int, words string) {
		t.Helper()
		status, text := call(t, http.MethodPost, url, body)
		if flat := strings.Join(strings.Fields(text), ""); status != want || !strings.Contains(flat, words) {
			t.Errorf("%s with %s: %d %s, want %d and %s", url, body, status, flat, want, words)
		}
	}
	private, public := "http://"+r.admin+"/api/v1/feedback", "http://"+r.data+"/_ml/feedback"
	elsewhere := "http://" + replica.admin + "/api/v1/feedback"
	byReceipt := `{"receipt":"` + first.Header.Get(receiptHeader) + `","event":"`
	say(private, `[{"request_id":"first","event":"impression"},{"request_id":"first","event":"click"},{"request_id":"second","event":"impression"}]`,
		200, `{"accepted":3,"duplicate":0,"late":0,"orphan":0,"invalid":0}`)
	say(private, byReceipt+`click"}`, 200, `"accepted":0,"duplicate":1`)
	say(private, byReceipt+"accepted\"}\n"+byReceipt+"shrug\"}\n"+`{"request_id":"third","event":"click"}`, 200, `"accepted":1,"duplicate":0,"late":0,"orphan":1,"invalid":1`)
	say(private, `{"event":"click"}`, 400, "namesnoexchange")
	say(elsewhere, byReceipt+`edited"}`, 200, `"accepted":1`)
	say(elsewhere, `{"request_id":"first","event":"edited"}`+"\n"+`{"request_id":"second","event":"edited"}`, 200, `"accepted":0,"duplicate":1,"late":0,"orphan":1`)
	forged := strings.Replace(byReceipt, `"receipt":"`, `"receipt":"AAAA`, 1)
	say(elsewhere, forged+`edited"}`, 200, `"orphan":1`)
	say(public, byReceipt+`click"}`, 200, `{"accepted":1,"duplicate":0,"late":0,"orphan":0,"invalid":0}`)
	say(public, `nothing`, 400, "nofeedback")
	say(public, strings.Repeat(" ", 70<<10)+byReceipt+`click"}`, 413, "body_too_large")

	r.awaitSum(1, "mlproxy_feedback_total", "route=iris", "pool=b", "event=click", "source=admin")
	r.awaitSum(1, "mlproxy_feedback_total", "route=iris", "pool=b", "event=click", "source=data")
	r.awaitSum(1, "mlproxy_feedback_total", "route=iris", "pool=a", "event=impression")
	r.awaitSum(1, "mlproxy_feedback_dropped_total", "source=admin", "reason=duplicate")
	r.awaitSum(2, "mlproxy_feedback_dropped_total", "source=admin", "reason=invalid")
	replica.awaitSum(1, "mlproxy_feedback_total", "route=iris", "pool=b", "event=edited")
	ctr := r.feedback("iris", "b", "admin").CTR
	if ctr == nil || *ctr != (monitor.CTR{Impressions: 1, Clicked: 1, Rate: 1, Interval: [2]float64{0.20654931437723745, 1}}) {
		t.Errorf("the click-through rate is %+v", ctr)
	}
	if ctr := r.feedback("iris", "a", "admin").CTR; ctr == nil || ctr.Impressions != 1 || ctr.Clicked != 0 {
		t.Errorf("the click-through rate of the other version is %+v", ctr)
	}

	// A route that takes feedback no more has no figures, and no series.
	r.rewrite(strings.Replace(feedbackConfig(model, keys), "feedback: true", "feedback: false", 1))
	r.reload()
	must(t, equal("series of feedback", r.metrics().sum("mlproxy_feedback_total"), 0))
	say(public, byReceipt+`click"}`, 404, "") // it is the model server's now
	status, _ := r.call(http.MethodGet, "/api/v1/routes/iris/feedback", "")
	must(t, equal("the status", status, 409))
}

// A user who asks again in much the same words is seen in the requests themselves, wherever a client writes what it searches for.
func TestRedoneSearch(t *testing.T) {
	r := start(t, feedbackConfig(serve(t, modeltest.Options{}), ""))
	ask := func(user, query, body string) {
		t.Helper()
		answer, text := r.post(inferPath+query, body, "X-User-ID: "+user)
		if answer.StatusCode != 200 {
			t.Fatal(answer.Status, text)
		}
	}
	withQuery := func(query string) string { return strings.Replace(setosa, "{", `{"query":"`+query+`",`, 1) }
	ask("u-1", "?q=red+shoes", setosa)
	ask("u-1", "?q=red%20SHOES%20cheap", setosa) // a redone search
	ask("u-1", "?q=red%20shoes&page=2", setosa)
	ask("u-2", "?q=red+shoes", setosa)
	ask("u-1", "?q=blue+hats", setosa)
	ask("u-3", "", withQuery("red shoes"))
	ask("u-3", "", withQuery("shoes red")) // another
	r.awaitSum(2, "mlproxy_feedback_total", "route=iris", "pool=a", "event=redo_search", "source=router")
	r.awaitSum(2, "mlproxy_feedback_total", "route=iris", "event=redo_search")
}

func TestPublicFeedbackIsLimited(t *testing.T) {
	config := strings.Replace(feedbackConfig(serve(t, modeltest.Options{}), ""), "feedback: {key_file", "feedback: {max_per_second: 1, key_file", 1)
	r := start(t, config)
	limited := 0
	for range 20 {
		if status, _ := call(t, http.MethodPost, "http://"+r.data+"/_ml/feedback", `{"request_id":"x","event":"click"}`); status == 429 {
			limited++
		}
	}
	if limited < 5 {
		t.Errorf("%d of 20 requests at once were refused, at one a second", limited)
	}
	r.awaitSum(limited, "mlproxy_feedback_dropped_total", "source=data", "reason=rate_limited")
}

// A label is held against what the version predicted, which is read from its answer.
func TestLabels(t *testing.T) {
	r := start(t, fmt.Sprintf(`
trusted_proxies: [127.0.0.1]
pools: {a: {endpoints: [%q]}}
routes: {iris: {match: {path: /v2/}, split: {a: 1}, protocol: open_inference, feedback: true}}
`, serve(t, modeltest.Options{}).URL))
	answer, text := r.post(inferPath, setosa, "X-Request-ID: one")
	must(t, equal("the status", answer.StatusCode, 200))
	r.post(inferPath, setosa, "X-Request-ID: two")
	status, said := r.call(http.MethodPost, "/api/v1/feedback", `{"request_id":"one","event":"label","value":0}
{"request_id":"two","event":"label","value":2}`)
	must(t, equal("the status", status, 200))
	await(t, "the quality", func() error {
		q := r.feedback("iris", "a", "admin").Quality
		if q == nil || q.Labels != 2 || q.Accuracy != .5 {
			return fmt.Errorf("the quality is %+v, after %s (%s)", q, said, text)
		}
		return nil
	})
}
