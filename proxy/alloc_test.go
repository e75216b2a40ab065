package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"sync"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/shadow"
)

// rig is a proxy in this process between a client and a model server that allocate nothing themselves.
type rig struct {
	client net.Conn
	buf    []byte
}

const (
	plainRequest = "POST /v2/models/iris/infer HTTP/1.1\r\nHost: models.example\r\nUser-Agent: test\r\nAccept: */*\r\n" +
		"Content-Type: application/json\r\nX-User-ID: u-17\r\nContent-Length: 256\r\n\r\n"
	plainAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: test\r\nContent-Length: 256\r\n\r\n"
)

func newRig(t testing.TB, route *config.Route, change ...func(*Options)) *rig {
	t.Helper()
	model := listen(t)
	go serveCanned(model, append([]byte(plainAnswer), bytes.Repeat([]byte("y"), 256)...))
	front := listen(t)
	startProxy(t, plainConfig(model.Addr().String(), route), front, change...)
	client, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &rig{client: client, buf: make([]byte, 4096)}
}

// plainConfig is a config whose pools all have the model server at address, and whose one route is route.
func plainConfig(address string, route *config.Route) *config.Config {
	pool := func(name string) *config.Pool {
		return &config.Pool{
			Name: name, Endpoints: []config.Endpoint{{URL: "http://" + address, Weight: 1}},
			Balance: "least_request", ConnectTimeout: time.Second, MaxConnections: 64, OnClientGone: "cancel",
		}
	}
	route.Name, route.Timeout, route.BodyIdleTimeout = "iris", 30*time.Second, 30*time.Second
	route.Match.Path = "/v2/models/iris/"
	return &config.Config{
		Limits: config.Limits{
			MaxConnections: 100, MaxHeader: 16 << 10, MaxHeaderCount: 100, MaxBody: 1 << 20, MaxRoutingBody: 1 << 20,
			ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		},
		Pools:  map[string]*config.Pool{"stable": pool("stable"), "canary": pool("canary"), "next": pool("next")},
		Routes: map[string]*config.Route{"iris": route},
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func startProxy(t testing.TB, cfg *config.Config, front net.Listener, change ...func(*Options)) *router.Estate {
	t.Helper()
	registry := monitor.New()
	estate := router.NewEstate(registry)
	table, err := router.Compile(cfg, estate)
	if err != nil {
		t.Fatal(err)
	}
	var tables router.Router
	tables.Swap(table)
	mirror := shadow.New()
	o := Options{Router: &tables, Registry: registry, Mirror: mirror, Watch: estate.Endpoints.Watch()}
	for _, f := range change {
		f(&o)
	}
	s := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { estate.Endpoints.Run(ctx) })
	running.Go(func() { _ = s.Serve(front) })
	t.Cleanup(func() {
		within, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		if err := s.Shutdown(within, 0); err != nil {
			t.Error("shutdown:", err)
		}
		_ = mirror.Close(within)
		cancel()
		running.Wait()
	})
	return estate
}

// serveCanned answers every request of plainRequest's shape with answer.
func serveCanned(ln net.Listener, answer []byte) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 4096)
			for n := 0; ; {
				m, err := c.Read(buf[n:])
				if err != nil {
					return
				}
				n += m
				if end := bytes.Index(buf[:n], []byte("\r\n\r\n")); end < 0 || n < end+4+256 {
					continue
				}
				n = 0
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}

var request256 = append([]byte(plainRequest), bytes.Repeat([]byte("x"), 256)...)

// exchange makes one request and reads its answer.
func (r *rig) exchange(t testing.TB) {
	if _, err := r.client.Write(request256); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; {
		m, err := r.client.Read(r.buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
		if end := bytes.Index(r.buf[:n], []byte("\r\n\r\n")); end >= 0 && n >= end+4+256 {
			return
		}
	}
}

// A buffered exchange allocates nothing, metrics included, over real sockets: neither without a key nor with one.
func TestAllocsPerExchange(t *testing.T) {
	f := func(name string, route *config.Route) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, route)
			for range 100 {
				r.exchange(t) // pools and histograms fill up
			}
			if n := testing.AllocsPerRun(2000, func() { r.exchange(t) }); n > 0 && !raceDetector {
				t.Errorf("%v allocations per exchange, want 0", n)
			}
		})
	}
	split := config.Weights{"stable": 90, "canary": 10}
	f("rotation", &config.Route{Split: split})
	f("sticky", &config.Route{Split: split, Sticky: []config.KeySource{{Kind: "header", Name: "x-user-id"}, {Kind: "client_ip"}}})
	key := sha256.Sum256([]byte("u-17"))
	keys := &config.APIKeys{Header: "x-user-id", Keys: map[string]config.Key{"team-a": {SHA256: []string{hex.EncodeToString(key[:])}}}}
	limit := func(by string) *config.RateLimit {
		return &config.RateLimit{RequestsPerSecond: 1e6, Burst: 1e6, By: by}
	}
	f("api_keys", &config.Route{Split: split, APIKeys: keys, RateLimit: limit("key")})
	f("limit_by_client_ip", &config.Route{Split: split, RateLimit: limit("client_ip")})
	f("limit_by_route", &config.Route{Split: split, RateLimit: limit("route")})
	f("blue_green", &config.Route{BlueGreen: &config.BlueGreen{Blue: "stable", Green: "canary", Active: "blue"}})
}

// What does one exchange cost, with client and model server in the same process?
func BenchmarkExchange(b *testing.B) {
	r := newRig(b, &config.Route{Split: config.Weights{"stable": 90, "canary": 10}})
	b.ReportAllocs()
	for b.Loop() {
		r.exchange(b)
	}
}

// An event of a stream allocates nothing on its way.
func TestAllocsPerEvent(t *testing.T) {
	model, front := listen(t), listen(t)
	startProxy(t, plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}}), front)
	client := dial(t, front)
	send(t, client)
	server, err := model.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	buf := make([]byte, 4096)
	// carry has the model server say something, and waits until the end of it has reached the client.
	carry := func(says, end []byte) {
		if _, err := server.Write(says); err != nil {
			t.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(buf[:n], end); {
			m, err := client.Read(buf[n:])
			if err != nil {
				t.Fatalf("%v, after %q", err, buf[:n])
			}
			n += m
		}
	}
	if _, err := server.Read(buf); err != nil {
		t.Fatal(err)
	}
	carry([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"), []byte("\r\n\r\n"))
	chunk := []byte("9\r\ndata: x\n\n\r\n")
	event := func() { carry(chunk, chunk) }
	for range 100 {
		event()
	}
	if n := testing.AllocsPerRun(2000, event); n > 0 && !raceDetector {
		t.Errorf("%v allocations per event, want 0", n)
	}
	last := []byte("0\r\n\r\n")
	carry(last, last)
}
