package monitor

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Certificate is how the files of one TLS section of the config are doing.
type Certificate struct {
	// Use is where the config names them.
	Use string
	// Expires is when the certificate shown ends; zero when none is.
	Expires time.Time
	// Sound: what the files hold is in force.
	Sound bool
}

// WatchCertificates has every scrape ask how the certificates are doing.
func (r *Registry) WatchCertificates(ask func() []Certificate) { r.papers.ask.Store(&ask) }

// papers collects what the certificates are at a scrape.
type papers struct {
	ask            atomic.Pointer[func() []Certificate]
	expires, sound *prometheus.Desc
}

func newPapers() *papers {
	return &papers{
		expires: prometheus.NewDesc(namespace+"_certificate_expiry_timestamp_seconds",
			"When the certificate in force ends.", []string{"use"}, nil),
		sound: prometheus.NewDesc(namespace+"_certificate_reload_successful",
			"1 when what the certificate files hold is in force, 0 when it could not be used and older content is.", []string{"use"}, nil),
	}
}

// Describe is for Prometheus.
func (p *papers) Describe(to chan<- *prometheus.Desc) {
	to <- p.expires
	to <- p.sound
}

// Collect is for Prometheus.
func (p *papers) Collect(to chan<- prometheus.Metric) {
	ask := p.ask.Load()
	if ask == nil {
		return
	}
	for _, c := range (*ask)() {
		to <- prometheus.MustNewConstMetric(p.sound, prometheus.GaugeValue, number(c.Sound), c.Use)
		if !c.Expires.IsZero() {
			to <- prometheus.MustNewConstMetric(p.expires, prometheus.GaugeValue, float64(c.Expires.Unix()), c.Use)
		}
	}
}
