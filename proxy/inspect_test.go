package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/modeltest"
	"mlproxy/monitor"
)

// lens is an inspector that works, and what it tells of each exchange.
type lens struct{ seen chan string }

// watch has the exchanges of a proxy inspected, and said in short: the rows asked for, those missing, classes, faults.
func watch(t *testing.T) (*lens, func(*Options)) {
	t.Helper()
	l := &lens{seen: make(chan string, 100)}
	return l, func(o *Options) {
		o.Inspector = monitor.NewInspector(o.Registry, func(r *monitor.Record) {
			said := fmt.Sprintf("%s %s %s %d: %d rows, %d missing, %d outputs", r.Method, r.Path, r.Pool, r.Seen.Status, r.Facts.Rows, r.Facts.RowsMissing, len(r.Facts.Outputs))
			if faults := r.Facts.Faults; faults != [len(faults)]int{} {
				said += ", faults"
			}
			l.seen <- said
		})
		runBeside(t, o.Inspector.Run)
	}
}

// runBeside runs f until the test ends.
func runBeside(t testing.TB, f func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

func (l *lens) hear(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-l.seen:
		if got != want {
			t.Errorf("inspected: %s\nwant:      %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("nothing was inspected; want %s", want)
	}
}

// inspected is a route of the Open Inference Protocol.
func inspected(share float64, maxBody int64) *config.Route {
	return &config.Route{Split: config.Weights{"stable": 1}, Protocol: "open_inference", Inspect: config.Inspect{Sample: share, MaxBody: maxBody}}
}

// rows is an inference of n rows, of which the last lacks a value. A pad makes the body longer.
func rows(n int, pad string) string {
	data := strings.Repeat("1, 2, ", n-1) + "1, null"
	return fmt.Sprintf(`{"parameters": {"pad": %q}, "inputs": [{"name": "x", "shape": [%d, 2], "datatype": "FP32", "data": [%s]}]}`, pad, n, data)
}

func classes(n int, pad string) string {
	data := strings.Repeat("7, ", n-1) + "7"
	return fmt.Sprintf(`{"parameters": {"pad": %q}, "outputs": [{"name": "y", "shape": [%d], "datatype": "INT64", "data": [%s]}]}`, pad, n, data)
}

// serveModel answers every request with what handle says of its body.
func serveModel(t *testing.T, handle func(w http.ResponseWriter, body []byte)) string {
	t.Helper()
	ln := listen(t)
	go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:errcheck // ends with its listener
		body, _ := io.ReadAll(r.Body)
		handle(w, body)
	}))
	return ln.Addr().String()
}

// What is inspected is what passed, however it passed, and what passes is what was sent.
func TestInspectionReadsWhatPasses(t *testing.T) {
	big := strings.Repeat("p", 300<<10)
	answer := classes(3, "")
	model := serveModel(t, func(w http.ResponseWriter, body []byte) {
		if bytes.Contains(body, []byte(big)) {
			answer := classes(3, big)
			w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
			_, _ = io.WriteString(w, answer)
			return
		}
		_, _ = io.WriteString(w, answer)
	})
	front := listen(t)
	l, with := watch(t)
	startProxy(t, plainConfig(model, inspected(1, 1<<20)), front, with)
	client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	f := func(body io.Reader, want, heard string) {
		t.Helper()
		r, err := client.Post("http://"+front.Addr().String()+"/v2/models/iris/infer", "application/json", body)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if got, err := io.ReadAll(r.Body); string(got) != want || err != nil {
			t.Errorf("the client got %d bytes (%v), want %d", len(got), err, len(want))
		}
		if heard != "" {
			l.hear(t, heard)
		}
	}
	const all = "POST /v2/models/iris/infer stable 200: 3 rows, 1 missing, 3 outputs"
	f(strings.NewReader(rows(3, "")), answer, all)
	f(io.MultiReader(strings.NewReader(rows(3, ""))), answer, all) // chunked
	f(strings.NewReader(rows(3, big)), classes(3, big), all)       // streamed
	f(io.MultiReader(strings.NewReader(rows(3, big))), classes(3, big), all)
	r, err := client.Get("http://" + front.Addr().String() + "/v2/models/iris/ready")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	f(strings.NewReader(rows(3, "")), answer, all) // and nothing of the GET before it
}

