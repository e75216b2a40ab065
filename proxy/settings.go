package proxy

import (
	"net/netip"
	"time"

	"mlproxy/router"
	"mlproxy/upstream"
)

// settings is what the data path needs of a table's config besides its routes.
type settings struct {
	table          *router.Table
	head           upstream.Limits
	maxConnections int
	maxPerIP       int
	maxInFlight    int64
	maxBody        int64
	maxRoutingBody int
	readHeader     time.Duration
	idle           time.Duration
	drain          time.Duration
	trusted        []netip.Prefix
}

// inForce are the settings of the table in force. An exchange keeps those it began with.
func (s *Server) inForce() *settings {
	table := s.opt.Router.Table()
	if known := s.known.Load(); known != nil && known.table == table {
		return known
	}
	c := table.Config()
	fresh := &settings{
		table:          table,
		head:           upstream.Limits{Bytes: c.Limits.MaxHeader, Fields: c.Limits.MaxHeaderCount},
		maxConnections: c.Limits.MaxConnections,
		maxPerIP:       c.Limits.MaxConnectionsPerIP,
		maxInFlight:    int64(c.Limits.MaxInFlight),
		maxBody:        c.Limits.MaxBody,
		maxRoutingBody: c.Limits.MaxRoutingBody,
		readHeader:     c.Limits.ReadHeaderTimeout,
		idle:           c.Limits.IdleTimeout,
		drain:          c.Shutdown.Drain,
		trusted:        c.TrustedProxies,
	}
	s.known.Store(fresh)
	return fresh
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
