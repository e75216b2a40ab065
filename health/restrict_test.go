package health

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// Probes go nowhere else than live traffic may.
func TestProbesAreRestricted(t *testing.T) {
	asked := 0
	url := modelServer(t, func(http.ResponseWriter, *http.Request) { asked++ })
	s := NewState(Name{"live", "iris", url}, nil)
	s.Configure(Breaker{}, &Check{Path: "/"})
	ask := func() string {
		s.ask(context.Background(), newClient())
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.why
	}
	s.Restrict(func(to netip.AddrPort) error { return errors.New(to.Addr().String() + " is forbidden") })
	if why := ask(); asked != 0 || !strings.Contains(why, "127.0.0.1 is forbidden") {
		t.Errorf("asked %d times; %s", asked, why)
	}
	s.Restrict(nil)
	if why := ask(); asked == 0 {
		t.Errorf("not asked: %s", why)
	}
}
