package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// blueGreen is the config of a route that is blue.
func blueGreen(blue, green *modeltest.Server) string {
	return fmt.Sprintf(`
pools:
  search-blue:  {endpoints: [%q]}
  search-green: {endpoints: [%q]}
routes:
  search: {match: {path: /}, blue_green: {blue: search-blue, green: search-green, active: blue}}
`, blue.URL, green.URL)
}

// Switched and rolled back under load, by command line and by API: no request fails, and none that began after the answer
// reaches the pool that was left.
func TestSwitchUnderLoad(t *testing.T) {
	servers := map[string]*modeltest.Server{"search-blue": serve(t, modeltest.Options{}), "search-green": serve(t, modeltest.Options{})}
	r := start(t, blueGreen(servers["search-blue"], servers["search-green"]))
	l := r.load(300, inferPath, setosa)
	periods := []period{{from: time.Now(), pools: []string{"search-blue"}}}
	l.more(30)
	f := func(pool string, change func()) {
		t.Helper()
		next := period{from: time.Now(), pools: []string{pool}}
		change()
		periods[len(periods)-1].to = time.Now()
		periods = append(periods, next)
		l.more(30)
		must(t, equal("the gauge of "+pool, r.metrics().sum("mlproxy_active_pool", "pool="+pool), 1))
		must(t, equal("pools that are active", r.metrics().sum("mlproxy_active_pool"), 1))
	}
	byAPI := func(method, what, body string) func() {
		return func() {
			status, text := r.call(method, "/api/v1/routes/search/"+what, body)
			must(t, equal(what+" "+text, status, http.StatusOK))
		}
	}
	for range 5 {
		f("search-green", func() { r.cli(0, "switch", "search", "green") })
		f("search-blue", func() { r.cli(0, "rollback", "search") })
		f("search-green", byAPI(http.MethodPut, "active", `{"active": "green"}`))
		f("search-blue", byAPI(http.MethodPost, "rollback", ""))
	}
	periods[len(periods)-1].to = time.Now().Add(time.Hour)
	results, answered := l.endWell(), map[string]int{}
	for _, result := range results {
		pool := result.Headers.Get("X-MLProxy-Pool")
		answered[pool]++
		if !possible(periods, pool, result.Timestamp, result.End()) {
			t.Errorf("request %d began after the switch's answer and reached %s", result.Seq, pool)
		}
	}
	for pool, server := range servers {
		must(t, equal("requests at "+pool, int(server.Stats().Begun), answered[pool]))
	}
}

// A switch to a pool that is not there is refused and changes nothing; --force switches all the same.
func TestSwitchToADeadPoolIsRefused(t *testing.T) {
	blue, green := serve(t, modeltest.Options{}), &modeltest.Server{URL: dead(t)}
	r := start(t, blueGreen(blue, green))
	l := r.load(100, inferPath, setosa)
	l.more(10)

	said := r.cli(1, "switch", "search", "green")
	for _, words := range []string{"nothing was switched", "search-green", "force"} {
		if !strings.Contains(said, words) {
			t.Errorf("the refusal does not speak of %q: %s", words, said)
		}
	}
	status, text := r.call(http.MethodPut, "/api/v1/routes/search/active", `{"active": "green"}`)
	must(t, equal("the API's answer "+text, status, http.StatusConflict))
	if !strings.Contains(text, `"unfit"`) {
		t.Errorf("the API's answer has another reason: %s", text)
	}
	f := func(active string, revision int64) {
		t.Helper()
		now := r.status()
		must(t, equal("the active one", now.Routes["search"].Active, active))
		must(t, equal("the revision", now.Number, revision))
	}
	f("blue", 1)
	l.more(10)
	l.endWell()

	r.cli(0, "switch", "search", "green", "--force")
	f("green", 2)
	status, text = call(t, http.MethodPost, "http://"+r.data+inferPath, setosa)
	must(t, equal("the answer of a dead pool "+text, status, http.StatusBadGateway))
	r.awaitSum(1, "mlproxy_requests_total", "pool=search-green", "code=502")
	r.cli(0, "rollback", "search")
	f("blue", 3)
}
