package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"
)

// seenSpan is what the tests look at of a span.
type seenSpan struct {
	TraceID, SpanID, ParentSpanID, Name string
	Kind                                int
	Start, End                          string
	is                                  map[string]string // attributes
}

// receiver is an OTLP/HTTP receiver that keeps what it gets.
type receiver struct {
	*httptest.Server
	spans chan seenSpan
	mu    sync.Mutex
	sick  bool // answers 503
}

func (r *receiver) falls(sick bool) {
	r.mu.Lock()
	r.sick = sick
	r.mu.Unlock()
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{spans: make(chan seenSpan, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.sick {
			w.WriteHeader(503)
			return
		}
		body, err := io.ReadAll(q.Body)
		if err != nil || q.Method != "POST" || q.URL.Path != "/v1/traces" || q.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v: %s %s %v", err, q.Method, q.URL, q.Header)
		}
		for _, s := range spansIn(t, body) {
			r.spans <- s
		}
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(r.Close)
	return r
}

func spansIn(t *testing.T, body []byte) (spans []seenSpan) {
	type attributes []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
	var got struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []struct {
					TraceID, SpanID, ParentSpanID, Name string
					Kind                                int
					StartTimeUnixNano, EndTimeUnixNano  string
					Attributes                          attributes
				}
			}
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Errorf("%v: %s", err, body)
		return nil
	}
	for _, s := range got.ResourceSpans[0].ScopeSpans[0].Spans {
		is := map[string]string{}
		for _, a := range s.Attributes {
			is[a.Key] = a.Value.StringValue + a.Value.IntValue
		}
		spans = append(spans, seenSpan{
			TraceID: s.TraceID, SpanID: s.SpanID, ParentSpanID: s.ParentSpanID, Name: s.Name, Kind: s.Kind,
			Start: s.StartTimeUnixNano, End: s.EndTimeUnixNano, is: is,
		})
	}
	return spans
}

// next is the next span that comes.
func (f *fleet) next(r *receiver) (s seenSpan) {
	f.Helper()
	select {
	case s = <-r.spans:
	case <-time.After(patience):
		f.Fatal("no span comes")
	}
	return s
}

// traced asks for a path with a traceparent.
func (f *fleet) traced(path, traceparent string) *http.Response {
	f.Helper()
	request, err := http.NewRequest("GET", f.data+path, nil)
	if err != nil {
		f.Fatal(err)
	}
	if traceparent != "" {
		request.Header.Set("traceparent", traceparent)
	}
	response, err := f.client.Do(request)
	if err != nil {
		f.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response
}

const (
	someTrace = "0af7651916cd43dd8448eb211c80319c"
	someSpan  = "b7ad6b7169203331"
)

func TestTracing(t *testing.T) {
	r := newReceiver(t)
	f := serve(t, nil, "tracing: {endpoint: "+r.URL+", sample: 100%}")
	got := make(chan string, 1)
	f.models["stable"].Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { got <- q.Header.Get("traceparent") })
	const traceparent = "00-" + someTrace + "-" + someSpan + "-00"
	id := f.traced("/iris?token=secret", traceparent).Header.Get("X-Request-ID")
	if passed := <-got; passed != traceparent {
		t.Errorf("%s passed as %s", traceparent, passed)
	}
	server, client := f.next(r), f.next(r)
	if server.TraceID != someTrace || server.ParentSpanID != someSpan || server.Kind != 2 || server.Name != "GET iris" || server.Start >= server.End ||
		len(server.SpanID) != 16 || server.is["http.request.method"] != "GET" || server.is["http.response.status_code"] != "200" ||
		server.is["url.path"] != "/iris" || server.is["mlproxy.route"] != "iris" || server.is["mlproxy.pool"] != "stable" ||
		server.is["mlproxy.endpoint"] != f.models["stable"].URL || server.is["client.address"] != "127.0.0.1" || server.is["mlproxy.request_id"] != id {
		t.Errorf("got %+v", server)
	}
	if client.TraceID != someTrace || client.ParentSpanID != server.SpanID || client.Kind != 3 || client.SpanID == server.SpanID ||
		client.Start < server.Start || client.End > server.End || client.Start >= client.End {
		t.Errorf("got %+v of %+v", client, server)
	}
	f.traced("/nowhere", "")
	if s := f.next(r); len(s.TraceID) != 32 || s.TraceID == someTrace || s.ParentSpanID != "" || s.is["error.type"] != "no_route" {
		t.Errorf("got %+v", s)
	}
}

// A trusted client that is traced itself decides; another does not.
func TestTracingFollowsTrustedClients(t *testing.T) {
	r := newReceiver(t)
	with := func(more string) string { return "tracing: {endpoint: " + r.URL + ", sample: 0%}\n" + more }
	f := serve(t, nil, with(""))
	const asked = "00-" + someTrace + "-" + someSpan + "-01"
	f.traced("/iris", asked)
	f.write(routes, with("trusted_proxies: [127.0.0.0/8]"))
	if got := f.reload(); got != 200 {
		t.Fatalf("reload: %d", got)
	}
	f.traced("/search", "00-"+someTrace+"-"+someSpan+"-00")
	f.traced("/search", "")
	f.traced("/search", asked)
	if s := f.next(r); s.is["mlproxy.route"] != "search" || s.ParentSpanID != someSpan {
		t.Errorf("got %+v", s)
	}
	f.signal(syscall.SIGTERM)
	if code := f.exit(); code != 0 || len(r.spans) != 1 {
		t.Errorf("exit %d, %d more spans, want the client's alone", code, len(r.spans))
	}
}

// What waits is sent at the end; a reload leads elsewhere.
func TestTracingFollowsTheConfig(t *testing.T) {
	a, b := newReceiver(t), newReceiver(t)
	f := serve(t, nil)
	f.answers("/nowhere", "404") // is traced nowhere
	for _, r := range []*receiver{a, b} {
		f.write(routes, "tracing: {endpoint: "+r.URL+", sample: 100%}")
		if got := f.reload(); got != 200 {
			t.Fatalf("reload: %d", got)
		}
		f.answers("/nowhere", "404")
		f.next(r)
	}
	f.answers("/nowhere", "404")
	f.signal(syscall.SIGTERM)
	if code := f.exit(); code != 0 {
		t.Errorf("exit %d", code)
	}
	f.next(b)
	if len(a.spans)+len(b.spans) != 0 {
		t.Errorf("%d and %d spans too many", len(a.spans), len(b.spans))
	}
}

// Without its collector all goes on; the log says so, and a metric how many spans were lost.
func TestTracingWithoutItsCollector(t *testing.T) {
	r := newReceiver(t)
	r.falls(true)
	f := serve(t, nil, "tracing: {endpoint: "+r.URL+", sample: 100%}")
	f.answers("/iris", "stable")
	f.logged("spans cannot be sent", "503", "dropped=2")
	r.falls(false)
	f.answers("/iris", "stable")
	if s := f.next(r); s.is["mlproxy.route"] != "iris" {
		t.Errorf("got %+v", s)
	}
}
