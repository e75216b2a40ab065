package e2e

import (
	"fmt"
	"math"
	"testing"
)

// Of 100,000 requests every version gets its share: in any 1,000 that one client sends, in the long run, and by everybody's count.
func TestSplitIsRealised(t *testing.T) {
	servers, pools := versions(t)
	r := run(t, swift, pools+"routes:\n  iris: {match: {path: /}, split: {stable: 70, canary: 25, next: 5}}\n")
	share := map[string]float64{"stable": 0.70, "canary": 0.25, "next": 0.05}

	const alone, total = 10_000, 100_000
	anyone := func(int) string { return infer() }
	answers := r.ask(alone, 1, anyone)
	for pool, s := range share {
		if off := worstWindow(answers, pool, s, 1000); off > 3 {
			t.Errorf("of 1,000 consecutive requests, the share of %s is missed by %.1f", pool, off)
		}
	}
	got := byPool(append(answers, r.ask(total-alone, 16, anyone)...))
	r.awaitSum(total, "mlproxy_requests_total")
	m := r.metrics()
	for pool, s := range share {
		if off := math.Abs(float64(got[pool]) - s*total); off > 3*total/1000 {
			t.Errorf("%s got %d of %d, want a share of %g", pool, got[pool], total, s)
		}
		f := func(who string, count int) {
			if count != got[pool] {
				t.Errorf("%s counts %d requests for %s, the clients count %d", who, count, pool, got[pool])
			}
		}
		f("the model server", int(servers[pool].stats(t).Finished))
		f("mlproxy_requests_total", m.sum("mlproxy_requests_total", "route=iris", "pool="+pool, "code=200"))
		f("mlproxy_assignments_total", m.sum("mlproxy_assignments_total", "route=iris", "pool="+pool, "by=rotation"))
	}
}

// worstWindow is by how much a pool's count differs at most from its share, in any so many consecutive answers.
func worstWindow(answers []answer, pool string, share float64, size int) (worst float64) {
	count := 0
	for i, a := range answers {
		if a.pool == pool {
			count++
		}
		if i >= size && answers[i-size].pool == pool {
			count--
		}
		if i >= size-1 {
			worst = max(worst, math.Abs(float64(count)-share*float64(size)))
		}
	}
	return worst
}

// From 5 to 10%: users move to the canary and nowhere else, and every replica says the same of every user.
func TestStickyUsersMoveOnlyToTheCanary(t *testing.T) {
	servers, pools := versions(t)
	config := func(stable, canary int) string {
		return pools + fmt.Sprintf("routes:\n  iris: {match: {path: /}, sticky: [header:X-User-ID], split: {stable: %d, canary: %d, next: 0}}\n", stable, canary)
	}
	const users = 20_000
	user := func(i int) string { return infer(fmt.Sprintf("X-User-ID: user-%d", i)) }
	near := func(what string, got int, share float64) {
		t.Helper()
		if want := share * users; math.Abs(float64(got)-want) > 0.01*users {
			t.Errorf("%s: %d of %d users, want about %g", what, got, users, want)
		}
	}
	one := run(t, swift, config(95, 5))
	before := one.ask(users, 8, user)
	near("canary at 5%", byPool(before)["canary"], 0.05)

	one.cli(0, "split", "iris", "stable=90", "canary=10", "next=0")
	after := one.ask(users, 8, user)
	near("canary at 10%", byPool(after)["canary"], 0.10)
	moved := 0
	for i := range users {
		if before[i].pool == after[i].pool {
			continue
		}
		if moved++; after[i].pool != "canary" {
			t.Fatalf("user %d moved from %s to %s", i, before[i].pool, after[i].pool)
		}
	}
	near("moved", moved, 0.05)
	one.awaitSum(2*users, "mlproxy_assignments_total", "route=iris", "by=key")

	other := run(t, swift, config(90, 10))
	for i, a := range other.ask(users, 5, user) {
		if a.pool != after[i].pool {
			t.Fatalf("user %d is with %s here and with %s there", i, after[i].pool, a.pool)
		}
	}
	if n := servers["next"].stats(t).Begun; n != 0 {
		t.Errorf("a pool of weight 0 got %d requests", n)
	}
}

// A pool of weight 0 gets what trusted callers send to it by name, and nothing else.
func TestWeightZeroIsForForcedRequestsOnly(t *testing.T) {
	servers, pools := versions(t)
	route := "routes:\n  iris: {match: {path: /}, split: {stable: 1, canary: 1, next: 0}, force: {header: X-MLProxy-Pool}}\n"
	r := start(t, pools+route+"trusted_proxies: [127.0.0.0/8]\n")
	const n = 200
	forced := func(int) string { return infer("X-MLProxy-Pool: next") }
	f := func(what string, answers []answer, next, byForce int) {
		t.Helper()
		must(t, equal(what+": answers of next", byPool(answers)["next"], next))
		r.awaitSum(byForce, "mlproxy_assignments_total", "pool=next")
		r.awaitSum(byForce, "mlproxy_assignments_total", "by=force")
		must(t, equal(what+": requests at next", int(servers["next"].stats(t).Begun), byForce))
	}
	f("unforced", r.ask(n, 1, func(int) string { return infer() }), 0, 0)
	f("forced", r.ask(n, 1, forced), n, n)

	r.rewrite(pools + route)
	status, text := r.reload()
	must(t, equal("the reload's answer "+text, status, 200))
	f("not trusted any more", r.ask(n, 1, forced), 0, n)
}
