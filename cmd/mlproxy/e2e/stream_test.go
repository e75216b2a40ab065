package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// gate is a model server that does nothing unasked: /slow answers, and /stream sends its next event, when told to go on.
type gate struct {
	*httptest.Server
	arrived chan struct{} // one for each request
	slow    chan struct{} // closed: /slow answers
	event   chan string   // the next event of /stream; closed: the stream ends
}

func newGate(t *testing.T) *gate {
	g := &gate{arrived: make(chan struct{}, 100), slow: make(chan struct{}), event: make(chan string)}
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		g.arrived <- struct{}{}
		select {
		case <-g.slow:
			_, _ = io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		g.arrived <- struct{}{}
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case event, more := <-g.event:
				if !more {
					return
				}
				_, _ = fmt.Fprintf(w, "data: %s\n\n", event)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

// simply is the config of one pool with one model server.
func simply(url string) string {
	return fmt.Sprintf("pools: {a: {endpoints: [%q]}}\nroutes:\n  all: {match: {path: /}, split: {a: 1}}\n", url)
}

// get begins an exchange on a connection of its own. The body is the caller's to read.
func (r *running) get(ctx context.Context, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.data+path, nil)
	if err != nil {
		return nil, err
	}
	return outside.Do(request)
}

// nextEvent reads one server-sent event.
func nextEvent(in *bufio.Reader) (string, error) {
	event, err := in.ReadString('\n')
	if err == nil {
		_, err = in.ReadString('\n')
	}
	return event, err
}

// Every event is with the client before the model server sends the next.
func TestEventsArriveOneByOne(t *testing.T) {
	g := newGate(t)
	r := start(t, simply(g.URL))
	answer, err := r.get(t.Context(), "/stream")
	must(t, err)
	defer answer.Body.Close()
	in := bufio.NewReader(answer.Body)
	for i := range 200 {
		g.event <- fmt.Sprint(i)
		event, err := nextEvent(in)
		must(t, err)
		must(t, equal("the event", event, fmt.Sprintf("data: %d\n", i)))
	}
	must(t, equal("exchanges in flight", r.metrics().sum("mlproxy_in_flight", "pool=a"), 1))
	close(g.event)
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}
	r.awaitSum(0, "mlproxy_in_flight")
}

// A client's departure reaches the model server, while the first byte is awaited and between two events.
func TestDepartureReachesTheModelServer(t *testing.T) {
	model := serve(t, modeltest.Options{TokenGap: time.Hour})
	r := start(t, simply(model.URL))
	const chat = `{"model": "markov", "stream": true, "messages": [{"role": "user", "content": "tell me"}]}`
	departed := int64(0)
	f := func(what, path, body, trouble string, events int) {
		t.Helper()
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.data+path, strings.NewReader(body))
		must(t, err)
		request.Header.Set("X-Modeltest", trouble)
		heads := make(chan *http.Response, 1)
		go func() {
			head, _ := outside.Do(request) // nil when the client left before
			heads <- head
		}()
		await(t, "the request", func() error { return equal("running exchanges", model.Stats().Running(), 1) })
		if events > 0 {
			head := <-heads
			defer head.Body.Close()
			for in := bufio.NewReader(head.Body); events > 0; events-- {
				_, err := nextEvent(in)
				must(t, err)
			}
		}
		leave()
		departed++
		within, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := model.Await(within, func(s modeltest.Stats) bool { return s.Aborted == departed && s.Running() == 0 }); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		r.awaitSum(int(departed), "mlproxy_requests_total", "pool=a", "code=499")
		r.awaitSum(int(departed), "mlproxy_errors_total", "pool=a", "reason=client_gone")
	}
	f("before the first byte", inferPath, setosa, "hang", 0)
	f("after the first event", "/v1/chat/completions", chat, "", 1)
	f("between later ones", "/v1/chat/completions", chat, "gap=1ms,hang=body", 2)
}
