package proxy

import (
	"net"
	"testing"

	"mlproxy/monitor"
	"mlproxy/router"
)

// A stop may come before a listener is served: it must not be served then.
func TestServeAfterShutdown(t *testing.T) {
	registry := monitor.New()
	s := New(Options{Router: &router.Router{}, Registry: registry, Watch: router.NewEstate(registry).Endpoints.Watch()})
	if err := s.Shutdown(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	front := listen(t)
	if err := s.Serve(front); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", front.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("the listener is open still")
	}
}
