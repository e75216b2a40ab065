package monitor

import (
	"testing"
	"time"
)

func TestCertificates(t *testing.T) {
	r := New()
	ends, sound := `mlproxy_certificate_expiry_timestamp_seconds{use="tls"}`, `mlproxy_certificate_reload_successful{use="tls"}`
	f := func(now []Certificate, wantEnds, wantSound float64) {
		t.Helper()
		r.WatchCertificates(func() []Certificate { return now })
		has(t, r, map[string]float64{ends: wantEnds, sound: wantSound})
	}
	has(t, r, map[string]float64{ends: gone, sound: gone})
	f([]Certificate{{Use: "tls", Expires: time.Unix(1900000000, 0), Sound: true}}, 1900000000, 1)
	f([]Certificate{{Use: "tls", Sound: false}}, gone, 0)
	f(nil, gone, gone)
}
