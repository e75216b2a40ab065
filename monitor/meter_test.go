package monitor

import (
	"sync"
	"testing"
	"time"
)

// finished is an ordinary exchange.
func finished() *Observation {
	return &Observation{
		Status: 200, Duration: 2 * time.Millisecond, Upstream: 1900 * time.Microsecond, FirstByte: 1800 * time.Microsecond,
		Overhead: 100 * time.Microsecond, BytesIn: 256, BytesOut: 512, Sent: true, Answered: true,
	}
}

func TestObserveCounts(t *testing.T) {
	f := func(o *Observation, want map[string]float64) {
		t.Helper()
		r := New()
		m := r.Meter("iris", "stable")
		m.Begin()
		m.Observe(o)
		has(t, r, want)
	}
	f(finished(), map[string]float64{
		`mlproxy_requests_total{code="200",pool="stable",route="iris"}`:                   1,
		`mlproxy_request_duration_seconds_sum{pool="stable",route="iris"}`:                .002,
		`mlproxy_request_duration_seconds_bucket{pool="stable",route="iris",le="0.0025"}`: 1,
		`mlproxy_request_duration_seconds_bucket{pool="stable",route="iris",le="0.001"}`:  0,
		`mlproxy_upstream_duration_seconds_sum{pool="stable",route="iris"}`:               .0019,
		`mlproxy_time_to_first_byte_seconds_sum{pool="stable",route="iris"}`:              .0018,
		`mlproxy_overhead_seconds_sum{route="iris"}`:                                      .0001,
		`mlproxy_request_bytes_total{pool="stable",route="iris"}`:                         256,
		`mlproxy_response_bytes_total{pool="stable",route="iris"}`:                        512,
		`mlproxy_in_flight{pool="stable",route="iris"}`:                                   0,
		`mlproxy_errors_total{pool="stable",reason="upstream_reset",route="iris"}`:        0,
	})
	f(&Observation{Status: 502, Reason: UpstreamReset, Duration: time.Second, Upstream: time.Second, Sent: true}, map[string]float64{
		`mlproxy_requests_total{code="502",pool="stable",route="iris"}`:                 1,
		`mlproxy_errors_total{pool="stable",reason="upstream_reset",route="iris"}`:      1,
		`mlproxy_upstream_duration_seconds_count{pool="stable",route="iris"}`:           1,
		`mlproxy_time_to_first_byte_seconds_count{pool="stable",route="iris"}`:          0,
		`mlproxy_errors_total{pool="stable",reason="no_healthy_endpoint",route="iris"}`: 0,
	})
	f(&Observation{Status: 503, Reason: NoHealthyEndpoint}, map[string]float64{
		`mlproxy_upstream_duration_seconds_count{pool="stable",route="iris"}`:           0,
		`mlproxy_errors_total{pool="stable",reason="no_healthy_endpoint",route="iris"}`: 1,
	})
	// What cannot be must not panic: a clock that went back, a status no grammar has.
	f(&Observation{Status: -7, Duration: -1, Overhead: -1, BytesIn: -1, BytesOut: -1}, map[string]float64{
		`mlproxy_requests_total{code="other",pool="stable",route="iris"}`:  1,
		`mlproxy_request_duration_seconds_sum{pool="stable",route="iris"}`: 0,
		`mlproxy_request_bytes_total{pool="stable",route="iris"}`:          0,
	})
}

func TestMeterCountsTheRest(t *testing.T) {
	r := New()
	m := r.Meter("iris", "stable")
	m.Begin()
	m.Begin()
	m.Assign(ByKey)
	m.Assign(ByForce)
	m.Error(UpstreamConnect)
	m.Retry(RetrySucceeded)
	if m.InFlight() != 2 {
		t.Errorf("%d in flight, want 2", m.InFlight())
	}
	has(t, r, map[string]float64{
		`mlproxy_in_flight{pool="stable",route="iris"}`:                              2,
		`mlproxy_assignments_total{by="key",pool="stable",route="iris"}`:             1,
		`mlproxy_assignments_total{by="force",pool="stable",route="iris"}`:           1,
		`mlproxy_assignments_total{by="rotation",pool="stable",route="iris"}`:        0,
		`mlproxy_errors_total{pool="stable",reason="upstream_connect",route="iris"}`: 1,
		`mlproxy_errors_total{pool="stable",reason="none",route="iris"}`:             gone,
		`mlproxy_retries_total{outcome="succeeded",pool="stable",route="iris"}`:      1,
	})
}

