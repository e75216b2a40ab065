package proxy

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/router"
)

// line is a proxy before a model server that is busy with a request of another route, and lets the test's own stand in line.
type line struct {
	front   net.Listener
	busy    net.Conn // whose request is being answered
	arrived chan string
	answer  chan struct{}
	records kept
}

func newLine(t *testing.T, change func(*config.Route)) *line {
	t.Helper()
	l := &line{front: listen(t), arrived: make(chan string, 8), answer: make(chan struct{}, 8), records: make(kept, 8)}
	model := listen(t)
	go http.Serve(model, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { //nolint:errcheck // ends with its listener
		l.arrived <- r.URL.Path
		<-l.answer
	}))
	t.Cleanup(func() { close(l.answer) })
	cfg := plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}})
	cfg.Pools["stable"].MaxInFlight = 1
	cfg.Pools["stable"].Queue = config.Queue{Size: 1, Timeout: time.Minute}
	other := *cfg.Routes["iris"]
	other.Name, other.Match.Path = "other", "/other"
	cfg.Routes["other"] = &other
	change(cfg.Routes["iris"])
	startProxy(t, cfg, l.front, func(o *Options) { o.Access = l.records })
	l.busy = dial(t, l.front)
	if _, err := l.busy.Write([]byte("GET /other HTTP/1.1\r\nHost: h\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	<-l.arrived
	return l
}

// A request stands in line for no longer than its route's timeout or max_duration, however long the queue would let it.
func TestTheLineKnowsTheDeadline(t *testing.T) {
	f := func(what string, change func(*config.Route)) {
		t.Helper()
		l := newLine(t, change)
		c := dial(t, l.front)
		send(t, c)
		r := receive(t, c) // long before the queue's minute
		if r.StatusCode != 503 || r.Header.Get("X-MLProxy-Error") != "overloaded" || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", what, r.StatusCode, r.Header)
		}
		if record := <-l.records; !strings.Contains(record, "tries=1 503 overloaded in=0 out=0 sent=false") {
			t.Errorf("%s: %s", what, record)
		}
		if len(l.arrived) > 0 {
			t.Errorf("%s: a request that was refused reached the model server", what)
		}
	}
	f("timeout", func(r *config.Route) { r.Timeout = 100 * time.Millisecond })
	f("max_duration", func(r *config.Route) { r.MaxDuration = 100 * time.Millisecond })
	f("timeout, with tries left", func(r *config.Route) {
		r.Timeout = 100 * time.Millisecond
		r.Retry = config.Retry{Attempts: 5, On: []string{"connect"}, MinPerSecond: 100}
	})
}

// Who leaves the line makes room in it, and its request never reaches the model server.
func TestClientsLeaveTheLine(t *testing.T) {
	l := newLine(t, func(*config.Route) {})
	gone := dial(t, l.front)
	send(t, gone)
	_ = gone.Close()
	if record := <-l.records; !strings.Contains(record, "tries=1 499 client_gone in=0 out=0 sent=false") {
		t.Error(record)
	}
	next := dial(t, l.front)
	send(t, next)
	l.answer <- struct{}{}
	if r := receive(t, l.busy); r.StatusCode != 200 {
		t.Errorf("the one before: %d", r.StatusCode)
	}
	l.answer <- struct{}{}
	if r := receive(t, next); r.StatusCode != 200 {
		t.Errorf("the one that took the place of the client that left: %d", r.StatusCode)
	}
	<-l.arrived
	if len(l.arrived) > 0 {
		t.Error("the request of the client that left reached the model server")
	}
}

// Who stands in line leaves with time for an answer, and does not leave at once because one answer was slow.
func TestPatience(t *testing.T) {
	f := func(left, answer, want time.Duration) {
		t.Helper()
		if got := patienceFor(left, answer); got != want {
			t.Errorf("with %v left for answers of %v: %v, not %v", left, answer, got, want)
		}
	}
	f(time.Second, 0, time.Second)
	f(time.Second, 200*time.Millisecond, 700*time.Millisecond)
	f(time.Second, 600*time.Millisecond, 250*time.Millisecond)
	f(time.Second, time.Minute, 250*time.Millisecond)
	f(1, time.Minute, 1)
}

// What a request spent in line is not given to it once more when its turn has come.
func TestTimeInLineCounts(t *testing.T) {
	x := &exchange{}
	x.route = &router.Route{Config: &config.Route{Timeout: 10 * time.Second}}
	x.tries = 1
	if d := x.answerWithin(); d != 10*time.Second {
		t.Errorf("without a wait: %v", d)
	}
	x.lined, x.sent = time.Now().Add(-8*time.Second), time.Now()
	if d := x.answerWithin(); d > 2*time.Second || d < time.Second {
		t.Errorf("8 s of 10 in line: %v", d)
	}
	x.lined = time.Time{}
	if x.sent = time.Now().Add(-10 * time.Second); x.inTime() {
		t.Error("after a try that took all of it there is time for another")
	}
	x.lined = time.Now().Add(-8 * time.Second)
	x.upload = &upload{} // whose client takes its time
	x.sent = x.lined.Add(3 * time.Second)
	if d := x.answerWithin(); d != 7*time.Second {
		t.Errorf("an upload after 3 s of 10 in line: %v", d)
	}
	x.upload, x.lined = nil, time.Now().Add(-time.Minute)
	if d := x.answerWithin(); d != time.Nanosecond || x.inTime() {
		t.Errorf("when all is over: %v", d)
	}
}
