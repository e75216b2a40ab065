package monitor

import (
	"strings"
	"testing"
	"time"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestMeterIsOnePerVersion(t *testing.T) {
	r := New()
	m, s := r.Meter("iris", "a"), r.Shadow("iris", "a")
	if r.Meter("iris", "a") != m || r.Shadow("iris", "a") != s {
		t.Error("the same version got two meters")
	}
	if r.Meter("iris", "b") == m || r.Meter("search", "a") == m {
		t.Error("two versions share a meter")
	}
}

func TestSplitShowsThePoolsOfNow(t *testing.T) {
	r := New()
	r.SetSplit("iris", map[string]float64{"a": .9, "b": .1})
	r.SetSplit("other", map[string]float64{"a": 1})
	r.SetSplit("iris", map[string]float64{"b": .5, "c": .5})
	has(t, r, map[string]float64{
		`mlproxy_split_weight{pool="a",route="iris"}`:  gone,
		`mlproxy_split_weight{pool="b",route="iris"}`:  .5,
		`mlproxy_split_weight{pool="c",route="iris"}`:  .5,
		`mlproxy_split_weight{pool="a",route="other"}`: 1,
	})
	r.SetSplit("iris", nil)
	has(t, r, map[string]float64{
		`mlproxy_split_weight{pool="b",route="iris"}`:  gone,
		`mlproxy_split_weight{pool="a",route="other"}`: 1,
	})
}

func TestActiveShowsOnePool(t *testing.T) {
	r := New()
	pools := []string{"blue", "green"}
	r.SetActive("search", "blue", pools)
	r.SetActive("search", "green", pools)
	has(t, r, map[string]float64{
		`mlproxy_active_pool{pool="blue",route="search"}`:  0,
		`mlproxy_active_pool{pool="green",route="search"}`: 1,
	})
	r.SetActive("search", "", nil)
	has(t, r, map[string]float64{`mlproxy_active_pool{pool="green",route="search"}`: gone})
	if len(r.active.shown) != 0 {
		t.Errorf("%v is remembered of routes that are gone", r.active.shown)
	}
}

func TestPendingShowsTheRoutesThatCanWait(t *testing.T) {
	r := New()
	r.SetPending(map[string]bool{"search": true, "other": false})
	has(t, r, map[string]float64{
		`mlproxy_switch_pending{route="search"}`: 1,
		`mlproxy_switch_pending{route="other"}`:  0,
	})
	r.SetPending(map[string]bool{"search": false})
	has(t, r, map[string]float64{
		`mlproxy_switch_pending{route="search"}`: 0,
		`mlproxy_switch_pending{route="other"}`:  gone,
	})
}

func TestConfigSaysWhatIsInForce(t *testing.T) {
	r := New()
	at := time.UnixMilli(1_800_000_000_250)
	r.ConfigApplied(41, at)
	has(t, r, map[string]float64{
		"mlproxy_config_revision": 41, "mlproxy_config_last_reload_successful": 1,
		"mlproxy_config_last_reload_timestamp_seconds": 1_800_000_000.25,
	})
	r.ConfigRefused(at.Add(time.Second))
	has(t, r, map[string]float64{
		"mlproxy_config_revision": 41, "mlproxy_config_last_reload_successful": 0,
		"mlproxy_config_last_reload_timestamp_seconds": 1_800_000_001.25,
	})
}

func TestConnections(t *testing.T) {
	r := New()
	c := r.Connections()
	c.Opened()
	c.Opened()
	c.Closed()
	c.Rejected(RejectLimit)
	c.Evicted(3)
	has(t, r, map[string]float64{
		"mlproxy_connections": 1, "mlproxy_connections_evicted_total": 3,
		`mlproxy_connections_rejected_total{reason="max_connections"}`: 1,
		`mlproxy_connections_rejected_total{reason="descriptors"}`:     0,
	})
}

func TestBuiltReplacesWhatWasSaid(t *testing.T) {
	r := New()
	r.Built("1.2.3", "abc")
	n := 0
	for name := range scrape(t, r) {
		if contains(name, "mlproxy_build_info") {
			n++
			if !contains(name, `revision="abc"`) || !contains(name, `version="1.2.3"`) || !contains(name, `goversion="go`) {
				t.Errorf("%s does not say what was built", name)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d builds at once, want 1", n)
	}
}

// Prometheus with native histograms switched on reads buckets a tenth apart, and never more than the bound.
func TestHistogramsAreNativeToo(t *testing.T) {
	r := New()
	m := r.Meter("iris", "stable")
	for d := time.Microsecond; d < 10*time.Minute; d += d/20 + 1 {
		m.Begin()
		m.Observe(&Observation{Status: 200, Duration: d, Overhead: d, Upstream: d, FirstByte: d, Sent: true, Answered: true})
	}
	families, err := r.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			h := metric.GetHistogram()
			if h == nil || !contains(f.GetName(), namespace) || contains(f.GetName(), "shadow") {
				continue
			}
			n++
			if len(h.GetBucket()) < 15 || len(h.GetPositiveDelta()) == 0 || len(h.GetPositiveDelta()) > 200 {
				t.Errorf("%s: %d classic and %d native buckets", f.GetName(), len(h.GetBucket()), len(h.GetPositiveDelta()))
			}
		}
	}
	if n != 4 {
		t.Errorf("%d histograms, want 4", n)
	}
}
