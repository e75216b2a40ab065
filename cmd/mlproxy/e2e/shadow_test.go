package e2e

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"

	"mlproxy/modeltest"
)

// Who is copied does not depend on who answered: the joint counts are those of independence, and the share is as configured.
func TestShadowSamplesIndependentlyOfTheSplit(t *testing.T) {
	var mu sync.Mutex
	copied := map[string]bool{} // by request ID
	shadow := serve(t, modeltest.Options{OnRequest: func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		copied[r.Header.Get("X-Request-ID")] = true
	}})
	live := serveApart(t)
	r := run(t, swift, fmt.Sprintf(`
pools:
  stable: {endpoints: [%[1]q]}
  canary: {endpoints: [%[1]q]}
  next:   {endpoints: [%[2]q]}
routes:
  iris:
    match: {path: /}
    split: {stable: 70, canary: 30}
    shadow: {next: {sample: 20%%, timeout: 60s, max_in_flight: 100000, max_bytes: 1GiB}}
`, live, shadow.URL))

	const n, sample = 20_000, 0.20
	answers := r.ask(n, 8, func(int) string { return infer() })
	r.awaitSum(n, "mlproxy_requests_total")
	await(t, "the copies", func() error {
		return equal("copies", int(shadow.Stats().Finished), r.metrics().sum("mlproxy_shadow_requests_total", "pool=next", "code=200"))
	})
	must(t, equal("dropped copies", r.metrics().sum("mlproxy_shadow_dropped_total"), 0))
	r.end()

	var joint [2][2]float64 // [canary or stable][copied or not]
	for _, a := range answers {
		joint[index(a.pool == "canary")][index(copied[a.id])]++
	}
	all := joint[0][1] + joint[1][1]
	if int(all) != len(copied) {
		t.Errorf("of %d copies, %g have the ID of a live answer", len(copied), all)
	}
	// Six standard deviations: chance alone fails this once in 500 million runs.
	if off := math.Abs(all - sample*n); off > 6*math.Sqrt(n*sample*(1-sample)) {
		t.Errorf("%g of %d requests were copied, want a share of %g", all, n, sample)
	}
	// One degree of freedom: chance alone exceeds 30 once in 20 million runs.
	if x := chiSquare(joint); x > 30 {
		t.Errorf("copies depend on the version: chi-square %.1f of %v", x, joint)
	}
}

func index(second bool) int {
	if second {
		return 1
	}
	return 0
}

// chiSquare is Pearson's statistic of a table of counts against independence.
func chiSquare(joint [2][2]float64) (x float64) {
	total := joint[0][0] + joint[0][1] + joint[1][0] + joint[1][1]
	for i := range 2 {
		for j := range 2 {
			expected := (joint[i][0] + joint[i][1]) * (joint[0][j] + joint[1][j]) / total
			x += (joint[i][j] - expected) * (joint[i][j] - expected) / expected
		}
	}
	return x
}

func TestBrokenShadowsHurtNobody(t *testing.T) { brokenShadows(t, mlproxy, 200) }

func TestBrokenShadowsAreBoundedInMemory(t *testing.T) {
	if grew := brokenShadows(t, swift, 1000); grew > 32<<20 {
		t.Errorf("memory grew by %d KiB", grew>>10)
	}
}

// brokenShadows holds that whatever a shadow does, every live request is answered well, and what is not copied is counted by
// reason. It returns by how much the process grew.
func brokenShadows(t *testing.T, binary string, requests int) (grew int64) {
	live := serveApart(t)
	hang, full, reset, flood, small := broken(t, "hang"), broken(t, "hang"), broken(t, "reset"), broken(t, "flood,gap=2ms"), broken(t, "")
	r := run(t, binary, fmt.Sprintf(`
pools:
  live:   {endpoints: [%q]}
  hang:   {endpoints: [%q]}
  full:   {endpoints: [%q]}
  reset:  {endpoints: [%q]}
  flood:  {endpoints: [%q]}
  small:  {endpoints: [%q]}
  absent: {endpoints: [%q]}
routes:
  iris:
    match: {path: /}
    split: {live: 1}
    shadow:
      hang:   {sample: 100%%, timeout: 1h, max_in_flight: 32}
      full:   {sample: 100%%, timeout: 1h, max_in_flight: 1000, max_bytes: 1MiB}
      reset:  {sample: 100%%, timeout: 1h}
      flood:  {sample: 100%%, timeout: 100ms, max_in_flight: 1}
      small:  {sample: 100%%, timeout: 1h, max_body: 1KiB}
      absent: {sample: 100%%, timeout: 1h}
`, live, hang.URL, full.URL, reset.URL, flood.URL, small.URL, dead(t)))

	body := setosa + strings.Repeat(" ", 64<<10-len(setosa))
	l := r.load(200, inferPath, body)
	l.more(requests / 10) // connections and buffers are there
	grew = r.growth(func() { l.more(requests) })
	n := len(l.endWell())
	r.awaitSum(n, "mlproxy_requests_total", "pool=live", "code=200")
	must(t, equal("requests of live", int(live.stats(t).Finished), n))

	const held = 15 // copies of 64 KiB and their heads, in 1 MiB
	r.awaitSum(n-32, "mlproxy_shadow_dropped_total", "pool=hang", "reason=in_flight")
	must(t, equal("copies that hang", hang.Stats().Running(), 32))
	r.awaitSum(n-held, "mlproxy_shadow_dropped_total", "pool=full", "reason=bytes")
	must(t, equal("copies that fill max_bytes", full.Stats().Running(), held))
	r.awaitSum(n, "mlproxy_shadow_dropped_total", "pool=small", "reason=body_too_large")
	must(t, equal("copies too large", small.Stats().Begun, 0))
	f := func(pool string) {
		t.Helper()
		var sent int
		await(t, "the copies of "+pool, func() error {
			m := r.metrics()
			sent = m.sum("mlproxy_shadow_requests_total", "pool="+pool)
			return equal("copies of "+pool+", sent and dropped", sent+m.sum("mlproxy_shadow_dropped_total", "pool="+pool), n)
		})
		must(t, equal("comparisons that fail", r.metrics().sum("mlproxy_shadow_compared_total", "pool="+pool, "result=error"), sent))
		if sent == 0 {
			t.Errorf("%s was sent nothing", pool)
		}
	}
	f("reset")
	f("absent")
	f("flood")
	must(t, equal("answers of those that give none", answersOf(r.metrics(), "reset", "absent"), 0))
	must(t, equal("errors of live traffic", r.metrics().sum("mlproxy_errors_total"), 0))
	return grew
}

