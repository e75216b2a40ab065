package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
	"mlproxy/router"
)

func TestDispensable(t *testing.T) {
	type waiting struct {
		since int64
		used  bool
	}
	f := func(want string, of ...waiting) {
		t.Helper()
		var idle []*conn
		for _, w := range of {
			c := &conn{}
			c.waiting.Store(w.since)
			c.used.Store(w.used)
			idle = append(idle, c)
		}
		slices.SortFunc(idle, moreDispensable)
		var got []int64
		for _, c := range idle {
			got = append(got, c.waiting.Load())
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%v: they go as %v, want %s", of, got, want)
		}
	}
	f("[]")
	f("[7]", waiting{7, true})
	f("[3 5]", waiting{5, false}, waiting{3, false})
	f("[2 9 1 3]", waiting{1, true}, waiting{9, false}, waiting{2, false}, waiting{3, true})
	f("[9 1 3]", waiting{3, true}, waiting{9, false}, waiting{1, true})
}

// At limits.max_connections each new client takes the place of one connection that only waits; who is at work keeps its own.
func TestIdleConnectionsGiveWay(t *testing.T) {
	const idles, crowd = 20, 12
	model, front := listen(t), listen(t)
	arrived, answer := make(chan struct{}, 8), make(chan struct{})
	go http.Serve(model, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { //nolint:errcheck // ends with its listener
		if r.URL.RawQuery == "slow" {
			arrived <- struct{}{}
			<-answer
		}
	}))
	cfg := plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}})
	cfg.Limits.MaxConnections = 1 + idles
	var registry *monitor.Registry
	startProxy(t, cfg, front, func(o *Options) { registry = o.Registry })
	busy := dial(t, front)
	if _, err := busy.Write([]byte("GET /v2/models/iris/x?slow HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	<-arrived
	idle := make([]net.Conn, idles)
	for i := range idle {
		idle[i] = dial(t, front)
		send(t, idle[i])
		_ = receive(t, idle[i])
	}

	evicted := func() float64 { return counted(t, registry, "mlproxy_connections_evicted_total") }
	for deadline := time.Now().Add(10 * time.Second); ; { // at first none of the idle ones has waited for long
		c := dial(t, front)
		send(t, c)
		r := receive(t, c)
		_ = c.Close()
		if r.StatusCode == 200 {
			break
		}
		if r.Header.Get("X-MLProxy-Error") != "overloaded" || r.Header.Get("Retry-After") == "" || !r.Close || time.Now().After(deadline) {
			t.Fatalf("a client too many is told %d %v", r.StatusCode, r.Header)
		}
	}
	if n := evicted(); n < 1 || n > 4 {
		t.Errorf("%v connections are closed for one client", n)
	}
	others := make([]net.Conn, crowd)
	for i := range others {
		others[i] = dial(t, front)
		send(t, others[i])
	}
	for i, c := range others {
		if r := receive(t, c); r.StatusCode != 200 {
			t.Errorf("client %d of a crowd is told %d", i, r.StatusCode)
		}
	}
	answer <- struct{}{}
	if r := receive(t, busy); r.StatusCode != 200 {
		t.Errorf("the one that was at work: %d", r.StatusCode)
	}
}

// Those that were found for an earlier crowd may have gone since: then it is looked who is there now.
func TestEvictionLooksAgain(t *testing.T) {
	cfg := plainConfig("127.0.0.1:1", &config.Route{Split: config.Weights{"stable": 1}})
	registry := monitor.New()
	estate := router.NewEstate(registry)
	table, err := router.Compile(cfg, estate)
	if err != nil {
		t.Fatal(err)
	}
	var tables router.Router
	tables.Swap(table)
	watch := estate.Endpoints.Watch()
	s := New(Options{Router: &tables, Registry: registry, Watch: watch})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { estate.Endpoints.Run(ctx) })
	front := listen(t)
	dial(t, front)
	accepted, err := front.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(s, accepted)
	if _, full := s.enlist(c); full {
		t.Fatal("it is full")
	}
	running.Go(func() { c.await(); _ = c.Close() })
	t.Cleanup(func() { c.wire.CutRead(); stop(); running.Wait() })
	for since := int64(0); since <= 0 || time.Duration(watch.Now()-since) <= retireAfter; since = c.waiting.Load() {
		runtime.Gosched()
	}
	s.waiting.next = []*conn{{server: s}} // which waits for nothing any more
	if !s.evict() {
		t.Error("an idle connection is not found")
	}
	if s.evict() {
		t.Error("it is found twice")
	}
}
