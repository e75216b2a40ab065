package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const ms = time.Millisecond

// broke is when things break in these tests.
var broke = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// sent is a sample that was sent so long after the break.
func sent(at, took time.Duration, why string) sample {
	s := sample{at: broke.Add(at), took: took, code: 200, why: why}
	if why != "" {
		s.code = 502
	}
	return s
}

func TestCount(t *testing.T) {
	var got figures
	samples := []sample{
		sent(-900*ms, ms, ""),
		sent(-800*ms, ms, "502"),                             // before
		sent(-2*ms, 8*time.Second, "504"),                    // under way at the break
		sent(0, 1001*ms, ""),                                 // slow
		sent(100*ms, 999*ms, "502"),                          // in the grace
		{at: broke.Add(3999 * ms), took: 3 * ms, why: "EOF"}, // the same, and no answer
		sent(4000*ms, ms, "502"),                             // after the grace
		sent(5000*ms, 2*ms, ""),                              // late
		sent(5700*ms, ms, "502"), sent(9000*ms, 2000*ms, ""), // slow after the mending does not count
	}
	got.count(samples, broke, broke.Add(4*time.Second), broke.Add(5001*ms))
	want := figures{
		Requests: 10, Failed: 6, Before: 1, Grace: 4, FailedGrace: 3, After: 2, Unanswered: 1,
		While: 5, Slow: 1, P99: 1001 * ms, Late: 2 * ms, Calm: 8 * time.Second, Outage: 5001 * ms, Unwell: 699 * ms,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestP99(t *testing.T) {
	f := func(want time.Duration, of ...time.Duration) {
		t.Helper()
		if got := p99(of); got != want {
			t.Errorf("%v: got %v, want %v", of, got, want)
		}
	}
	f(0)
	f(7, 7)
	f(2, 2, 1)
	hundred := make([]time.Duration, 100)
	hundred[5], hundred[6] = 9, 8
	f(8, hundred...)
}

func TestInRotation(t *testing.T) {
	f := func(want time.Duration, is bool, at ...time.Duration) {
		t.Helper()
		samples := []sample{{at: broke.Add(ms), endpoint: "b"}, {at: broke.Add(ms), endpoint: "a", why: "500"}, {at: broke.Add(-ms), endpoint: "a"}}
		for _, d := range at {
			samples = append(samples, sample{at: broke.Add(d), endpoint: "a"})
		}
		got, back := inRotation(samples, "a", broke, 12)
		if back != is || is && got.Sub(broke) != want {
			t.Errorf("%v: got %v %v, want %v %v", at, got.Sub(broke), back, want, is)
		}
	}
	f(0, false)
	f(0, false, 10*ms, 20*ms)
	f(10*ms, true, 10*ms, 20*ms, 30*ms)
	f(10*ms, true, 30*ms, 10*ms, 260*ms)
	f(20*ms, true, 10*ms, 20*ms, 261*ms, 262*ms) // a first trial is no rotation
	f(0, false, 10*ms, 20*ms, 300*ms, 600*ms)
}

func TestInForce(t *testing.T) {
	answers := func(pools ...string) (samples []sample) { // one every 100 ms
		for i, p := range pools {
			samples = append(samples, sample{at: broke.Add(time.Duration(i) * 100 * ms), pool: p})
		}
		return samples
	}
	wishes := []wish{{at: broke.Add(150 * ms), pool: "b"}, {at: broke.Add(450 * ms), pool: "a", malformed: true}, {at: broke.Add(650 * ms), pool: "a"}}
	f := func(want time.Duration, wrong int, pools ...string) {
		t.Helper()
		if got, n := inForce(answers(pools...), wishes); got != want || n != wrong {
			t.Errorf("%v: got %v and %d wrong, want %v and %d", pools, got, n, want, wrong)
		}
	}
	f(0, 0, "a", "a", "b", "b", "b", "b", "b", "a", "a")
	f(50*ms, 0, "a", "a", "a", "b", "b", "b", "b", "a", "a")
	f(50*ms, 0, "a", "a", "", "b", "b", "b", "b", "b", "a") // no answer says nothing
	f(0, 2, "a", "a", "b", "b", "b", "a", "a", "a", "a")
	late := answers("a", "a", "b", "b", "b", "b", "a", "a")
	late[6].took = 50 * ms // ends with the next wish
	if _, n := inForce(late, wishes); n != 0 {
		t.Errorf("a request that was under way at the next wish is said to have gone by the malformed config")
	}
	f(250*ms, 0, "a", "a", "b", "b", "b", "b", "b", "b", "b", "b")
}

func TestSeconds(t *testing.T) {
	samples := []sample{sent(-1*ms, 2*time.Second, ""), sent(0, ms, ""), sent(999*ms, ms, "502"), sent(time.Second, ms, "")}
	samples[3].endpoint = "stable-1"
	want := []second{
		{At: -1, Requests: 1, Slow: 1, Endpoints: map[string]int{}},
		{At: 0, Requests: 2, Failed: 1, Endpoints: map[string]int{}},
		{At: 1, Requests: 1, Endpoints: map[string]int{"stable-1": 1}},
	}
	if diff := cmp.Diff(want, seconds(samples, broke)); diff != "" {
		t.Error(diff)
	}
}

// Every promise can be broken, and is kept at its bound.
func TestPromises(t *testing.T) {
	hold := func(p promise, kept, broken *result) {
		t.Helper()
		if !p.holds(kept) {
			t.Errorf("%s: broken by %+v", p.words, kept)
		}
		if p.holds(broken) {
			t.Errorf("%s: kept by %+v", p.words, broken)
		}
	}
	f := func(p promise, kept, broken figures) {
		t.Helper()
		hold(p, &result{figures: kept}, &result{figures: broken})
	}
	g := func(p promise, kept, broken sight) { t.Helper(); hold(p, &result{sight: kept}, &result{sight: broken}) }
	f(failures(0), figures{}, figures{Failed: 1})
	f(failures(5), figures{Failed: 5}, figures{Failed: 6})
	f(failedShare(0.03), figures{Failed: 3, Requests: 100}, figures{Failed: 4, Requests: 100})
	f(inGrace(0.05), figures{FailedGrace: 5, Grace: 100}, figures{FailedGrace: 6, Grace: 100})
	f(noneAfter(), figures{FailedGrace: 5}, figures{After: 1})
	f(oneLaterIn(5*time.Second), figures{After: 2, Outage: 10 * time.Second}, figures{After: 2, Outage: 9 * time.Second})
	f(slowShare(0.05), figures{Slow: 5, While: 100}, figures{Slow: 6, While: 100})
	f(answered(), figures{Failed: 9}, figures{Unanswered: 1})
	f(fastWhileDown(ms), figures{P99: ms}, figures{P99: ms + 1})
	f(fastLater(ms), figures{Late: ms, P99: 2 * ms}, figures{Late: ms + 1})
	f(backWithin(ms), figures{IsBack: true, Back: ms}, figures{IsBack: true, Back: ms + 1})
	f(backWithin(ms), figures{IsBack: true}, figures{})
	f(servingWithin(ms), figures{IsBack: true, Unwell: ms}, figures{IsBack: true, Unwell: ms + 1})
	f(servingWithin(ms), figures{IsBack: true}, figures{})
	f(inForceWithin(ms), figures{InForce: ms}, figures{InForce: ms + 1})
	f(malformedRefused(), figures{}, figures{Wrong: 1})
	f(asFastAsBefore(0.1, ms), figures{Calm: 20 * ms, P99: 22 * ms}, figures{Calm: 20 * ms, P99: 22*ms + 1})
	f(asFastAsBefore(0.1, 5*ms), figures{Calm: 20 * ms, P99: 25 * ms}, figures{Calm: 20 * ms, P99: 25*ms + 1})
	f(othersFast(ms), figures{Others: ms, P99: 2 * ms}, figures{Others: ms + 1})
	g(grows(1), sight{Growth: 1 << 20}, sight{Growth: 1<<20 + 1})
	g(allCutIn(ms), sight{Hostile: 2, Cut: 2, CutIn: ms}, sight{Hostile: 2, Cut: 2, CutIn: ms + 1})
	g(allCutIn(ms), sight{}, sight{Hostile: 2, Cut: 1})
	g(allTold("HTTP/1.1 431"), sight{Hostile: 2, Told: map[string]int{"HTTP/1.1 431 Too Large": 2}}, sight{Hostile: 2, Told: map[string]int{"HTTP/1.1 431 Too Large": 1}})
	g(goneIn(ms), sight{Gone: ms}, sight{Gone: ms + 1})
	g(goneIn(ms), sight{Gone: ms}, sight{})
	g(takes(1), sight{Taken: 1 << 20}, sight{Taken: 1<<20 + 1})
	g(takes(1), sight{Taken: 1}, sight{})
	g(eventsWithin(ms), sight{Sent: 1, Delay: ms}, sight{Sent: 1, Delay: ms + 1})
	g(eventsWithin(ms), sight{Sent: 1}, sight{})
	g(exits(ms), sight{Exit: ms}, sight{})
	hold(onlyRefused(), &result{figures: figures{Failed: 2}, Failures: map[string]int{"connection refused": 2}}, &result{figures: figures{Failed: 1}, Failures: map[string]int{"EOF": 1}})
}

func TestSample(t *testing.T) {
	f := func(r vegeta.Result, want sample) {
		t.Helper()
		if diff := cmp.Diff(want, newSample(&r), cmp.AllowUnexported(sample{})); diff != "" {
			t.Error(diff)
		}
	}
	headers := map[string][]string{"X-Mlproxy-Pool": {"stable"}, "X-Mlproxy-Error": {"upstream_reset"}, "X-Chaos-Endpoint": {"stable-1"}}
	f(vegeta.Result{Code: 200, Headers: headers}, sample{code: 200, pool: "stable", endpoint: "stable-1"})
	f(vegeta.Result{Code: 502, Error: "502 Bad Gateway", Headers: headers}, sample{code: 502, pool: "stable", endpoint: "stable-1", why: "502 upstream_reset"})
	f(vegeta.Result{Code: 500, Error: "500"}, sample{code: 500, why: "500"})
	f(vegeta.Result{Error: "Post \"http://127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused"}, sample{why: "connection refused"})
	f(vegeta.Result{Error: "unexpected EOF"}, sample{why: "unexpected EOF"})
}

func TestTable(t *testing.T) {
	results := []*result{
		{Scenario: "kill", Promise: []string{"at most 5 fail", "back in 5s"}, sight: sight{Growth: 1500000, Sent: 3, Delay: ms}, figures: figures{Requests: 9000, Failed: 2, FailedGrace: 2, Grace: 1600, P99: 12345678, IsBack: true, Back: 2345 * ms}},
		{
			Scenario: "all-down", Promise: []string{"all answered"}, Broken: []string{"all answered"}, Failures: map[string]int{"EOF": 1, "502": 2000},
			figures: figures{Requests: 100, Failed: 2001, After: 3, Unanswered: 1, While: 10, Slow: 1},
		},
	}
	var got strings.Builder
	printTable(&got, results)
	want := `
SCENARIO  REQUESTS  FAILED  AT FIRST  LATER  OVER 1S  P99     BACK   SEEN                          PROMISED                    RESULT
kill      9000      2       2 (0.1%)  0      0.00%    12.3ms  2.35s  +1.5 MB, 3 events within 1ms  at most 5 fail, back in 5s  held
all-down  100       2001    0 (0.0%)  3      10.00%   0s      never  +0.0 MB                       all answered                NOT HELD

all-down: not held: all answered
  what clients saw: 2000× 502, 1× EOF
`
	if diff := cmp.Diff(want[1:], got.String()); diff != "" {
		t.Error(diff)
	}
}