// answersOf counts the answers of shadows.
func answersOf(m metrics, pools ...string) (answers int) {
	for _, pool := range pools {
		answers += m.sum("mlproxy_shadow_requests_total", "pool="+pool) - m.sum("mlproxy_shadow_requests_total", "pool="+pool, "code=0")
	}
	return answers
}

// A shadow with the same weights agrees with every answer, one with other weights with none that shows them.
func TestShadowAnswersAreCompared(t *testing.T) {
	live, same, other := serve(t, modeltest.Options{}), serve(t, modeltest.Options{}),
		serve(t, modeltest.Options{Models: []string{"iris.2"}})
	r := start(t, fmt.Sprintf(`
pools:
  live:  {endpoints: [%q]}
  same:  {endpoints: [%q]}
  other: {endpoints: [%q]}
routes:
  iris:
    match: {path: /}
    split: {live: 1}
    shadow:
      same:  {sample: 100%%, timeout: 1h}
      other: {sample: 100%%, timeout: 1h}
`, live.URL, same.URL, other.URL))
	const n = 50
	for range n { // one after the other, so that nothing is dropped
		r.ask(1, 1, func(int) string { return infer() })
	}
	r.awaitSum(n, "mlproxy_shadow_compared_total", "pool=same", "result=agree")
	r.awaitSum(n, "mlproxy_shadow_compared_total", "pool=other", "result=differ")
	r.awaitSum(2*n, "mlproxy_shadow_compared_total")
}

// While live traffic is near one of its limits nothing is copied; when it is not any more, copies are taken again.
func TestCopiesAreShedFirst(t *testing.T) {
	f := func(pool, limits string, running int) {
		t.Helper()
		g, shadow := newGate(t), serve(t, modeltest.Options{})
		r := start(t, fmt.Sprintf(`
limits: {%s}
pools:
  live: {endpoints: [%q], %s}
  next: {endpoints: [%q]}
routes:
  all: {match: {path: /}, split: {live: 1}, shadow: {next: {sample: 100%%}}}
`, limits, g.URL, pool, shadow.URL))
		slow := make(chan string, running)
		for range running {
			go func() { slow <- r.read("/slow") }()
			<-g.arrived
		}
		r.read("/missing")
		r.awaitSum(1, "mlproxy_shadow_dropped_total", "pool=next", "reason=overload")
		must(t, equal("copies", shadow.Stats().Begun, 0))
		close(g.slow)
		for range running {
			must(t, equal("the slow answer", <-slow, "200 done"))
		}
		r.awaitSum(0, "mlproxy_in_flight")
		copied := r.metrics().sum("mlproxy_shadow_requests_total")
		r.read("/missing")
		r.awaitSum(copied+1, "mlproxy_shadow_requests_total", "pool=next")
	}
	f("max_in_flight: 0", "max_in_flight: 5", 4)
	f("max_in_flight: 5", "max_in_flight: 0", 4)
	f("max_connections: 5", "max_in_flight: 0", 4)
}

// A body that streams is copied whole, or not at all.
func TestLargeCopies(t *testing.T) {
	live, same, small := serve(t, modeltest.Options{}), serve(t, modeltest.Options{}), serve(t, modeltest.Options{})
	r := start(t, fmt.Sprintf(`
pools:
  live:  {endpoints: [%q]}
  same:  {endpoints: [%q]}
  small: {endpoints: [%q]}
routes:
  iris:
    match: {path: /}
    split: {live: 1}
    shadow:
      same:  {sample: 100%%, timeout: 1h}
      small: {sample: 100%%, timeout: 1h, max_body: 100KiB}
`, live.URL, same.URL, small.URL))
	body := setosa + strings.Repeat(" ", 700<<10)
	const n = 5
	for i := range n {
		status, text := call(t, http.MethodPost, "http://"+r.data+inferPath, body)
		must(t, equal("the status of "+text, status, http.StatusOK))
		r.awaitSum(i+1, "mlproxy_shadow_compared_total", "pool=same", "result=agree")
	}
	r.awaitSum(n, "mlproxy_shadow_dropped_total", "pool=small", "reason=body_too_large")
	must(t, equal("copies of what is too large", small.Stats().Begun, 0))
}
