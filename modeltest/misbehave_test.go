package modeltest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParsePlan(t *testing.T) {
	f := func(text string, want plan) {
		t.Helper()
		if got, err := parsePlan(text); err != nil || *got != want {
			t.Errorf("%q: got %+v %v, want %+v", text, got, err, want)
		}
	}
	f("", plan{})
	f("delay=50ms, status=503", plan{delay: 50 * time.Millisecond, status: 503})
	f("hang,reset,truncate,close", plan{hang: "head", reset: "head", truncate: "length", close: "header"})
	f("hang=body,reset=body,truncate=chunked,close=silent", plan{hang: "body", reset: "body", truncate: "chunked", close: "silent"})
	f("drip=1ms,head=2ms,gap=3ms", plan{drip: time.Millisecond, head: 2 * time.Millisecond, gap: 3 * time.Millisecond})
	f("flood,garbage,early,health,size=7,every=3", plan{flood: true, garbage: true, early: true, health: true, size: 7, every: 3})

	refuse := func(text, want string) {
		t.Helper()
		if _, err := parsePlan(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	refuse("dealy=1s", `unknown word "dealy"; known are close, delay, drip`)
	refuse("delay=1", "a duration such as 50ms is needed")
	refuse("status=99", "a number from 200 to 599 is needed")
	refuse("reset=tail", "one of head, body is needed")
	refuse("flood=1", "this word takes no value")
}

// TestTrouble asks for each kind of trouble and looks at what comes over the wire.
func TestTrouble(t *testing.T) {
	s := start(t, Options{})
	_, whole, _ := do(t, "POST", s.URL+inferPath, "", setosa)
	f := func(trouble string, status int, body []byte, fault error) {
		t.Helper()
		got, answer, err := do(t, "POST", s.URL+inferPath, trouble, setosa)
		if got != status || string(answer) != string(body) || !errors.Is(err, fault) {
			t.Errorf("%s\ngot  %d %q %v\nwant %d %q %v", trouble, got, answer, err, status, body, fault)
		}
	}
	half := whole[:len(whole)/2]
	f("delay=1ms", 200, whole, nil)
	f("status=503", 503, whole, nil)
	f("drip=1us", 200, whole, nil)
	f("head=1us", 200, whole, nil)
	f("close", 200, whole, nil)
	f("close=silent", 200, whole, nil)
	f("size=70000", 200, []byte(strings.Repeat(string(filling), 3)[:70000]), nil)
	f("reset", 0, nil, syscall.ECONNRESET)
	f("close=early", 0, nil, io.EOF)
	f("reset=body", 200, half, syscall.ECONNRESET)
	f("truncate", 200, half, io.ErrUnexpectedEOF)
	f("truncate=chunked", 200, half, io.ErrUnexpectedEOF)
	f("truncate=all", 200, nil, io.ErrUnexpectedEOF)
	f("early,status=413", 413, []byte("{\"error\":\"unexpected end of JSON input\"}\n"), nil)
	f("nonsense", 400, whole400(t, s), nil)

	if got, _, err := do(t, "POST", s.URL+inferPath, "garbage", setosa); got != 0 || !strings.Contains(err.Error(), "malformed HTTP") {
		t.Errorf("garbage: got %d %v", got, err)
	}
	await(t, s, func(now Stats) bool { return now.Running() == 0 && now.Open == 0 })
	if now := s.Stats(); now.Broken != 7 || now.Aborted != 0 || now.Methods["POST"] != now.Counts {
		t.Errorf("stats %+v, want 7 broken, none aborted", now)
	}
}

func whole400(t *testing.T, s *Server) []byte {
	t.Helper()
	_, err := parsePlan("nonsense")
	return append(encode(map[string]string{"error": err.Error()}), '\n')
}

func TestStreamTrouble(t *testing.T) {
	s := start(t, Options{})
	ask := []byte(`{"model":"markov","stream":true,"messages":[{"role":"user","content":"x"}]}`)
	f := func(trouble string, fault error) {
		t.Helper()
		_, answer, err := do(t, "POST", s.URL+chatPath, trouble, ask)
		if events := strings.Count(string(answer), "data: "); events != 2 || !errors.Is(err, fault) {
			t.Errorf("%s: %d events, %v; want 2, %v", trouble, events, err, fault)
		}
	}
	f("truncate", io.ErrUnexpectedEOF)
	f("truncate=chunked", io.ErrUnexpectedEOF)
	f("reset=body", syscall.ECONNRESET)
}

// TestDeparture leaves while the server hangs, drips, floods or waits, and asks whether it noticed.
func TestDeparture(t *testing.T) {
	f := func(trouble string, awaited string) {
		t.Helper()
		s := start(t, Options{})
		c := dial(t, s)
		c.send(t, inferPath, trouble, setosa)
		await(t, s, func(now Stats) bool { return now.Begun == 1 })
		if awaited != "" {
			if line, err := c.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, awaited) {
				t.Fatalf("%s: %q %v", trouble, line, err)
			}
		}
		c.Close()
		await(t, s, func(now Stats) bool { return now.Aborted == 1 && now.Running() == 0 && now.Open == 0 })
	}
	f("hang", "")
	f("delay=1h", "")
	f("hang=body", "HTTP/1.1 200")
	f("drip=1h", "HTTP/1.1 200")
	f("flood", "HTTP/1.1 200")
	f("size=1000000000000", "HTTP/1.1 200")
}

// TestCloseEndsTrouble closes the server while clients stay; nothing may be left running (goleak looks).
func TestCloseEndsTrouble(t *testing.T) {
	f := func(trouble string) {
		t.Helper()
		s := start(t, Options{})
		dial(t, s).send(t, inferPath, trouble, setosa)
		await(t, s, func(now Stats) bool { return now.Begun == 1 })
		s.Close()
		if now := s.Stats(); now.Running() != 0 || now.Broken != 1 {
			t.Errorf("%s: %+v, want one broken exchange", trouble, now)
		}
	}
	f("hang")
	f("hang=body")
	f("delay=1h")
	f("flood")
	f("head=1h")
}

func TestMisbehaveWholeServer(t *testing.T) {
	s := start(t, Options{})
	f := func(method, path string, want int) {
		t.Helper()
		if got, _, err := do(t, method, s.URL+path, "", setosa); got != want {
			t.Errorf("%s %s: got %d %v, want %d", method, path, got, err, want)
		}
	}
	set := func(words string, want int) {
		t.Helper()
		if got, answer, _ := do(t, "POST", s.URL+"/modeltest/misbehave", "", []byte(words)); got != want {
			t.Errorf("misbehave %q: got %d %s, want %d", words, got, answer, want)
		}
	}
	set("status=503", 200)
	f("POST", inferPath, 503)
	f("GET", "/v2/health/ready", 200)
	set("status=503,health", 200)
	f("GET", "/v2/health/ready", 503)
	set("speed=1", 400)
	f("POST", inferPath, 503)
	set("", 200)
	f("POST", inferPath, 200)

	if err := s.Misbehave("status=500,every=2"); err != nil {
		t.Fatal(err)
	}
	before := s.Stats().Begun
	for i := range 4 {
		want := 200
		if (before+int64(i)+1)%2 == 0 {
			want = 500
		}
		f("POST", inferPath, want)
	}
}

// TestIdleConnectionsClose holds a keep-alive connection until the server closes it.
func TestIdleConnectionsClose(t *testing.T) {
	f := func(trouble, wantHeader string, idle bool) {
		t.Helper()
		s := start(t, Options{})
		c := dial(t, s)
		c.send(t, inferPath, trouble, setosa)
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(resp.Close); got != wantHeader {
			t.Errorf("%q: answer says close=%s, want %s", trouble, got, wantHeader)
		}
		if idle {
			await(t, s, func(now Stats) bool { return now.Finished == 1 })
			closeWhenIdle(t, s)
		}
		if _, err := c.in.ReadByte(); err != io.EOF {
			t.Errorf("%q: connection ended with %v, want EOF", trouble, err)
		}
	}
	f("close", "true", false)
	f("close=silent", "false", false)
	f("", "false", true)
}

// closeWhenIdle repeats: net/http calls a connection idle a moment after its answer was counted.
func closeWhenIdle(t *testing.T, s *Server) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); s.Stats().Open > 0; {
		if time.Now().After(end) {
			t.Fatalf("an idle connection stays open: %+v", s.Stats())
		}
		if _, _, err := do(t, "POST", s.URL+"/modeltest/close-idle", "", nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRestartOnTheSamePort(t *testing.T) {
	ports, give, err := Hold(1)
	if err != nil {
		t.Fatal(err)
	}
	defer give()
	s := start(t, Options{Addr: "127.0.0.1:" + ports[0]})
	s.Close()
	if _, _, err := do(t, "GET", s.URL+"/v2/health/ready", "", nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("closed server: %v", err)
	}
	again := start(t, Options{Addr: s.Addr})
	if status, _, err := do(t, "GET", again.URL+"/v2/health/ready", "", nil); status != 200 || again.Addr != s.Addr {
		t.Fatalf("restarted on %s: %d %v", again.Addr, status, err)
	}
}

func TestSinkCountsUpload(t *testing.T) {
	s := start(t, Options{})
	_, answer, err := do(t, "POST", s.URL+"/modeltest/sink", "", make([]byte, 300_000))
	if err != nil || string(answer) != "{\"bytes\":300000}\n" {
		t.Fatalf("%s %v", answer, err)
	}
	_, stats, _ := do(t, "GET", s.URL+"/modeltest/stats", "", nil)
	if got := decode[Stats](t, stats); got.BytesIn != 300_000 || got.Begun != 0 {
		t.Errorf("stats %+v", got)
	}
}
