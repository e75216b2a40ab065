package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"mlproxy/config"
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
		var got []int64
		for _, c := range dispensable(idle, 2) {
			got = append(got, c.waiting.Load())
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%v: those since %v go, want %s", of, got, want)
		}
	}
	f("[]")
	f("[7]", waiting{7, true})
	f("[3]", waiting{5, false}, waiting{3, false})
	f("[2 9]", waiting{1, true}, waiting{9, false}, waiting{2, false}, waiting{3, true})
	f("[9 1]", waiting{3, true}, waiting{9, false}, waiting{1, true})
}

// At limits.max_connections the next client takes the place of one that only waits; one that is at work keeps its own.
func TestIdleConnectionsGiveWay(t *testing.T) {
	model, front := listen(t), listen(t)
	arrived, answer := make(chan struct{}, 8), make(chan struct{})
	go http.Serve(model, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { //nolint:errcheck // ends with its listener
		if r.URL.RawQuery == "slow" {
			arrived <- struct{}{}
			<-answer
		}
	}))
	cfg := plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}})
	cfg.Limits.MaxConnections = 2
	startProxy(t, cfg, front)
	busy, idle := dial(t, front), dial(t, front)
	sendSlow(t, busy)
	<-arrived
	send(t, idle)
	_ = receive(t, idle)

	next := dial(t, front)
	send(t, next)
	refused := receive(t, next) // at once: the idle one has not waited for long
	for deadline := time.Now().Add(10 * time.Second); refused.StatusCode == 503 && time.Now().Before(deadline); refused = receive(t, next) {
		if refused.Header.Get("X-MLProxy-Error") != "overloaded" || refused.Header.Get("Retry-After") == "" || !refused.Close {
			t.Fatalf("a client too many is told %v", refused.Header)
		}
		_ = next.Close()
		next = dial(t, front)
		send(t, next)
	}
	if refused.StatusCode != 200 {
		t.Errorf("the next client is told %d for 10 s", refused.StatusCode)
	}
	_ = idle.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := idle.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the idle connection: %d bytes, %v", n, err)
	}
	answer <- struct{}{}
	if r := receive(t, busy); r.StatusCode != 200 {
		t.Errorf("the one that was at work: %d", r.StatusCode)
	}
}

func sendSlow(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := c.Write([]byte("GET /v2/models/iris/x?slow HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
}
