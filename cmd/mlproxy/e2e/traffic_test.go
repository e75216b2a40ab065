package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tsenart/vegeta/v12/lib"
	"github.com/valyala/fasthttp"

	"mlproxy/modeltest"
)

const inferPath = "/v2/models/iris/infer"

var setosa = string(modeltest.InferBody([][]float64{{5.1, 3.5, 1.4, 0.2}}))

// infer is a request as it goes on the wire, with further field lines.
func infer(lines ...string) string { return inferOf(inferPath, setosa, lines...) }

// inferOf is one to another model, or for other rows.
func inferOf(path, body string, lines ...string) string {
	head := []string{"POST " + path + " HTTP/1.1", "Host: models.example"}
	head = append(append(head, lines...), fmt.Sprintf("Content-Length: %d", len(body)))
	return strings.Join(head, "\r\n") + "\r\n\r\n" + body
}

// answer is what a client sees of one.
type answer struct {
	status   int
	pool, id string
}

// conn is one client connection.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func (r *running) dial() (*conn, error) {
	c, err := net.Dial("tcp", r.data)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReaderSize(c, 64<<10)}, c.SetDeadline(time.Now().Add(4 * patience))
}

// ask sends requests in one go and reads their answers.
func (c *conn) ask(requests []string, answers []answer) error {
	if _, err := c.Write([]byte(strings.Join(requests, ""))); err != nil {
		return err
	}
	raw := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(raw)
	for i := range answers {
		if err := raw.Read(c.in); err != nil {
			return err
		}
		h := &raw.Header
		answers[i] = answer{raw.StatusCode(), string(h.Peek("X-MLProxy-Pool")), string(h.Peek("X-Request-ID"))}
	}
	return nil
}

// ask sends n requests, the i-th being request(i), over so many connections side by side, a few at a time on each. The
// answers are in the order of the requests, and all of them are 200.
func (r *running) ask(n, connections int, request func(i int) string) []answer {
	r.t.Helper()
	answers := make([]answer, n)
	var asking sync.WaitGroup
	for c := range connections {
		asking.Go(func() {
			if err := r.askPart(answers, n*c/connections, n*(c+1)/connections, request); err != nil {
				r.t.Error(err)
			}
		})
	}
	asking.Wait()
	for i, a := range answers {
		if a.status != http.StatusOK {
			r.t.Fatalf("request %d of %d was answered %+v", i, n, a)
		}
	}
	return answers
}

func (r *running) askPart(answers []answer, from, to int, request func(i int) string) error {
	c, err := r.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	const atOnce = 16
	for ; from < to; from += atOnce {
		part := answers[from:min(from+atOnce, to)]
		requests := make([]string, len(part))
		for i := range requests {
			requests[i] = request(from + i)
		}
		if err := c.ask(requests, part); err != nil {
			return err
		}
	}
	return nil
}

// byPool counts answers.
func byPool(answers []answer) map[string]int {
	counts := map[string]int{}
	for _, a := range answers {
		counts[a.pool]++
	}
	return counts
}

// load is traffic at a steady rate, whatever becomes of the answers: vegeta's open loop.
type load struct {
	t        *testing.T
	attacker *vegeta.Attacker
	client   *http.Client
	ended    chan struct{}

	mu      sync.Mutex
	results []*vegeta.Result
}

// load sends a body to a path so many times a second, until end; no more than 100 at once, so that what was due while the machine stood still
// does not come in thousands when it goes on.
func (r *running) load(perSecond int, path, body string) *load {
	l := &load{t: r.t, ended: make(chan struct{})}
	l.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}, Timeout: patience}
	l.attacker = vegeta.NewAttacker(vegeta.Client(l.client), vegeta.Workers(16), vegeta.MaxWorkers(100))
	target := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodPost, URL: "http://" + r.data + path, Body: []byte(body)})
	results := l.attacker.Attack(target, vegeta.Rate{Freq: perSecond, Per: time.Second}, 0, r.t.Name())
	go func() {
		defer close(l.ended)
		for result := range results {
			l.mu.Lock()
			l.results = append(l.results, result)
			l.mu.Unlock()
		}
	}()
	r.t.Cleanup(func() { l.end() })
	return l
}

// done is how many requests have ended.
func (l *load) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.results)
}

// more waits until n more requests have ended.
func (l *load) more(n int) {
	l.t.Helper()
	n += l.done()
	await(l.t, "more answers", func() error {
		if done := l.done(); done < n {
			return fmt.Errorf("%d requests have ended, %d are awaited", done, n)
		}
		return nil
	})
}

// end stops and returns what became of each request.
func (l *load) end() []*vegeta.Result {
	l.attacker.Stop()
	<-l.ended
	l.client.CloseIdleConnections()
	return l.results
}

// endWell ends, and fails the test when any request failed.
func (l *load) endWell() []*vegeta.Result {
	l.t.Helper()
	results, failed := l.end(), 0
	for _, r := range results {
		if r.Code == http.StatusOK && r.Error == "" {
			continue
		}
		if failed++; failed < 5 {
			l.t.Errorf("request %d failed after %v: %d %s %s %v", r.Seq, r.Latency, r.Code, r.Error, r.Body, r.Headers)
		}
	}
	if failed > 0 {
		l.t.Errorf("%d of %d requests failed", failed, len(results))
	}
	return results
}
