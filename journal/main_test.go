package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mlproxy/monitor"
)

func TestMain(m *testing.M) {
	if path, from, ok := strings.Cut(os.Getenv(writerEnv), " "); ok {
		fmt.Fprintln(os.Stderr, writer(path, from))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// stage is an access log with settings that a test may change, and all that it says.
type stage struct {
	t *testing.T
	*Access
	settings atomic.Pointer[Settings]
	dropped  atomic.Int64
	stderr   bytes.Buffer
	said     bytes.Buffer
}

func newStage(t *testing.T, s Settings) *stage {
	st := &stage{t: t}
	st.settings.Store(&s)
	st.Access = New(Options{
		Settings: func() Settings { return *st.settings.Load() },
		Stderr:   &st.stderr,
		Dropped:  func(lines int) { st.dropped.Add(int64(lines)) },
		Log:      slog.New(slog.NewTextHandler(&st.said, nil)),
	})
	return st
}

// run starts the writer; what it returns ends it and waits.
func (s *stage) run() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	return func() { cancel(); <-ended }
}

// offer offers records that have these request IDs.
func (s *stage) offer(ids ...string) {
	for _, id := range ids {
		r := record()
		r.RequestID = []byte(id)
		s.Offer(r)
	}
}

// holds fails unless a file holds whole lines with these request IDs and nothing else.
func (s *stage) holds(path string, ids ...string) {
	s.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := idsIn(s.t, content); !equal(got, ids) {
		s.t.Errorf("%s holds %q, want %q", filepath.Base(path), got, ids)
	}
}

func equal(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") }

func idsIn(t *testing.T, content []byte) (ids []string) {
	t.Helper()
	for line := range bytes.Lines(content) {
		var got struct {
			ID string `json:"request_id"`
		}
		if err := json.Unmarshal(line, &got); err != nil || line[len(line)-1] != '\n' {
			t.Errorf("no whole line: %q (%v)", line, err)
		}
		ids = append(ids, got.ID)
	}
	return ids
}

// record is that of an ordinary exchange.
func record() *monitor.Record {
	return &monitor.Record{
		At:        time.Date(2026, 11, 23, 6, 20, 21, 123456789, time.UTC),
		RequestID: []byte("0193563c-9a1b-7cc2-8f2e-52a5b1a30e11"), Client: []byte("192.0.2.7"),
		Method: []byte("POST"), Host: []byte("models.example.org"), Path: []byte("/v2/models/iris/infer"), Protocol: "HTTP/1.1",
		UserAgent: []byte("curl/8.9.1"), Route: "iris", Pool: "iris-stable", Endpoint: "http://127.0.0.1:9001", APIKey: "team-a", AssignedBy: "key", Tries: 1,
		Seen: &monitor.Observation{
			Status: 200, Duration: 2345678 * time.Nanosecond, Upstream: 2200 * time.Microsecond, FirstByte: 2 * time.Millisecond,
			Overhead: 31 * time.Microsecond, BytesIn: 256, BytesOut: 512, Sent: true, Answered: true,
		},
	}
}
