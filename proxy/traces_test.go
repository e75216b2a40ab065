package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
)

// followed are records of traced exchanges as text. Wanted are those with a traceparent.
type followed chan string

func (f followed) On() bool { return true }

func (f followed) Wants(traceparent []byte, trusted bool) bool {
	if trusted {
		f <- "trusted"
	}
	return traceparent != nil
}

func (f followed) Offer(r *monitor.Record) {
	f <- fmt.Sprintf("%s %s %d sent=%v", r.Traceparent, r.Route, r.Seen.Status, r.Seen.Sent && !r.SentAt.Before(r.At))
}

func TestTraced(t *testing.T) {
	f := func(trusted []netip.Prefix, request string, want ...string) {
		t.Helper()
		model, front := listen(t), listen(t)
		go http.Serve(model, http.NotFoundHandler()) //nolint:errcheck // ends with its listener
		cfg := plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}})
		cfg.TrustedProxies = trusted
		got := make(followed, 10)
		startProxy(t, cfg, front, func(o *Options) { o.Traces = got })
		c := dial(t, front)
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		for _, part := range []string{request, "GET /nowhere HTTP/1.1\nHost: h\ntraceparent: last\n\n"} {
			if _, err := c.Write([]byte(strings.ReplaceAll(part, "\n", "\r\n"))); err != nil {
				t.Fatal(err)
			}
			receive(t, c)
		}
		for _, w := range want {
			if g := <-got; g != w {
				t.Errorf("%q: got %s, want %s", request, g, w)
			}
		}
	}
	const head = "GET /v2/models/iris/x HTTP/1.1\nHost: h\n"
	us := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	f(nil, head+"\n", "last  404 sent=false")
	f(nil, head+"TraceParent: 00-x\n\n", "00-x iris 404 sent=true", "last  404 sent=false")
	f(us, head+"traceparent: 00-x\n\n", "trusted", "00-x iris 404 sent=true", "trusted", "last  404 sent=false")
}

// tracer is told what it is, and keeps nothing.
type tracer struct{ on, wants bool }

func (t tracer) On() bool                { return t.on }
func (t tracer) Wants([]byte, bool) bool { return t.wants }
func (tracer) Offer(*monitor.Record)     {}

// Tracing costs no allocation, whether it is on and the exchange sampled or not.
func TestAllocsOfTracing(t *testing.T) {
	for _, traces := range []tracer{{}, {on: true}, {on: true, wants: true}} {
		t.Run(fmt.Sprintf("%+v", traces), func(t *testing.T) {
			r := newRig(t, &config.Route{Split: config.Weights{"stable": 1}}, func(o *Options) { o.Traces = traces })
			for range 100 {
				r.exchange(t)
			}
			if n := testing.AllocsPerRun(2000, func() { r.exchange(t) }); n > 0 && !raceDetector {
				t.Errorf("%v allocations per exchange, want 0", n)
			}
		})
	}
}
