package modeltest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves until the test ends.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// await fails the test when the server does not see enough within a few seconds.
func await(t *testing.T, s *Server, enough func(Stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Await(ctx, enough); err != nil {
		t.Fatal(err)
	}
}

// do sends one request on a connection of its own and returns what came, with the error that ended it.
func do(t *testing.T, method, url, trouble string, body []byte) (status int, answer []byte, err error) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if trouble != "" {
		r.Header.Set("X-Modeltest", trouble)
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// conversation is a raw connection that sends one request at a time.
type conversation struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, s *Server) *conversation {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &conversation{conn, bufio.NewReader(conn)}
}

func (c *conversation) send(t *testing.T, path, trouble string, body []byte) {
	t.Helper()
	_, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nX-Modeltest: %s\r\nContent-Length: %d\r\n\r\n%s", path, trouble, len(body), body)
	if err != nil {
		t.Fatal(err)
	}
}

func decode[T any](t *testing.T, src []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(src, &v); err != nil {
		t.Fatalf("%v in %s", err, src)
	}
	return v
}

var setosa = InferBody([][]float64{{5.1, 3.5, 1.4, 0.2}})

const inferPath = "/v2/models/iris/infer"

func contains(s []byte, part string) bool { return strings.Contains(string(s), part) }
