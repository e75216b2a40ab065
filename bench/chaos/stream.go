package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// clockPath is where a model server streams events that say when they were sent, so many milliseconds apart.
const clockPath = "/chaos/clock"

func serveClock(w http.ResponseWriter, r *http.Request) {
	gap, err := strconv.Atoi(r.URL.Query().Get("gap"))
	if err != nil || gap <= 0 {
		http.Error(w, "gap: milliseconds between two events are needed", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for again := time.NewTicker(time.Duration(gap) * time.Millisecond); ; {
		if _, err := fmt.Fprintf(w, "data: %d\n\n", time.Now().UnixNano()); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-again.C:
		case <-r.Context().Done():
			again.Stop()
			return
		}
	}
}

// streaming has clients read streams for a while, and notes by how much the latest event was late.
func streaming(clients, events int) cause {
	return func(ctx context.Context, x *experiment) error {
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		var mu sync.Mutex
		var wrong error
		var reading sync.WaitGroup
		web := &http.Client{Transport: &http.Transport{}}
		defer web.CloseIdleConnections()
		for range clients {
			reading.Go(func() {
				late, n, err := readClock(ctx, web, "http://"+x.data+clockPath+"?gap=100", events)
				mu.Lock()
				defer mu.Unlock()
				x.seen.Delay, x.seen.Sent = max(x.seen.Delay, late), x.seen.Sent+n
				if err != nil {
					wrong = err
				}
			})
		}
		reading.Wait()
		x.seen.Hostile = clients
		return wrong
	}
}

// readClock reads so many events and leaves; late is the most that one of them was.
func readClock(ctx context.Context, web *http.Client, url string, events int) (late time.Duration, n int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, err
	}
	answer, err := web.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); n < events; {
		if !lines.Scan() {
			return late, n, fmt.Errorf("a stream ended after %d events, %w", n, lines.Err())
		}
		sent, is := strings.CutPrefix(lines.Text(), "data: ")
		if !is {
			continue
		}
		nanoseconds, err := strconv.ParseInt(sent, 10, 64)
		if err != nil {
			return late, n, err
		}
		late, n = max(late, time.Since(time.Unix(0, nanoseconds))), n+1
	}
	return late, n, nil
}