func TestShadowMeterCounts(t *testing.T) {
	r := New()
	s := r.Shadow("iris", "next")
	s.Sent(0, time.Second)
	s.Sent(200, time.Second)
	s.Dropped(DropBytes)
	s.Compared(Differ, 3, 1)
	s.Uncompared(UncomparedBusy)
	s.Noise(Agree)
	has(t, r, map[string]float64{
		`mlproxy_shadow_requests_total{code="0",pool="next",route="iris"}`:         1,
		`mlproxy_shadow_requests_total{code="200",pool="next",route="iris"}`:       1,
		`mlproxy_shadow_duration_seconds_sum{pool="next",route="iris"}`:            2,
		`mlproxy_shadow_dropped_total{pool="next",reason="bytes",route="iris"}`:    1,
		`mlproxy_shadow_dropped_total{pool="next",reason="draining",route="iris"}`: 0,
		`mlproxy_shadow_compared_total{pool="next",result="differ",route="iris"}`:  1,
		`mlproxy_shadow_compared_total{pool="next",result="agree",route="iris"}`:   0,
		`mlproxy_shadow_compared_total{pool="next",result="error",route="iris"}`:   1,

		`mlproxy_shadow_compare_errors_total{pool="next",reason="busy",route="iris"}`: 1,
		`mlproxy_shadow_rows_total{pool="next",result="agree",route="iris"}`:          2,
		`mlproxy_shadow_rows_total{pool="next",result="differ",route="iris"}`:         1,
		`mlproxy_shadow_noise_total{pool="next",result="agree",route="iris"}`:         1,
	})
}

// Whatever a model server answers, a version has at most one series for each status of HTTP and one for all else.
func TestCodesAreBounded(t *testing.T) {
	f := func(status int, want string) {
		t.Helper()
		if got := codeName(slot(status)); got != want {
			t.Errorf("status %d counts as %q, want %q", status, got, want)
		}
	}
	f(0, "0")
	f(100, "100")
	f(599, "599")
	f(-1, "other")
	f(1, "other")
	f(99, "other")
	f(600, "other")
	f(1<<31, "other")
}

func TestRetireRemovesSeriesForGood(t *testing.T) {
	r := New()
	exercise(r)
	stays := r.Meter("search", "blue")
	old, oldShadow := r.Meter("iris", "stable"), r.Shadow("iris", "next")

	r.Retire("iris", "stable")
	r.RetireShadow("iris", "next")
	r.RetireModel("iris", "stable")
	old.Begin()
	old.Observe(finished()) // a series that existed
	old.Observe(&Observation{Status: 418, Reason: BadRequest})
	old.Assign(ByKey)
	old.Retry(RetryFailed)
	oldShadow.Sent(200, 1)
	oldShadow.Sent(0, 1)
	oldShadow.Dropped(DropBytes)
	stays.Begin()
	for name := range scrape(t, r) {
		if contains(name, `route="iris"`) {
			t.Errorf("%s outlives its version", name)
		}
	}
	has(t, r, map[string]float64{
		`mlproxy_in_flight{pool="blue",route="search"}`:   1,
		`mlproxy_active_pool{pool="blue",route="search"}`: 1,
		`mlproxy_overhead_seconds_count{route="search"}`:  0,
	})

	m := r.Meter("iris", "stable")
	m.Begin()
	m.Observe(finished())
	r.Shadow("iris", "next").Sent(200, 1)
	old.Observe(finished())
	has(t, r, map[string]float64{
		`mlproxy_requests_total{code="200",pool="stable",route="iris"}`:      1,
		`mlproxy_in_flight{pool="stable",route="iris"}`:                      0,
		`mlproxy_shadow_requests_total{code="200",pool="next",route="iris"}`: 1,
	})
}

// A route's overhead is shared by its versions and goes with the last.
func TestRetireKeepsTheRoutesOverhead(t *testing.T) {
	r := New()
	a := r.Meter("iris", "a")
	r.Meter("iris", "b")
	a.Begin()
	a.Observe(finished())
	r.Retire("iris", "a")
	has(t, r, map[string]float64{`mlproxy_overhead_seconds_count{route="iris"}`: 1})
	r.SetActive("iris", "b", []string{"b"})
	r.Retire("iris", "b")
	has(t, r, map[string]float64{
		`mlproxy_overhead_seconds_count{route="iris"}`: gone,
		`mlproxy_active_pool{pool="b",route="iris"}`:   gone,
	})
}

// Exchanges, scrapes and retirements at once: nothing is lost before the retirement, nothing comes back after it.
func TestRetireWhileObserving(t *testing.T) {
	r := New()
	m := r.Meter("iris", "stable")
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 500 {
				m.Begin()
				m.Observe(&Observation{Status: 100 + (worker*500+i)%500, Reason: Reason(i % int(reasons))})
			}
		})
	}
	all.Go(func() { scrape(t, r) })
	all.Go(func() { r.Retire("iris", "stable") })
	all.Wait()
	for name := range scrape(t, r) {
		if contains(name, `route="iris"`) {
			t.Errorf("%s came back", name)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	r := New()
	m, s, c := r.Meter("iris", "stable"), r.Shadow("iris", "next"), r.Connections()
	o := finished()
	count := func() {
		m.Begin()
		m.Assign(ByRotation)
		m.Retry(RetryFailed)
		m.Error(UpstreamConnect)
		m.Observe(o)
		s.Sent(200, time.Millisecond)
		s.Dropped(DropInFlight)
		s.Compared(Agree, 1, 0)
		c.Opened()
		c.Rejected(RejectLimit)
		c.Closed()
	}
	if n := testing.AllocsPerRun(1000, count); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkWhatAnExchangeCosts(b *testing.B) {
	m, o := New().Meter("iris", "stable"), finished()
	b.Run("Observe", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Begin()
			m.Observe(o)
		}
	})
	b.Run("Observe on all cores", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				m.Begin()
				m.Observe(o)
			}
		})
	})
}
