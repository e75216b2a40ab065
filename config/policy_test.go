package config

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func policyOf(t *testing.T, rules string) EndpointPolicy {
	t.Helper()
	var p EndpointPolicy
	for text := range strings.FieldsSeq(rules) {
		rule, wrong := endpointRule(text)
		if !wrong.none() {
			t.Fatalf("%s %s", text, wrong.what)
		}
		p.rules = append(p.rules, rule)
	}
	return p
}

func TestEndpointPolicy(t *testing.T) {
	f := func(rules, url string, want bool) {
		t.Helper()
		err := policyOf(t, rules).Check(url)
		if (err == nil) != want || err != nil && !errors.Is(err, ErrNotAllowed) {
			t.Errorf("[%s] %s: allowed %v, want %v (%v)", rules, url, err == nil, want, err)
		}
	}
	f("", "http://10.1.2.3:80", true)
	f("", "http://127.0.0.1:9001", true)
	f("", "http://models.internal:80", true)
	f("", "http://[2001:db8::1]:80", true)
	for _, special := range []string{
		"169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255",
		"[::]", "[fe80::1]", "[febf::1]", "[fe80::1%25eth0]", "[fd00:ec2::254]", "[ff02::1]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]",
		"[::169.254.169.254]", "[64:ff9b::169.254.169.254]", "[2002:a9fe:a9fe::1]", "[::ffff:0.0.0.0]",
	} {
		f("", "http://"+special+":80", false)
		f("0.0.0.0/0 ::/0 *.internal", "http://"+special+":80", false)
	}
	f("169.254.10.0/24", "http://169.254.10.1:80", true)
	f("169.254.10.0/24", "http://169.254.169.254:80", false)
	f("169.254.10.0/24", "http://10.0.0.1:80", false)
	f("fe80::/10", "http://[fe80::1]:80", true)
	f("10.0.0.0/8", "http://10.1.2.3:80", true)
	f("10.0.0.0/8", "http://[::ffff:10.1.2.3]:80", true)
	f("10.0.0.0/8", "http://127.0.0.1:80", false)
	f("10.0.0.0/8", "http://models.internal:80", true) // its address decides
	f("*.internal", "http://models.internal:80", true)
	f("*.internal", "http://Models.Internal.:80", true)
	f("*.internal", "http://internal:80", false)
	f("*.internal", "http://evil-internal:80", false)
	f("*.internal", "http://models.internal.evil.example:80", false)
	f("*.internal", "http://10.1.2.3:80", false)
	f("models.internal", "http://a.models.internal:80", false)
	if err := policyOf(t, "").Check("10.1.2.3:80"); err == nil {
		t.Error("what is no URL is allowed")
	}
}

// What a name stands for is judged when it is connected to: it may be another address than yesterday's.
func TestEndpointPolicyOfAddresses(t *testing.T) {
	f := func(rules, url, address string, want bool) {
		t.Helper()
		err := policyOf(t, rules).Permit(url)(netip.AddrPortFrom(netip.MustParseAddr(address), 80))
		if (err == nil) != want {
			t.Errorf("[%s] %s at %s: permitted %v, want %v (%v)", rules, url, address, err == nil, want, err)
		}
	}
	f("", "http://models.internal:80", "10.1.2.3", true)
	f("", "http://models.internal:80", "169.254.169.254", false)
	f("", "http://models.internal:80", "::ffff:169.254.169.254", false)
	f("*.internal", "http://models.internal:80", "10.1.2.3", true)
	f("*.internal", "http://models.internal:80", "169.254.169.254", false)
	f("*.internal 10.0.0.0/8", "http://models.internal:80", "192.0.2.1", true)
	f("*.internal 10.0.0.0/8", "http://models.example:80", "10.1.2.3", true)
	f("*.internal 10.0.0.0/8", "http://models.example:80", "192.0.2.1", false)
	f("10.0.0.0/8", "http://2852039166:80", "169.254.169.254", false)
	f("10.0.0.0/8", "http://2130706433:80", "127.0.0.1", false)
}

// Nobody gets to the admin listener through a data listener, nor in a circle, whatever is allowed.
func TestEndpointPolicyOfOurselves(t *testing.T) {
	f := func(admin, data, url, address string, want bool) {
		t.Helper()
		p := policyOf(t, "0.0.0.0/0 ::/0")
		p.ours = []string{admin, data}
		at := netip.MustParseAddrPort(address)
		if err := p.Permit(url)(at); (err == nil) != want {
			t.Errorf("admin %s, data %s: %s at %s: %v", admin, data, url, address, err)
		}
		if err := p.Check("http://" + address); (err == nil) != want {
			t.Errorf("admin %s, data %s: %s: %v", admin, data, address, err)
		}
	}
	const loopback, everywhere = "127.0.0.1:9901", "0.0.0.0:8080"
	f(loopback, everywhere, "http://a:9901", "127.0.0.1:9901", false)
	f(loopback, everywhere, "http://a:9901", "[::ffff:127.0.0.1]:9901", false)
	f(loopback, everywhere, "http://a:9901", "10.1.2.3:9901", true) // another machine's
	f(loopback, everywhere, "http://a:9001", "127.0.0.1:9001", true)
	f(loopback, everywhere, "http://a:8080", "127.0.0.1:8080", false)
	f(loopback, everywhere, "http://a:8080", "[::1]:8080", false)
	f(loopback, everywhere, "http://a:8080", "192.0.2.1:8080", true)
	f("[::1]:9901", ":8080", "http://a:9901", "[::1]:9901", false)
	f("[::1]:9901", ":8080", "http://a:8080", "127.1.2.3:8080", false)
	f("localhost:9901", "", "http://a:9901", "127.0.0.1:9901", false)
	f("localhost:80", "", "http://a", "127.0.0.1:80", false)
	f("LOCALHOST:09901", "", "http://a:9901", "127.0.0.1:9901", false)
	f("127.0.0.1:9901", "127.0.0.1:0", "http://a:9001", "127.0.0.1:9001", true)
}
