package upstream

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mlproxy/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// unknown is the health of an endpoint that nothing is known of.
func unknown() *health.State { return health.NewState(health.Name{}, nil) }

var wide = Limits{Bytes: 16 << 10, Fields: 100}

// crlf writes a head with | for CRLF, and adds the blank line.
func crlf(s string) string { return strings.ReplaceAll(s, "|", "\r\n") + "\r\n\r\n" }

// meaning is what a head says to a proxy, in words.
func meaning(h *Head) string {
	var b strings.Builder
	if h.Status > 0 {
		fmt.Fprintf(&b, "%d 1.%d", h.Status, h.Minor)
	} else {
		fmt.Fprintf(&b, "%s %s 1.%d", h.Method, h.Target, h.Minor)
	}
	switch h.Framing {
	case NoBody:
		b.WriteString(" none")
	case ByLength:
		fmt.Fprintf(&b, " %d", h.Length)
	case Chunked:
		b.WriteString(" chunked")
	case UntilClose:
		b.WriteString(" rest")
	}
	if h.Close {
		b.WriteString(" close")
	}
	if h.Expect {
		b.WriteString(" expect")
	}
	return b.String()
}

// peers are the two ends of a connection over a real loopback socket.
func peers(t testing.TB) (ours, theirs *net.TCPConn) {
	t.Helper()
	ln := listen(t)
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// running is a watch that looks until the test ends.
func running(t testing.TB) *Watch {
	t.Helper()
	w := NewWatch()
	run(t, w.Run)
	return w
}

func run(t testing.TB, f func(context.Context)) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

// over is a wire over a real socket, and its peer. Nobody looks at its deadlines but the test.
func over(t testing.TB) (*Wire, *net.TCPConn) {
	t.Helper()
	ours, theirs := peers(t)
	w := NewWire(ours, NewWatch())
	t.Cleanup(func() { _ = w.Close() })
	return w, theirs
}

func send(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

// until waits for what the kernel does in its own time; it fails the test when that takes beyond all reason.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatal("waited in vain until " + what)
		}
		time.Sleep(100 * time.Microsecond) // a poll of the kernel's state, not a time the test depends on
	}
}

// filled is a reader in which all has come, off a wire whose peer is gone.
func filled(s string) *Reader { return &Reader{buf: []byte(s), w: len(s), wire: closedWire} }

var closedWire = &Wire{conn: ended{}, watch: NewWatch()}

// ended is a connection from which nothing comes any more.
type ended struct{ net.Conn }

func (ended) Read([]byte) (int, error) { return 0, io.EOF }
