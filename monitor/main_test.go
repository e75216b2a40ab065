package monitor

import (
	"bytes"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scrape is what a scrape reads: every sample of mlproxy's by its name and labels as the text format writes them.
func scrape(t testing.TB, r *Registry) map[string]float64 {
	t.Helper()
	samples := map[string]float64{}
	for line := range strings.Lines(exposition(t, r)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if ok {
			name += "}"
		} else {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		if !strings.HasPrefix(name, namespace) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q has no value: %v", line, err)
		}
		samples[name] = v
	}
	return samples
}

func exposition(t testing.TB, r *Registry) string {
	t.Helper()
	var body bytes.Buffer
	answer := httptest.NewRecorder()
	answer.Body = &body
	promhttp.HandlerFor(r.Gatherer(), promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("scrape: %d %s", answer.Code, body.String())
	}
	return body.String()
}

// has fails unless each sample of want is there with its value; a value of gone means that it must not be there.
func has(t testing.TB, r *Registry, want map[string]float64) {
	t.Helper()
	got := scrape(t, r)
	for name, value := range want {
		if v, there := got[name]; value == gone && there {
			t.Errorf("%s is still there, %v", name, v)
		} else if value != gone && (!there || v != value) {
			t.Errorf("%s is %v (there: %v), want %v", name, v, there, value)
		}
	}
}

const gone = -1

// exercise makes every series that can exist for one route.
func exercise(r *Registry) {
	m, s := r.Meter("iris", "stable"), r.Shadow("iris", "next")
	m.Begin()
	m.Observe(finished())
	m.TunnelOpened()
	m.TunnelEnded(TunnelIdle)
	s.Sent(200, 1)
	r.Ledger("iris", "stable")
	r.Model("iris", "stable").Learn(told())
	NewInspector(r)
	r.SetSplit("iris", map[string]float64{"stable": 1})
	r.SetActive("search", "blue", []string{"blue", "green"})
	r.SetPending(map[string]bool{"search": false})
	r.Failover("iris", "canary", "stable").Count()
	r.Transition("stable", "http://127.0.0.1:9001", "breaker", "open")
	r.WatchHealth(func() []PoolHealth {
		return []PoolHealth{{Pool: "stable", Endpoints: []EndpointHealth{{URL: "http://127.0.0.1:9001"}}}}
	})
	r.WatchCertificates(func() []Certificate {
		return []Certificate{{Use: "tls", Expires: time.Unix(1900000000, 0), Sound: true}}
	})
	r.WatchConsul(func() ConsulHealth {
		return ConsulHealth{Contact: time.Now(), Valid: map[string]bool{"mlproxy/routes/iris/split": true}}
	})
}
