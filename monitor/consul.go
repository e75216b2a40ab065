package monitor

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ConsulHealth is how what Consul says is doing.
type ConsulHealth struct {
	// Contact is when Consul last answered, on the oldest of all questions.
	Contact time.Time
	// Valid says of each key, by its full name, whether what it says is in force.
	Valid map[string]bool
}

// WatchConsul has every scrape ask how Consul is doing. Without it there are no such series.
func (r *Registry) WatchConsul(ask func() ConsulHealth) { r.consul.ask.Store(&ask) }

// consul collects what Consul's health is at a scrape.
type consul struct {
	ask            atomic.Pointer[func() ConsulHealth]
	contact, valid *prometheus.Desc
}

func newConsul() *consul {
	return &consul{
		contact: prometheus.NewDesc(namespace+"_consul_last_contact_seconds",
			"Time since Consul last answered; while it grows, what it said last is in force.", nil, nil),
		valid: prometheus.NewDesc(namespace+"_consul_key_valid",
			"1 when what the key says is in force, 0 when it is wrong and what it said before stays.", []string{"key"}, nil),
	}
}

// Describe is for Prometheus.
func (c *consul) Describe(to chan<- *prometheus.Desc) {
	to <- c.contact
	to <- c.valid
}

// Collect is for Prometheus.
func (c *consul) Collect(to chan<- prometheus.Metric) {
	ask := c.ask.Load()
	if ask == nil {
		return
	}
	health := (*ask)()
	if !health.Contact.IsZero() {
		to <- prometheus.MustNewConstMetric(c.contact, prometheus.GaugeValue, time.Since(health.Contact).Seconds())
	}
	for key, valid := range health.Valid {
		to <- prometheus.MustNewConstMetric(c.valid, prometheus.GaugeValue, number(valid), key)
	}
}
