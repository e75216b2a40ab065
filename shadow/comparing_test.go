package shadow

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"mlproxy/config"
	"mlproxy/router"
)

// jsonly is a shadow whose answers are compared value by value.
func jsonly(c *config.Shadow) *config.Shadow {
	c.Compare = config.Compare{Mode: "json", Ignore: []string{"id"}, Keep: 3, Bodies: "excerpt"}
	return c
}

// withAnswer gives the live exchange an answer that comparisons can look into.
func withAnswer(o *Original, body string) *Original {
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
	var sum Sum
	sum.Reset()
	sum.Add([]byte(body))
	o.AnswerSum, o.AnswerLen, o.Answer, o.Pool = sum.Hash(), sum.Len(), Kept{Bytes: []byte(head + body), Head: len(head)}, "live"
	return o
}

func answerOf(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestAnswersAreLookedInto(t *testing.T) {
	f := func(live, shadow string, result map[string]int, verdict string) {
		t.Helper()
		s := newStage(t, serve(t, answering(shadow)), jsonly(caps()))
		s.mirror.Offer(s.shadow, withAnswer(original("x", 200, ""), live), headOf(1))
		s.end(t)
		if got := s.counted(t, "compared"); !maps.Equal(got, result) {
			t.Errorf("%s and %s: %v, want %v", live, shadow, got, result)
		}
		if r := ReportOf(s.shadow); !strings.HasPrefix(r.Verdict, verdict) {
			t.Errorf("%s and %s: %q, want %q", live, shadow, r.Verdict, verdict)
		}
	}
	agree, differ, failed := map[string]int{"agree": 1}, map[string]int{"differ": 1}, map[string]int{"error": 1}
	f(`{"id":1,"p":[1,2]}`, answerOf(`{"p":[1.0,2],"id":2}`), agree, "differs 0.0% [0.0, 79.3]")
	f(`{"p":[1,2]}`, answerOf(`{"p":[1,3]}`), differ, "differs 100.0% [20.7, 100.0]")
	f(`{"p":[1,2]}`, answerOf(`{"p":[1,`), failed, "nothing compared yet")
	f(`{"p":[1,2]}`, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", differ, "differs 100.0%")
	f(`no JSON`, answerOf(`no JSON`), agree, "differs 0.0%")
}

// What was found is told with the request it was found by, without what is nobody's business.
func TestDisagreementsAreKept(t *testing.T) {
	tell := func(bodies string) Disagreement {
		c := jsonly(caps())
		c.Compare.Bodies = bodies
		s := newStage(t, serve(t, answering(answerOf(`{"p":2,"token":"b"}`))), c)
		body := `{"x":1,"api_key":"k"}`
		s.mirror.Offer(s.shadow, withAnswer(original(body, 200, ""), `{"p":1,"token":"a"}`), func(dst []byte, _ *router.Pool, _ bool) []byte {
			return fmt.Appendf(dst, "POST /v1/x?key=secret HTTP/1.1\r\nHost: m\r\nX-Request-ID: r-1\r\nContent-Length: %d\r\n\r\n", len(body))
		})
		s.end(t)
		worst := ReportOf(s.shadow).Worst
		if len(worst) != 1 {
			t.Fatalf("%d disagreements are kept, want 1", len(worst))
		}
		return worst[0]
	}
	d := tell("excerpt")
	if d.RequestID != "r-1" || d.Method != "POST" || d.Path != "/v1/x" || d.Pool != "live" || d.Severity != 1 || d.Live.Status != 200 {
		t.Errorf("%+v", d)
	}
	if d.Request.Excerpt != `{"x":1,"api_key":"redacted"}` || d.Shadow.Body.Excerpt != `{"p":2,"token":"redacted"}` {
		t.Errorf("%q, %q", d.Request.Excerpt, d.Shadow.Body.Excerpt)
	}
	if len(d.Differences) != 2 || *d.Differences[0].Live != "1" || *d.Differences[0].Shadow != "2" || d.Differences[1].Live != nil {
		t.Errorf("%+v", d.Differences)
	}
	d = tell("hash")
	if len(d.Request.SHA256) != 64 || d.Request.Excerpt != "" || d.Live.Body.Excerpt != "" || d.Differences[0].Live != nil || d.Differences[0].Field != "p" {
		t.Errorf("%+v", d)
	}
}

// While comparing stands still every copy is sent all the same; what waits is bounded, and what cannot wait is counted.
func TestSlowComparingHarmsNothing(t *testing.T) {
	c := jsonly(caps())
	c.MaxInFlight = 1
	s := newStage(t, serve(t, answering(answerOf(`{"p":1}`))), c)
	for range mostComparing {
		s.mirror.compare <- struct{}{} // as if others were compared
	}
	const n = mostWaiting + 20
	o := withAnswer(original("x", 200, ""), `{"p":1}`)
	for range n {
		s.mirror.Offer(s.shadow, o, headOf(1))
		s.quiet(t)
	}
	if sent, held := s.total(t, "requests"), s.shadow.Bytes.Load(); sent != n || held != 0 {
		t.Errorf("%d of %d copies were sent, %d bytes are charged to them", sent, n, held)
	}
	for range mostComparing {
		<-s.mirror.compare
	}
	s.end(t)
	// One comparison may have left the queue before it stood still.
	got, errors := s.counted(t, "compared"), s.counted(t, "compare_errors")
	if got["agree"]+got["error"] != n || got["agree"] < mostWaiting || got["agree"] > mostWaiting+1 || errors["busy"] != got["error"] {
		t.Errorf("compared %v, errors %v of %d", got, errors, n)
	}
}

// An answer that may not be kept is compared by its fingerprint, or not at all.
func TestAnswersThatMayNotBeKept(t *testing.T) {
	large := `{"p":"` + strings.Repeat("x", 1000) + `"}`
	f := func(tune func(*config.Shadow), live, shadow string, want map[string]int) {
		t.Helper()
		c := jsonly(caps())
		tune(c)
		s := newStage(t, serve(t, answering(answerOf(shadow))), c)
		s.mirror.Offer(s.shadow, withAnswer(original("x", 200, ""), live), headOf(1))
		s.end(t)
		got := s.counted(t, "compare_errors")
		if !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if want == nil && s.counted(t, "compared")["agree"] != 1 {
			t.Errorf("%v, want agreement", s.counted(t, "compared"))
		}
	}
	f(func(c *config.Shadow) { c.MaxBody = 100 }, large, `{"p":1}`, map[string]int{"too_large": 1})
	f(func(c *config.Shadow) { c.MaxBody = 100 }, `{"p":1}`, large, map[string]int{"too_large": 1})
	f(func(c *config.Shadow) { c.MaxBody = 100 }, large, large, nil)
	f(func(c *config.Shadow) { c.MaxBytes = 500 }, large, `{"p":1}`, map[string]int{"bytes": 1})
	f(func(c *config.Shadow) { c.MaxBytes = 500 }, `{"p":1}`, large, map[string]int{"bytes": 1})
}

// The live pool is asked again with the marker, for the methods alone that may be repeated, and what it says of itself is
// told beside what the shadow says.
func TestNoise(t *testing.T) {
	f := func(method string, want map[string]int, verdict string) {
		t.Helper()
		var probes atomic.Int64
		live := serve(t, func(c *net.TCPConn) {
			in := bufio.NewReader(c)
			for {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if r.Header.Get("X-MLProxy-Shadow") != "true" {
					t.Error("the live pool was asked again without the marker")
				}
				if _, err := c.Write([]byte(answerOf(fmt.Sprintf(`{"p":%d}`, probes.Add(1)%2)))); err != nil {
					return
				}
			}
		})
		c := jsonly(caps())
		c.NoiseProbe = 1
		s := newStageBeside(t, live, serve(t, answering(answerOf(`{"p":1}`))), c)
		o := withAnswer(original("", 200, ""), `{"p":1}`)
		o.Method = method
		head := fmt.Sprintf("%s /p HTTP/1.1\r\nHost: m\r\nX-MLProxy-Shadow: true\r\nContent-Length: 0\r\n\r\n", method)
		for range 10 {
			s.mirror.Offer(s.shadow, o, func(dst []byte, _ *router.Pool, _ bool) []byte { return append(dst, head...) })
			s.quiet(t)
		}
		s.end(t)
		if got := s.counted(t, "noise"); !maps.Equal(got, want) {
			t.Errorf("%s: noise %v, want %v", method, got, want)
		}
		if got := s.counted(t, "compared"); !maps.Equal(got, map[string]int{"agree": 10}) {
			t.Errorf("%s: compared %v, want 10 that agree", method, got)
		}
		if r := ReportOf(s.shadow); r.Verdict != verdict {
			t.Errorf("%s: %q, want %q", method, r.Verdict, verdict)
		}
	}
	f("POST", map[string]int{"agree": 5, "differ": 5}, "differs 0.0% [0.0, 27.8], noise 50.0%")
	f("DELETE", nil, "differs 0.0% [0.0, 27.8]")
}

func TestResetForgets(t *testing.T) {
	s := newStage(t, serve(t, answering(answerOf(`{"p":2}`))), jsonly(caps()))
	Reset(s.shadow) // nothing to forget yet
	s.mirror.Offer(s.shadow, withAnswer(original("x", 200, ""), `{"p":1}`), headOf(1))
	s.end(t)
	before := ReportOf(s.shadow)
	if before.Rows.Differ != 1 || len(before.Worst) != 1 || before.Fields[0].Field != "p" || before.Latency.Shadow.P50 == 0 {
		t.Errorf("%+v", before)
	}
	Reset(s.shadow)
	if r := ReportOf(s.shadow); r.Rows.Compared != 0 || r.Worst != nil || r.Fields != nil || r.Since.Before(before.Since) {
		t.Errorf("after a reset there is %+v", r)
	}
}
