package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseRefuses(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		_, err := parse(append([]string{"-mlproxy", os.Args[0]}, args...), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
	f(`there is no "tiny"`, "-cases", "tiny")
	f(`there is no "squid"`, "-peers", "nginx,squid")
	f("name it with -baseline", "-peers", "baseline")
	f("build it with `make build`", "-mlproxy", filepath.Join(t.TempDir(), "none"))
	f("choose 1 to 100", "-rounds", "0")
	f("choose a time from 100ms", "-duration", "1h")
	f("would wait for what measures", "-load-core", "0")
	f("this machine has processors", "-load-core", "4096")
	f("only flags are taken", "small")
}

func TestBodiesAreJSONOfTheirSize(t *testing.T) {
	for _, size := range []int{64, 256, 1 << 10, 16 << 10, 1 << 20} {
		text := body("instances", size)
		if len(text) != size || !json.Valid([]byte(text)) {
			t.Errorf("%d bytes: %d, %.40q", size, len(text), text)
		}
	}
}

func TestLength(t *testing.T) {
	f := func(head string, want int) {
		t.Helper()
		if got, err := length([]byte(head)); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", head, got, err, want)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 12)
	f("HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:  7\r\nA: b\r\n\r\n", 7)
	f("HTTP/1.1 200 OK\r\nX-Content-Length: 7\r\n\r\n", -1)
	if _, err := length([]byte("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")); err == nil {
		t.Error("a length that is no number")
	}
}

func TestTimes(t *testing.T) {
	var all times
	if all.quantile(.5) != 0 {
		t.Error("of none")
	}
	for i := range 1000 {
		all.add(time.Duration(i+1) * time.Microsecond)
	}
	for _, q := range []float64{.01, .5, .99, 1} {
		want := q * 1000
		if got := micros(all.quantile(q)); math.Abs(got-want) > want/perDoubling+1 {
			t.Errorf("%v: %v µs, want %v", q, got, want)
		}
	}
	all.add(time.Hour)
	all.add(-time.Second)
}

// The clients get of a model server what a workload says, straight from it.
func TestClients(t *testing.T) {
	for _, w := range []workload{
		{name: "plain", ask: 256, answer: 1 << 10, clients: 4},
		{name: "large", ask: 300 << 10, answer: 200 << 10, clients: 2},
		{name: "slow", ask: 256, answer: 256, clients: 4, work: time.Millisecond},
		{name: "open", ask: 256, answer: 256, clients: 4, rate: 1000},
		{name: "stream", ask: 256, clients: 2, events: 5, every: time.Millisecond},
	} {
		m, err := serve(&w)
		if err != nil {
			t.Fatal(err)
		}
		c := begin(&w, m.addresses(1)[0])
		c.ready.Wait()
		c.measured.Store(true)
		for end := time.Now().Add(10 * time.Second); c.answers.Load() < 20 && time.Now().Before(end); {
			runtime.Gosched() // to those who ask
		}
		c.end()
		m.close()
		if n := c.answers.Load(); n < 20 || c.failures.Load() != 0 || c.times.quantile(.5) <= 0 || m.served.Load() < n {
			t.Errorf("%s: %d answers of %d, %d failures, %v", w.name, n, m.served.Load(), c.failures.Load(), c.times.quantile(.5))
		}
		if (c.firsts.quantile(.5) > 0) != (w.events > 0) {
			t.Errorf("%s: first events after %v", w.name, c.firsts.quantile(.5))
		}
	}
}

func TestFailuresAreCounted(t *testing.T) {
	w := workload{ask: 10, answer: 10, clients: 1}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended, enough := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			if n == 6 { // whoever connects again has counted the failure before
				close(enough)
			}
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = newWire(c).head()
			_, _ = io.WriteString(c, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
			_ = c.Close()
		}
	}()
	c := begin(&w, ln.Addr().String())
	c.measured.Store(true)
	<-enough
	c.end()
	_ = ln.Close()
	<-ended
	if c.failures.Load() < 5 || c.answers.Load() != 0 {
		t.Errorf("%d failures, %d answers", c.failures.Load(), c.answers.Load())
	}
}

func TestUsed(t *testing.T) {
	self := tree(os.Getpid())
	before, err := self.used()
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if now, err := self.used(); err != nil || now > before {
			break
		}
	}
	after, err := self.used()
	if err != nil || after <= before {
		t.Errorf("%v before, %v after, %v", before, after, err)
	}
	if peak, err := self.peak(); err != nil || peak < 1<<20 {
		t.Errorf("%d bytes, %v", peak, err)
	}
}

func TestReport(t *testing.T) {
	var out bytes.Buffer
	one := func(peer string, round int, cpu float64) result {
		return result{Case: "small", Peer: peer, Round: round, CPU: cpu, Rate: 1000, Median: 100, P99: 2000, Memory: 3 << 20, Canary: .1}
	}
	report(&out, workloads[:1], []result{
		one("nginx", 0, 20), one(mlproxyAlone, 0, 10), one("nginx", 1, 40), one(mlproxyAlone, 1, 30), one("nginx", 2, 30), one(mlproxyAlone, 2, 30),
	})
	for _, want := range []string{"small  nginx    30      20..40", "0.75x (0.50..1.00)", "2.0 ms", "3.0 MiB"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestConfigs(t *testing.T) {
	for _, w := range workloads {
		for _, p := range peers {
			var text bytes.Buffer
			s := setting{Folder: "/f", Listen: "127.0.0.1:1", Admin: "127.0.0.1:2", Stable: []string{"127.0.0.1:3"}, Canary: "127.0.0.1:4", Shadow: "127.0.0.1:5", Mirror: w.mirror}
			if err := configs.ExecuteTemplate(&text, p.config, s); err != nil || !strings.Contains(text.String(), "127.0.0.1:3") {
				t.Errorf("%s, %s: %v", p.name, w.name, err)
			}
		}
	}
}
