package proxy

import (
	"net/netip"
	"time"

	"mlproxy/config"
	"mlproxy/upstream"
)

// settings is what the data path needs of a config besides its table.
type settings struct {
	head           upstream.Limits
	maxConnections int
	maxBody        int64
	maxRoutingBody int
	readHeader     time.Duration
	idle           time.Duration
	trusted        []netip.Prefix
}

func newSettings(c *config.Config) *settings {
	return &settings{
		head:           upstream.Limits{Bytes: c.Limits.MaxHeader, Fields: c.Limits.MaxHeaderCount},
		maxConnections: c.Limits.MaxConnections,
		maxBody:        c.Limits.MaxBody,
		maxRoutingBody: c.Limits.MaxRoutingBody,
		readHeader:     c.Limits.ReadHeaderTimeout,
		idle:           c.Limits.IdleTimeout,
		trusted:        c.TrustedProxies,
	}
}

// trusts says that what a client at addr says of others is believed.
func (s *settings) trusts(addr netip.Addr) bool {
	for _, p := range s.trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
