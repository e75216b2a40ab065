package health

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// Restrict has permits asked before each connection to the endpoint, for live traffic as for probes, with the address that it is about to be made
// to. nil = it may be anywhere. Connections that there are stay.
func (s *State) Restrict(permits func(netip.AddrPort) error) {
	if permits == nil {
		s.permits.Store(nil)
		return
	}
	s.permits.Store(&permits)
}

// Control is what a [net.Dialer] that connects to the endpoint asks. address has been resolved.
func (s *State) Control(_, address string, _ syscall.RawConn) error {
	permits := s.permits.Load()
	if permits == nil {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address: %w", address, err)
	}
	return (*permits)(to)
}

// probeOf is the key of the State that a probe is for, in the probe's context.
type probeOf struct{}

// dial connects as the endpoint may be connected to.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	if s, ok := ctx.Value(probeOf{}).(*State); ok {
		d.Control = s.Control
	}
	return d.DialContext(ctx, network, address)
}
