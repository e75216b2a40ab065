package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGTERM while a slow answer and a stream are running: both come to their ends, idle connections and the listener close, and
// the program ends with 0.
func TestStopLetsExchangesFinish(t *testing.T) {
	g := newGate(t)
	r := start(t, simply(g.URL)+"shutdown: {drain: 1h}\n")
	idle, err := r.dial()
	must(t, err)
	defer idle.Close()
	_, err = io.WriteString(idle, "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	_, err = idle.in.ReadString('\n') // it has carried an exchange and waits for the next
	must(t, err)

	slow := make(chan string, 1)
	go func() { slow <- r.read("/slow") }()
	stream, err := r.get(t.Context(), "/stream")
	must(t, err)
	defer stream.Body.Close()
	<-g.arrived
	<-g.arrived
	events := bufio.NewReader(stream.Body)
	next := func(event string) {
		t.Helper()
		g.event <- event
		got, err := nextEvent(events)
		must(t, err)
		must(t, equal("the event", got, "data: "+event+"\n"))
	}
	next("before")

	r.signal(syscall.SIGTERM)
	if _, err := io.Copy(io.Discard, idle.in); err != nil {
		t.Errorf("the idle connection ends with %v, not with a close", err)
	}
	await(t, "the listener to close", func() error { return refused(r.data) })
	status, text := r.call(http.MethodGet, "/-/ready", "")
	must(t, equal("ready: "+text, status, http.StatusServiceUnavailable))
	status, _ = r.call(http.MethodGet, "/-/healthy", "")
	must(t, equal("healthy", status, http.StatusOK))

	next("after")
	close(g.event)
	_, err = events.ReadByte()
	must(t, equal("the end of the stream", err, io.EOF))
	select {
	case <-r.ended:
		t.Fatal("mlproxy did not wait for the slow answer")
	default:
	}
	close(g.slow)
	must(t, equal("the slow answer", <-slow, "200 done"))
	r.exit(0)
}

// A head that was begun and does not go on keeps nobody from stopping.
func TestStopDoesNotWaitForHeads(t *testing.T) {
	g := newGate(t)
	r := start(t, simply(g.URL)+"shutdown: {drain: 1h}\nlimits: {read_header_timeout: 1h}\n")
	half, err := r.dial()
	must(t, err)
	defer half.Close()
	_, err = io.WriteString(half, "HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	_, err = http.ReadResponse(half.in, &http.Request{Method: http.MethodHead}) // the connection was taken
	must(t, err)
	_, err = io.WriteString(half, "GET /slow HTTP/1.1\r\nHo")
	must(t, err)
	r.signal(syscall.SIGTERM)
	answer, err := io.ReadAll(half.in)
	must(t, err)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 503") || !strings.Contains(string(answer), "X-MLProxy-Error: draining") {
		t.Errorf("it is told %q", answer)
	}
	r.exit(0)
}

// read is the status and body of an answer, or what went wrong.
func (r *running) read(path string) string {
	answer, err := r.get(r.t.Context(), path)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(answer.StatusCode, " ", string(body))
}

// refused is nil when nobody listens at an address.
func refused(address string) error {
	c, err := net.Dial("tcp", address)
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("a connection gives %v", err)
	}
	return nil
}

// In shutdown.delay mlproxy says that it is not ready, and serves; a second signal ends it at once, exchanges or not.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	g := newGate(t)
	r := start(t, simply(g.URL)+"shutdown: {delay: 1h}\nlimits: {read_header_timeout: 1s}\n")
	ready := func() int { status, _ := r.call(http.MethodGet, "/-/ready", ""); return status }
	must(t, equal("ready", ready(), http.StatusOK))
	cut := make(chan string, 1)
	go func() { cut <- r.read("/slow") }()
	<-g.arrived

	r.signal(syscall.SIGTERM)
	await(t, "not ready", func() error { return equal("ready", ready(), http.StatusServiceUnavailable) })
	answer, err := r.get(t.Context(), "/missing")
	must(t, err)
	_ = answer.Body.Close()
	must(t, equal("an answer in the delay", answer.StatusCode, http.StatusNotFound))
	must(t, equal("the pool of it", answer.Header.Get("X-MLProxy-Pool"), "a"))
	slow, err := r.dial()
	must(t, err)
	defer slow.Close()
	_, err = io.WriteString(slow, "GET /slow HTTP/1.1\r\nHo")
	must(t, err)
	told, err := io.ReadAll(slow.in)
	must(t, err)
	if !strings.HasPrefix(string(told), "HTTP/1.1 408") {
		t.Errorf("a slow head in the delay is told %q", told)
	}

	r.signal(syscall.SIGTERM)
	r.exit(1)
	if got := <-cut; got == "200 done" {
		t.Errorf("the running exchange was answered %s", got)
	}
}

// Exchanges that take longer than shutdown.drain are cut, and that is said.
func TestDrainIsLimited(t *testing.T) {
	g := newGate(t)
	r := start(t, simply(g.URL)+"shutdown: {drain: 10ms}\n")
	cut := make(chan string, 1)
	go func() { cut <- r.read("/slow") }()
	<-g.arrived
	began := time.Now()
	r.signal(syscall.SIGTERM)
	<-cut
	r.exit(0)
	r.awaitSaid("did not finish in time")
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v", took)
	}
}

// The last answer on a connection says that it is the last, and connections without a request do not hold up the end.
func TestStopEndsConnections(t *testing.T) {
	g := newGate(t)
	r := start(t, simply(g.URL))
	for range 10 {
		idle, err := r.dial()
		must(t, err)
		defer idle.Close()
	}
	kept, err := r.dial()
	must(t, err)
	defer kept.Close()
	_, err = io.WriteString(kept, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	<-g.arrived
	r.signal(syscall.SIGTERM)
	await(t, "the listener to close", func() error { return refused(r.data) })
	close(g.slow)
	answer, err := http.ReadResponse(kept.in, nil)
	must(t, err)
	must(t, equal("the answer", answer.StatusCode, http.StatusOK))
	must(t, equal("that it is the last", answer.Close, true))
	_, err = io.Copy(io.Discard, answer.Body)
	must(t, err)
	_, err = kept.in.ReadByte()
	must(t, equal("the end of the connection", err, io.EOF))
	r.exit(0) // with shutdown.drain at 30s, and in no time
}
