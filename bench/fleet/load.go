package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// maxWaiting requests wait for an answer at once; beyond it the loop would not be open any more.
const maxWaiting = 1024

// load is traffic at a steady rate on all proxies in turn, whatever becomes of the answers.
type load struct {
	attacker *vegeta.Attacker
	client   *http.Client
	ended    chan struct{}
	seen     seen
}

// seen is what became of the requests.
type seen struct {
	requests, failed int
	pools            map[string]int
	first            string // why the first one failed
}

func newLoad(proxies []*proxy, rate int) *load {
	l := &load{ended: make(chan struct{}), seen: seen{pools: map[string]int{}}}
	l.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxWaiting}, Timeout: patience}
	l.attacker = vegeta.NewAttacker(vegeta.Client(l.client), vegeta.Workers(16), vegeta.MaxWorkers(maxWaiting))
	targets := make([]vegeta.Target, len(proxies))
	for i, p := range proxies {
		targets[i] = vegeta.Target{
			Method: http.MethodPost, URL: p.url + question, Body: []byte(digit()), Header: http.Header{"Content-Type": {"application/json"}},
		}
	}
	results := l.attacker.Attack(vegeta.NewStaticTargeter(targets...), vegeta.ConstantPacer{Freq: rate, Per: time.Second}, 0, "fleet")
	go func() {
		defer close(l.ended)
		for r := range results {
			l.seen.note(r)
		}
	}()
	return l
}

// end stops, waits for the last answers, and returns what became of all.
func (l *load) end() *seen {
	l.attacker.Stop()
	<-l.ended
	l.client.CloseIdleConnections()
	return &l.seen
}

func (s *seen) note(r *vegeta.Result) {
	s.requests++
	if r.Code == http.StatusOK && r.Error == "" {
		s.pools[r.Headers.Get("X-MLProxy-Pool")]++
		return
	}
	if s.failed++; s.failed == 1 {
		s.first = strings.TrimSpace(fmt.Sprintf("%d %s %s", r.Code, r.Headers.Get("X-MLProxy-Error"), r.Error))
	}
}

// verdict is an error when a request failed, or when there was none.
func (s *seen) verdict() error {
	switch {
	case s.requests == 0:
		return fmt.Errorf("no request was sent, so nothing was shown")
	case s.failed > 0:
		return fmt.Errorf("%d of %d requests failed; the first: %s", s.failed, s.requests, s.first)
	}
	return nil
}