// A body beyond max_body passes whole, and counts as cut.
func TestInspectionIsCappedWhereTheBodyIsNot(t *testing.T) {
	big := strings.Repeat("p", 300<<10)
	var got atomic.Int64
	model := serveModel(t, func(w http.ResponseWriter, body []byte) {
		got.Store(int64(len(body)))
		answer := classes(3, big)
		w.Header().Set("Content-Length", fmt.Sprint(len(answer)))
		_, _ = io.WriteString(w, answer)
	})
	front := listen(t)
	l, with := watch(t)
	startProxy(t, plainConfig(model, inspected(1, 1<<10)), front, with)
	client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	request := rows(3, big)
	r, err := client.Post("http://"+front.Addr().String()+"/v2/models/iris/infer", "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if body, _ := io.ReadAll(r.Body); string(body) != classes(3, big) || int(got.Load()) != len(request) {
		t.Errorf("%d of %d bytes reached the model server, %d of %d the client", got.Load(), len(request), len(body), len(classes(3, big)))
	}
	select {
	case said := <-l.seen:
		if !strings.HasSuffix(said, "faults") {
			t.Errorf("inspected: %s, want faults", said)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was inspected")
	}
}

// With all exchanges inspected and nobody who works on them, each is served as ever, and takes no longer than ten times what it does
// without inspection.
func TestStalledInspectionHoldsNothingUp(t *testing.T) {
	const exchanges = 3000 // more than may wait
	took := func(route *config.Route, change ...func(*Options)) time.Duration {
		r := newRig(t, route, change...)
		r.exchange(t)
		began := time.Now()
		for range exchanges {
			r.exchange(t)
		}
		return time.Since(began)
	}
	without := took(&config.Route{Split: config.Weights{"stable": 1}})
	with := took(inspected(1, 1<<20), func(o *Options) { o.Inspector = monitor.NewInspector(o.Registry) })
	if with > 10*without+time.Second {
		t.Errorf("%d exchanges took %v, without inspection %v", exchanges, with, without)
	}
}

// What an inspected exchange costs in allocations: the path, and what the adapter needs beside the traffic.
func TestAllocsOfInspection(t *testing.T) {
	r := newRig(t, inspected(1, 1<<20), func(o *Options) {
		o.Inspector = monitor.NewInspector(o.Registry)
		runBeside(t, o.Inspector.Run)
	})
	for range 200 {
		r.exchange(t)
	}
	if n := testing.AllocsPerRun(2000, func() { r.exchange(t) }); n > 12 && !raceDetector {
		t.Errorf("%v allocations per inspected exchange, want 12 at the most", n)
	}
}

// A sample of 0 copies nothing: it costs what no inspection costs.
func TestAllocsOfNoInspection(t *testing.T) {
	r := newRig(t, inspected(0, 1<<20), func(o *Options) { o.Inspector = monitor.NewInspector(o.Registry) })
	for range 100 {
		r.exchange(t)
	}
	if n := testing.AllocsPerRun(2000, func() { r.exchange(t) }); n > 0 && !raceDetector {
		t.Errorf("%v allocations per exchange, want 0", n)
	}
}

// Exchanges without a model server's answer, and those in a rush, are not inspected, and counted.
func TestInspectionGivesWay(t *testing.T) {
	dropped := func(registry *monitor.Registry, reason string) float64 {
		families, err := registry.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "mlproxy_inspect_dropped_total" && m.GetLabel()[0].GetValue() == reason {
					return m.GetCounter().GetValue()
				}
			}
		}
		return 0
	}
	f := func(reason, address string, maxInFlight int) {
		t.Helper()
		var registry *monitor.Registry
		front := listen(t)
		cfg := plainConfig(address, inspected(1, 1<<20))
		cfg.Limits.MaxInFlight = maxInFlight
		startProxy(t, cfg, front, func(o *Options) {
			registry, o.Inspector = o.Registry, monitor.NewInspector(o.Registry)
		})
		r, err := http.Post("http://"+front.Addr().String()+"/v2/models/iris/infer", "application/json", strings.NewReader(rows(1, "")))
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(10 * time.Second); dropped(registry, reason) != 1; <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v were dropped, want 1", reason, dropped(registry, reason))
			}
		}
	}
	gone, _, give, err := modeltest.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer give()
	f("no_answer", gone, 0)
	f("overload", serveModel(t, func(w http.ResponseWriter, _ []byte) { _, _ = io.WriteString(w, "{}") }), 1)
	http.DefaultClient.CloseIdleConnections()
}
