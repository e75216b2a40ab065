package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// maxWaiting requests wait for an answer at once; beyond it the loop would not be open any more.
const maxWaiting = 8192

// sample is what became of one request.
type sample struct {
	at       time.Time // it was sent
	took     time.Duration
	code     int    // 0 = no answer, or not a whole one
	pool     string // that answered, as mlproxy says
	endpoint string // that answered, as it says itself
	why      string // it failed
}

func (s *sample) failed() bool { return s.why != "" }

func (s *sample) end() time.Time { return s.at.Add(s.took) }

func newSample(r *vegeta.Result) sample {
	s := sample{at: r.Timestamp, took: r.Latency, code: int(r.Code), pool: r.Headers.Get("X-MLProxy-Pool"), endpoint: r.Headers.Get(nameHeader)}
	switch {
	case s.code == http.StatusOK && r.Error == "":
	case s.code != 0:
		s.why = strings.TrimSpace(fmt.Sprintf("%d %s", s.code, r.Headers.Get("X-MLProxy-Error")))
	default:
		s.why = r.Error // without addresses
		if i := strings.LastIndex(r.Error, ": "); i >= 0 {
			s.why = r.Error[i+2:]
		}
	}
	return s
}

// load is traffic at a steady rate, whatever becomes of the answers.
type load struct {
	attacker *vegeta.Attacker
	client   *http.Client
	ended    chan struct{}

	mu      sync.Mutex
	samples []sample
}

func newLoad(method, url string, body []byte, rate int, patience time.Duration) *load {
	l := &load{ended: make(chan struct{})}
	l.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxWaiting}, Timeout: patience}
	l.attacker = vegeta.NewAttacker(vegeta.Client(l.client), vegeta.Workers(32), vegeta.MaxWorkers(maxWaiting))
	target := vegeta.Target{Method: method, URL: url, Body: body, Header: http.Header{"Content-Type": {"application/json"}}}
	results := l.attacker.Attack(vegeta.NewStaticTargeter(target), vegeta.ConstantPacer{Freq: rate, Per: time.Second}, 0, "")
	go l.collect(results)
	return l
}

func (l *load) collect(results <-chan *vegeta.Result) {
	defer close(l.ended)
	for r := range results {
		l.mu.Lock()
		l.samples = append(l.samples, newSample(r))
		l.mu.Unlock()
	}
}

// await waits until what was seen is enough, or ctx ends.
func (l *load) await(ctx context.Context, enough func([]sample) bool) {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		l.mu.Lock()
		seen := l.samples
		l.mu.Unlock()
		if enough(seen) {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// end stops and returns what became of each request, in the order in which that was known.
func (l *load) end() []sample {
	l.attacker.Stop()
	<-l.ended
	l.client.CloseIdleConnections()
	return l.samples
}
