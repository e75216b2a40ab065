package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/upstream"
)

const (
	askTunnel   = "GET /v2/models/iris/x HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	agreeTunnel = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)

// serveTunnels agrees to every upgrade, counts them, and sends back what comes.
func serveTunnels(ln net.Listener, n *atomic.Int32) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		n.Add(1)
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			if _, err := io.WriteString(c, agreeTunnel); err == nil {
				_, _ = io.Copy(c, r)
			}
		}()
	}
}

// tunnelled opens a tunnel and has it carry something.
func tunnelled(t *testing.T, front net.Listener) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := dial(t, front)
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, askTunnel); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != 101 {
		t.Fatal(response, err)
	}
	echo(t, c, r)
	return c, r
}

func echo(t *testing.T, c net.Conn, r *bufio.Reader) {
	t.Helper()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(io.LimitReader(r, 5)); string(got) != "hello" {
		t.Fatalf("%q comes back, %v", got, err)
	}
}

// A tunnel is told of once, at its end, although the buffer that its request was read from has long been given back. No
// shadow gets a copy.
func TestTunnelRecord(t *testing.T) {
	model, front := listen(t), listen(t)
	var asked atomic.Int32
	go serveTunnels(model, &asked)
	t.Cleanup(func() { // when all copies have been sent
		if n := asked.Load(); n != 6 {
			t.Errorf("%d requests for 6 tunnels", n)
		}
	})
	cfg := plainConfig(model.Addr().String(), &config.Route{
		Split:  config.Weights{"stable": 1},
		Shadow: map[string]*config.Shadow{"next": {Sample: 1, Timeout: time.Second, MaxInFlight: 1, MaxBody: 1 << 20, MaxBytes: 1 << 20}},
	})
	records := make(kept, 1)
	startProxy(t, cfg, front, func(o *Options) { o.Access = records })
	for range 3 {
		c, r := tunnelled(t, front)
		others, _ := tunnelled(t, front) // takes the buffers that the first gave back
		_ = c.(*net.TCPConn).CloseWrite()
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("at the end: %q, %v", rest, err)
		}
		got, want := <-records, "GET h/v2/models/iris/x HTTP/1.1 ua=test route=iris pool=stable"
		if !strings.Contains(got, want) || !strings.Contains(got, " 101 none in=5 out=5 ") {
			t.Errorf("%s\nwant %s", got, want)
		}
		_ = others.Close()
		<-records
	}
}

// A tunnel to an endpoint that left the config gets shutdown.drain to end by itself; others are left alone.
func TestTunnelsOfARetiredEndpoint(t *testing.T) {
	model, front := listen(t), listen(t)
	go serveTunnels(model, new(atomic.Int32))
	cfg := plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}})
	cfg.Shutdown.Drain = 300 * time.Millisecond
	estate := startProxy(t, cfg, front)
	c, r := tunnelled(t, front)
	begun := time.Now()
	estate.Endpoints.Retain(func(*upstream.Endpoint) bool { return false })
	echo(t, c, r)
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("at the end: %q, %v", rest, err)
	}
	if took := time.Since(begun); took < cfg.Shutdown.Drain/2 { // the watch's clock is coarse
		t.Errorf("it ended after %v already", took)
	}
	c, r = tunnelled(t, front) // as a request does that chose the endpoint before
	_ = c.(*net.TCPConn).CloseWrite()
	_, _ = io.ReadAll(r)
}
