package shadow

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mlproxy/config"
	"mlproxy/modeltest"
	"mlproxy/monitor"
	"mlproxy/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a mirror, and a shadow whose one endpoint is at an address.
type stage struct {
	mirror   *Mirror
	shadow   *router.Shadow
	registry *monitor.Registry
}

// caps are what a shadow allows unless a test says otherwise.
func caps() *config.Shadow {
	return &config.Shadow{Sample: 1, Timeout: 5 * time.Second, MaxInFlight: 64, MaxBody: 1 << 20, MaxBytes: 16 << 20}
}

func newStage(t testing.TB, address string, c *config.Shadow) *stage {
	t.Helper()
	return newStageBeside(t, "127.0.0.1:1", address, c)
}

// newStageBeside is a stage whose live pool is at an address, too.
func newStageBeside(t testing.TB, live, address string, c *config.Shadow) *stage {
	t.Helper()
	reg := monitor.New()
	estate := router.NewEstate(reg)
	pool := func(name, address string) *config.Pool {
		return &config.Pool{
			Name: name, Endpoints: []config.Endpoint{{URL: "http://" + address, Weight: 1}},
			Balance: "least_request", ConnectTimeout: time.Second, MaxConnections: 512, OnClientGone: "cancel",
		}
	}
	table, err := router.Compile(&config.Config{
		Version: 1,
		Pools:   map[string]*config.Pool{"live": pool("live", live), "next": pool("next", address)},
		Routes: map[string]*config.Route{"iris": {
			Name: "iris", Split: config.Weights{"live": 1}, Shadow: map[string]*config.Shadow{"next": c},
		}},
	}, estate)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { estate.Endpoints.Run(ctx) })
	s := &stage{mirror: New(), shadow: table.Routes()[0].Shadows[0], registry: reg}
	t.Cleanup(func() {
		s.end(t)
		cancel()
		running.Wait()
	})
	return s
}

// end closes the mirror and checks that it holds nothing any more.
func (s *stage) end(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.mirror.Close(ctx); err != nil {
		t.Error(err)
	}
	if n, b := s.shadow.InFlight.Load(), s.shadow.Bytes.Load(); n != 0 || b != 0 {
		t.Errorf("%d copies with %d bytes are still counted", n, b)
	}
}

// counted is a metric of the shadow by the value of its third label, zeros left out; nil when nothing was counted.
func (s *stage) counted(t testing.TB, metric string) map[string]int {
	t.Helper()
	families, err := s.registry.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var counts map[string]int
	for _, f := range families {
		if f.GetName() != "mlproxy_shadow_"+metric+"_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if n := int(m.GetCounter().GetValue()); n > 0 && label.GetName() != "route" && label.GetName() != "pool" {
					if counts == nil {
						counts = map[string]int{}
					}
					counts[label.GetValue()] += n
				}
			}
		}
	}
	return counts
}

// total is what counted adds up to.
func (s *stage) total(t testing.TB, metric string) (n int) {
	t.Helper()
	for _, v := range s.counted(t, metric) {
		n += v
	}
	return n
}

// original is a live exchange with this answer.
func original(body string, status int, answer string) *Original {
	var sum Sum
	sum.Reset()
	sum.Add([]byte(answer))
	return &Original{
		Method: "POST", Body: []byte(body), BodyLen: int64(len(body)),
		Status: status, AnswerSum: sum.Hash(), AnswerLen: sum.Len(), Complete: true,
	}
}

// headOf writes the head of a copy with a body of n bytes.
func headOf(n int) AppendHead {
	head := fmt.Sprintf("POST /p HTTP/1.1\r\nHost: m\r\nX-MLProxy-Shadow: true\r\nContent-Length: %d\r\n\r\n", n)
	return func(dst []byte, _ *router.Pool, _ bool) []byte { return append(dst, head...) }
}

// serve is the address of a model server that lets handle do with each connection as it likes, until the test ends.
func serve(t testing.TB, handle func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		cancel()
		running.Wait()
	})
	return l.Addr().String()
}

// answering answers each request with the same bytes.
func answering(answer string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		in := bufio.NewReader(c)
		for readRequest(in) == nil {
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	}
}

func readRequest(in *bufio.Reader) error {
	r, err := http.ReadRequest(in)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return err
}

// absent is an address at which nobody listens.
func absent(t testing.TB) string {
	t.Helper()
	address, _, give, err := modeltest.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(give)
	return address
}

// quiet waits, for at most ten seconds, until no copy is with the shadow.
func (s *stage) quiet(t testing.TB) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); s.shadow.InFlight.Load() > 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("a copy is with the shadow for too long")
		}
	}
}
