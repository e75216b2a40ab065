package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"
	"go.uber.org/goleak"

	"mlproxy/modeltest"
)

var update = flag.Bool("update", false, "write targets.json anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTargets holds the committed targets against the rows they are made of: go test ./bench/load -run Targets -update
func TestTargets(t *testing.T) {
	want := targetsOfRows(t)
	if *update {
		var file bytes.Buffer
		encode := vegeta.NewJSONTargetEncoder(&file)
		for i := range want {
			if err := encode(&want[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile("targets.json", file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := (&load{target: "http://127.0.0.1:8080"}).targets()
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("targets.json is not made of modeltest's rows any more; write it anew with -update: %v %.2000s", err, diff)
	}
}

// targetsOfRows are ten irises for every three digits, each from a user of its own.
func targetsOfRows(t *testing.T) (all []vegeta.Target) {
	t.Helper()
	rows := map[string][]modeltest.Sample{}
	for _, model := range []string{"iris", "digits"} {
		var err error
		if rows[model], err = modeltest.Samples(model); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 650 {
		model := "iris"
		if i%13 < 3 {
			model = "digits"
		}
		row := rows[model][i%len(rows[model])].Row
		all = append(all, vegeta.Target{
			Method: "POST", URL: "http://127.0.0.1:8080/v2/models/" + model + "/infer",
			Header: http.Header{"Content-Type": {"application/json"}, "X-User-ID": {fmt.Sprintf("load-%03d", i)}},
			Body:   modeltest.InferBody([][]float64{row}, "class"),
		})
	}
	return all
}

func TestParseRefuses(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		if _, err := parse(args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", args, err, want)
		}
	}
	f("load goes to this machine only", "-target", "http://example.org:80")
	f("load goes to this machine only", "-admin", "http://10.0.0.1:9090")
	f("write http://host:port", "-target", "127.0.0.1:8080")
	f("write http://host:port", "-target", "http://127.0.0.1:8080/v2")
	f("choose 1 to 100000", "-rate", "0")
	f("choose a time up to 10m0s", "-duration", "1h")
	if _, err := parse([]string{"-target", "http://[::1]:1", "-admin", "http://localhost:2"}, io.Discard); err != nil {
		t.Error(err)
	}
}

// fakeProxy counts as mlproxy would, with a third of the users on the canary.
func fakeProxy(t *testing.T) (url string) {
	t.Helper()
	model, err := modeltest.New(modeltest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		model.ServeHTTP(w, r)
	})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		n := float64(n.Load())
		fmt.Fprintf(w, "# HELP mlproxy_requests_total ...\n")
		fmt.Fprintf(w, "mlproxy_requests_total{route=\"iris\",pool=\"a\",code=\"200\"} %v\n", 1000+2*n/3)
		fmt.Fprintf(w, "mlproxy_requests_total{route=\"iris\",pool=\"b\",code=\"200\"} %v\n", 1+n/3)
		fmt.Fprintf(w, "mlproxy_assignments_total{route=\"iris\",pool=\"a\",by=\"key\"} %v\n", 1000+2*n/3)
		fmt.Fprintf(w, "mlproxy_assignments_total{route=\"iris\",pool=\"b\",by=\"key\"} %v\n", 1+n/3)
		fmt.Fprintf(w, "mlproxy_split_weight{route=\"iris\",pool=\"a\"} 0.6\nmlproxy_split_weight{route=\"iris\",pool=\"b\"} 0.4\n")
		fmt.Fprintf(w, "mlproxy_overhead_seconds_bucket{route=\"iris\",le=\"1e-05\"} %v\n", 10+n)
		fmt.Fprintf(w, "mlproxy_overhead_seconds_bucket{route=\"iris\",le=\"+Inf\"} %v\n", 500+n)
		fmt.Fprintf(w, "mlproxy_overhead_seconds_sum{route=\"iris\"} %v\nmlproxy_overhead_seconds_count{route=\"iris\"} %v\n", 3+n*4e-6, 500+n)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		s.Close()
		_ = model.Close()
	})
	return s.URL
}

func TestLoad(t *testing.T) {
	url := fakeProxy(t)
	var out, progress bytes.Buffer
	if code := run(t.Context(), []string{"-rate", "300", "-duration", "1s", "-target", url, "-admin", url}, &out, &progress); code != 0 {
		t.Fatalf("exit %d: %s", code, progress.String())
	}
	for _, want := range []string{
		"Success       [ratio]                           100.00%",
		"iris   a     60.00%      66.67%",
		"iris   b     40.00%      33.33%",
		"iris   4µs   5µs  9.9µs",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestLoadWithoutDemo(t *testing.T) {
	var progress bytes.Buffer
	s := httptest.NewServer(nil)
	s.Close()
	if code := run(t.Context(), []string{"-admin", s.URL}, io.Discard, &progress); code != 1 || !strings.Contains(progress.String(), "start the demo in another terminal with `make run`") {
		t.Errorf("exit %d: %s", code, progress.String())
	}
}

func TestQuantile(t *testing.T) {
	f := func(q, want float64, buckets ...bucket) {
		t.Helper()
		if got := quantile(q, buckets); math.Abs(got-want) > 1e-12 && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%v of %v: %v, want %v", q, buckets, got, want)
		}
	}
	inf := math.Inf(1)
	f(0.5, math.NaN())
	f(0.5, math.NaN(), bucket{1, 0}, bucket{inf, 0})
	f(0.5, 0.5, bucket{1, 10}, bucket{inf, 10})
	f(0.75, 1.5, bucket{1, 10}, bucket{2, 20}, bucket{inf, 20})
	f(0.99, 2, bucket{1, 10}, bucket{2, 20}, bucket{inf, 40})
	f(1, 2, bucket{1, 10}, bucket{2, 20}, bucket{inf, 20})
}

func TestSeconds(t *testing.T) {
	f := func(in float64, want string) {
		t.Helper()
		if got := seconds(in); got != want {
			t.Errorf("%v: got %s, want %s", in, got, want)
		}
	}
	f(math.NaN(), "-")
	f(0, "0s")
	f(0.0002459991, "246µs")
	f(0.0131994, "13.2ms")
	f(4e-6, "4µs")
}

func TestParseMetricsRefuses(t *testing.T) {
	if _, err := parseMetrics(strings.NewReader("<html>\n")); err == nil {
		t.Error("HTML was taken for metrics")
	}
}
