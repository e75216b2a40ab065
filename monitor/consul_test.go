package monitor

import (
	"testing"
	"time"
)

func TestConsulIsAskedForAtEveryScrape(t *testing.T) {
	r := New()
	const good, bad = `mlproxy_consul_key_valid{key="mlproxy/config"}`, `mlproxy_consul_key_valid{key="mlproxy/routes/iris/split"}`
	has(t, r, map[string]float64{good: gone, bad: gone, "mlproxy_consul_last_contact_seconds": gone})
	now := ConsulHealth{Contact: time.Now().Add(-time.Hour), Valid: map[string]bool{"mlproxy/config": true, "mlproxy/routes/iris/split": false}}
	r.WatchConsul(func() ConsulHealth { return now })
	has(t, r, map[string]float64{good: 1, bad: 0})
	if age := scrape(t, r)["mlproxy_consul_last_contact_seconds"]; age < 3600 || age > 3700 {
		t.Errorf("the contact is %g s old", age)
	}
	now.Valid = nil
	has(t, r, map[string]float64{good: gone, bad: gone})
}
