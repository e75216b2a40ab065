package proxy

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"time"

	"mlproxy/config"
)

// Above limits.max_in_flight a request is refused at once, the connection stays, and the place is free again afterwards.
func TestMaxInFlight(t *testing.T) {
	model := listen(t)
	arrived, answer := make(chan struct{}, 8), make(chan struct{}, 8)
	go http.Serve(model, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { //nolint:errcheck // ends with its listener
		arrived <- struct{}{}
		<-answer
	}))
	front := listen(t)
	cfg := plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}})
	cfg.Limits.MaxInFlight = 1
	startProxy(t, cfg, front)

	first, second := dial(t, front), dial(t, front)
	send(t, first)
	<-arrived
	send(t, second)
	if r := receive(t, second); r.StatusCode != 503 || r.Header.Get("X-MLProxy-Error") != "overloaded" || r.Header.Get("Retry-After") == "" {
		t.Errorf("while one runs: %d %v", r.StatusCode, r.Header)
	}
	answer <- struct{}{}
	if r := receive(t, first); r.StatusCode != 200 {
		t.Errorf("the one that ran: %d", r.StatusCode)
	}
	answer <- struct{}{}
	send(t, second)
	if r := receive(t, second); r.StatusCode != 200 {
		t.Errorf("after it: %d", r.StatusCode)
	}
}

func dial(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", ln.Addr().String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func send(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := c.Write([]byte("GET /v2/models/iris/x HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, c net.Conn) *http.Response {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	return r
}

// Who has an answer finds the place of its exchange free, also by another connection.
func TestPlacesAreFreeWithTheAnswer(t *testing.T) {
	f := func(what string, bound func(*config.Config)) {
		t.Helper()
		model, front := listen(t), listen(t)
		go http.Serve(model, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) //nolint:errcheck // ends with its listener
		cfg := plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}})
		bound(cfg)
		startProxy(t, cfg, front)
		clients := [2]net.Conn{dial(t, front), dial(t, front)}
		for i := range 1000 {
			c := clients[i%2]
			send(t, c)
			if r := receive(t, c); r.StatusCode != http.StatusOK {
				t.Errorf("%s: request %d is answered %d, %s", what, i, r.StatusCode, r.Header.Get("X-MLProxy-Error"))
				return
			}
		}
	}
	f("max_connections", func(c *config.Config) { c.Pools["stable"].MaxConnections = 1 })
	f("max_in_flight of the pool", func(c *config.Config) { c.Pools["stable"].MaxInFlight = 1 })
	f("limits.max_in_flight", func(c *config.Config) { c.Limits.MaxInFlight = 1 })
}
