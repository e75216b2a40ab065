package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mlproxy/modeltest"
)

// twoServers are a pool of which the first endpoint misbehaves; the breaker tries it ten times a second.
func twoServers(t *testing.T, trouble, breaker string) (bad, good *modeltest.Server, config string) {
	t.Helper()
	bad, good = serve(t, modeltest.Options{}), serve(t, modeltest.Options{})
	must(t, bad.Misbehave(trouble))
	return bad, good, fmt.Sprintf(`
pools:
  iris: {endpoints: [%q, %q], balance: round_robin, breaker: {consecutive_failures: 1, open_for: 100ms%s}}
routes:
  iris: {match: {path: /}, split: {iris: 1}}
`, bad.URL, good.URL, breaker)
}

// ejected sends requests until one has met the endpoint that misbehaves, and its breaker is open.
func ejected(r *running, method, path, body string) {
	r.t.Helper()
	await(r.t, "the endpoint to be taken out", func() error {
		call(r.t, method, "http://"+r.data+path, body)
		if !strings.Contains(r.said(), "to=open") {
			return errors.New(r.said())
		}
		return nil
	})
}

// An endpoint that fails every request, while nothing probes it, is asked by requests of mlproxy's own: users see no more of it. When
// it is well, it serves again.
func TestTrialsAreNotRiskedOnUsers(t *testing.T) {
	bad, _, config := twoServers(t, "status=500", "")
	r := start(t, config)
	ejected(r, http.MethodPost, inferPath, setosa)
	posts := bad.Stats().Methods[http.MethodPost].Begun
	l := r.load(200, inferPath, setosa)
	must(t, bad.Await(t.Context(), func(s modeltest.Stats) bool { return s.Methods[http.MethodGet].Begun >= 5 }))
	must(t, equal("requests of users at the endpoint that fails", bad.Stats().Methods[http.MethodPost].Begun, posts))
	must(t, bad.Misbehave(""))
	must(t, bad.Await(t.Context(), func(s modeltest.Stats) bool { return s.Methods[http.MethodPost].Begun >= posts+10 }))
	l.endWell()
}

// A user's request that has to try an endpoint goes to another one when that fails, if it may be sent twice.
func TestTrialThatFailsGoesElsewhere(t *testing.T) {
	bad, _, config := twoServers(t, "status=500", ", probe_first: false")
	r := start(t, config)
	const path = "/v2/models/iris"
	ejected(r, http.MethodGet, path, "")
	tried := bad.Stats().Begun
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	for bad.Stats().Begun < tried+3 {
		status, text := call(t, http.MethodGet, "http://"+r.data+path, "")
		must(t, equal("the answer "+text, status, http.StatusOK))
		must(t, ctx.Err())
	}
}
