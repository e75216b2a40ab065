package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// EndpointRule is one line of allow_endpoints: a network, or a pattern of host names.
type EndpointRule struct {
	Network netip.Prefix // the zero Prefix when it is a pattern
	Host    string       // lower case; a leading "*." stands for one or more labels
}

// EndpointPolicy says where endpoints may be that somebody else than the config file names, as Consul does. Whoever can register a service
// there must not have mlproxy send requests, and show the answers, to places that only its own machine reaches.
//
// A name is judged twice: as it is learned, and by the address it stands for whenever a connection is made, since a name may stand for another
// address at any time.
type EndpointPolicy struct {
	rules []EndpointRule
	ours  []string // where mlproxy itself listens
}

// EndpointPolicy is what the config says of the endpoints that it does not name itself.
func (c *Config) EndpointPolicy() EndpointPolicy {
	return EndpointPolicy{rules: c.AllowEndpoints, ours: append([]string{c.Admin.Listen}, c.Listen...)}
}

// ErrNotAllowed is what endpoints are refused with that the policy does not allow.
var ErrNotAllowed = errors.New("not allowed by allow_endpoints")

// errOurs refuses an endpoint by which clients of the data listeners would get to the admin listener, or in a circle.
func errOurs(to netip.AddrPort) error {
	return fmt.Errorf("mlproxy itself listens at %v; name the address of a model server", to)
}

// Check judges a URL, http://host:port, before it becomes an endpoint. A name that no pattern has may still become one if networks are
// allowed: its address decides.
func (p EndpointPolicy) Check(rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return fmt.Errorf("%q is no endpoint; write http://host:port", rawURL)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return p.checkAddr(u.Hostname(), netip.AddrPortFrom(a, portOf(u)))
	}
	if len(p.rules) == 0 || p.names(u.Hostname()) {
		return nil
	}
	for _, r := range p.rules {
		if r.Network.IsValid() {
			return nil
		}
	}
	return fmt.Errorf("the host %q is %w; add a pattern that it is of to allow_endpoints in config.yaml, if it should be", u.Hostname(), ErrNotAllowed)
}

// Permit judges the addresses that connections to the endpoint of that URL are about to be made to.
func (p EndpointPolicy) Permit(rawURL string) func(netip.AddrPort) error {
	host := ""
	if u, err := url.Parse(rawURL); err == nil {
		host = u.Hostname()
	}
	return func(to netip.AddrPort) error { return p.checkAddr(host, to) }
}

// portOf is the port of an endpoint's URL, or its scheme's.
func portOf(u *url.URL) uint16 {
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case err == nil:
		return uint16(n)
	case u.Scheme == "https":
		return 443
	}
	return 80
}

func (p EndpointPolicy) checkAddr(host string, to netip.AddrPort) error {
	a := embedded(to.Addr())
	if p.isOurs(a, to.Port()) {
		return errOurs(to)
	}
	special, is := specialNetwork(a)
	allowed := len(p.rules) == 0 || p.names(host)
	for _, r := range p.rules {
		allowed = allowed || r.covers(a)
	}
	switch {
	case is && !p.means(special, a):
		return fmt.Errorf("the address %v is in %v, which is for this machine and its cloud alone, and %w; "+
			"add a network inside of that to allow_endpoints in config.yaml, if it should be", a, special, ErrNotAllowed)
	case !is && !allowed:
		return fmt.Errorf("the address %v is %w; add its network to allow_endpoints in config.yaml, if it should be", a, ErrNotAllowed)
	}
	return nil
}

// isOurs says whether mlproxy listens at the address, or at all addresses of this machine of which it is one.
func (p EndpointPolicy) isOurs(a netip.Addr, port uint16) bool {
	for _, listen := range p.ours {
		host, text, _ := net.SplitHostPort(listen)
		if own, err := strconv.ParseUint(text, 10, 16); err != nil || uint16(own) != port {
			continue
		}
		own, err := netip.ParseAddr(host)
		everywhere := err != nil || own.IsUnspecified() // a name stands for an address of this machine, whichever
		if own.Unmap() == a || a.IsUnspecified() || everywhere && ofThisMachine(a) {
			return true
		}
	}
	return false
}

// ofThisMachine says whether an address is one of this machine's. When its addresses are not to be had, only those that always are.
func ofThisMachine(a netip.Addr) bool {
	all, _ := net.InterfaceAddrs()
	return a.IsLoopback() || slices.ContainsFunc(all, func(one net.Addr) bool {
		network, err := netip.ParsePrefix(one.String())
		return err == nil && network.Addr().Unmap() == a
	})
}

// names says whether a pattern has the host.
func (p EndpointPolicy) names(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, r := range p.rules {
		suffix, wild := strings.CutPrefix(r.Host, "*")
		if r.Host != "" && (host == r.Host || wild && len(host) > len(suffix) && strings.HasSuffix(host, suffix)) {
			return true
		}
	}
	return false
}

// means says whether a rule speaks of addresses inside of special itself: a network so wide that it happens to have them does not.
func (p EndpointPolicy) means(special netip.Prefix, a netip.Addr) bool {
	for _, r := range p.rules {
		if r.covers(a) && r.Network.Bits() >= special.Bits() {
			return true
		}
	}
	return false
}

func (r *EndpointRule) covers(a netip.Addr) bool { return r.Network.IsValid() && r.Network.Contains(a) }

// specialNetworks are those that no endpoint is in unless the operator says so.
var specialNetworks = prefixes(
	"0.0.0.0/8",          // this machine
	"169.254.0.0/16",     // link-local: metadata of AWS, Azure, Google, Oracle and others
	"100.100.100.200/32", // metadata of Alibaba
	"168.63.129.16/32",   // metadata of Azure
	"192.0.0.192/32",     // metadata of Oracle
	"224.0.0.0/4",        // multicast
	"240.0.0.0/4",        // reserved, and broadcast
	"::/128",             // this machine
	"fe80::/10",          // link-local
	"fd00:ec2::254/128",  // metadata of AWS
	"fd20:ce::254/128",   // metadata of Google
	"ff00::/8",           // multicast
)

func prefixes(all ...string) (list []netip.Prefix) {
	for _, p := range all {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

func specialNetwork(a netip.Addr) (netip.Prefix, bool) {
	for _, p := range specialNetworks {
		if p.Contains(a) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

var translated, tunnelled = netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2002::/16")

// embedded is the address that packets to a arrive at: an IPv4 address may be written as one of IPv6 (mapped, RFC 4291; compatible, the same;
// translated, RFC 6052; of 6to4, RFC 3056). It has no zone, which would be in no network.
func embedded(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	raw := a.As16()
	switch {
	case a.Is4():
	case translated.Contains(a), [12]byte(raw[:12]) == [12]byte{} && raw[12] != 0:
		return netip.AddrFrom4([4]byte(raw[12:]))
	case tunnelled.Contains(a):
		return netip.AddrFrom4([4]byte(raw[2:6]))
	}
	return a
}

// endpointRule reads a network, an address or a pattern of host names.
func endpointRule(s string) (EndpointRule, problem) {
	if network, p := prefix(s); p.none() {
		return EndpointRule{Network: network}, problem{}
	} else if strings.ContainsAny(s, "/:") {
		return EndpointRule{}, p
	}
	_, p := wildHost(s)
	return EndpointRule{Host: s}, p
}

func endpointRuleText(r EndpointRule) string {
	if r.Network.IsValid() {
		return prefixText(r.Network)
	}
	return r.Host
}
