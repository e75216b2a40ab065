package proxy

import (
	"bufio"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/modeltest"
	"mlproxy/monitor"
	"mlproxy/router"
)

// kept are records as text, since they are not to be kept themselves.
type kept chan string

func (k kept) Wants(status int, _ monitor.Reason) bool { return status != 204 }

func (k kept) Offer(r *monitor.Record) {
	o := r.Seen
	k <- fmt.Sprintf("%s %s %s%s %s ua=%s route=%s pool=%s by=%s from=%s endpoint=%s tries=%d %d %v in=%d out=%d sent=%v answered=%v id=%d timed=%v",
		r.Client, r.Method, r.Host, r.Path, r.Protocol, r.UserAgent, r.Route, r.Pool, r.AssignedBy, r.FailedOverFrom, r.Endpoint, r.Tries,
		o.Status, o.Reason, o.BytesIn, o.BytesOut, o.Sent, o.Answered, len(r.RequestID), time.Since(r.At) < time.Minute && o.Duration > 0)
}

func TestRecords(t *testing.T) {
	model := listen(t)
	go http.Serve(model, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:errcheck // ends with its listener
		if r.URL.RawQuery == "nothing" {
			w.WriteHeader(204)
			return
		}
		fmt.Fprint(w, "hello")
	}))
	front := listen(t)
	dead, _, give, err := modeltest.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer give()
	cfg := plainConfig(model.Addr().String(), &config.Route{Split: config.Weights{"stable": 1}, ForceHeader: "x-pool", BodyIdleTimeout: time.Second})
	cfg.Routes["doomed"] = &config.Route{
		Name: "doomed", Match: config.Match{Path: "/doomed"}, Split: config.Weights{"canary": 1}, Timeout: time.Second, BodyIdleTimeout: time.Second,
		Sticky: []config.KeySource{{Kind: "client_ip"}}, Retry: config.Retry{Attempts: 2, On: []string{"connect"}, MinPerSecond: 100},
	}
	cfg.Pools["canary"].Endpoints[0].URL = "http://" + dead
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	records := make(kept, 1)
	startProxy(t, cfg, front, func(o *Options) { o.Access = records })

	f := func(request, want string) {
		t.Helper()
		c := dial(t, front)
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write([]byte(strings.ReplaceAll(request, "\n", "\r\n"))); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		want = strings.NewReplacer("MODEL", "http://"+model.Addr().String(), "DEAD", "http://"+dead).Replace(want)
		if got := <-records; got != want {
			t.Errorf("%q\n got %s\nwant %s", request, got, want)
		}
	}
	const head = " /v2/models/iris/x?secret=1 HTTP/1.1\nHost: Models.example:80\nUser-Agent: a b\n"
	f("GET"+head+"\n",
		"127.0.0.1 GET Models.example/v2/models/iris/x HTTP/1.1 ua=a b route=iris pool=stable by=rotation from= endpoint=MODEL tries=1 "+
			"200 none in=0 out=5 sent=true answered=true id=36 timed=true")
	f("POST"+head+"X-Forwarded-For: 192.0.2.1\nX-Request-ID: mine\nX-Pool: stable\nContent-Length: 3\n\nabc",
		"192.0.2.1 POST Models.example/v2/models/iris/x HTTP/1.1 ua=a b route=iris pool=stable by=force from= endpoint=MODEL tries=1 "+
			"200 none in=3 out=5 sent=true answered=true id=4 timed=true")
	f("GET /v2/models/iris/x HTTP/1.0\n\n",
		"127.0.0.1 GET /v2/models/iris/x HTTP/1.0 ua= route=iris pool=stable by=rotation from= endpoint=MODEL tries=1 "+
			"200 none in=0 out=5 sent=true answered=true id=36 timed=true")
	f("GET /nowhere?secret=1 HTTP/1.1\nHost: h\n\n",
		"127.0.0.1 GET h/nowhere HTTP/1.1 ua= route= pool= by= from= endpoint= tries=0 404 no_route in=0 out=0 sent=false answered=false id=36 timed=true")
	f("GET http://user:secret@h/x HTTP/1.1\nHost: h\n\n",
		"127.0.0.1 GET h HTTP/1.1 ua= route= pool= by= from= endpoint= tries=0 400 bad_request in=0 out=0 sent=false answered=false id=36 timed=true")
	f("nonsense\n\n",
		"127.0.0.1    ua= route= pool= by= from= endpoint= tries=0 400 bad_request in=0 out=0 sent=false answered=false id=36 timed=true")
	f("GET /doomed HTTP/1.1\nHost: h\n\n",
		"127.0.0.1 GET h/doomed HTTP/1.1 ua= route=doomed pool=canary by=key from= endpoint=DEAD tries=3 "+
			"502 upstream_connect in=0 out=0 sent=false answered=false id=36 timed=true")

	c := dial(t, front)
	_, _ = c.Write([]byte("GET /v2/models/iris/x?nothing HTTP/1.1\r\nHost: h\r\n\r\n")) // not wanted
	receive(t, c)
	f("GET /v2/models/iris/next HTTP/1.1\nHost: h\n\n",
		"127.0.0.1 GET h/v2/models/iris/next HTTP/1.1 ua= route=iris pool=stable by=rotation from= endpoint=MODEL tries=1 "+
			"200 none in=0 out=5 sent=true answered=true id=36 timed=true")
}

func TestRecordOfAFailover(t *testing.T) {
	version := func(pool string) *router.Version { return &router.Version{Pool: &router.Pool{Name: pool}} }
	x := &exchange{passage: passage{route: &router.Route{Name: "iris"}, chosen: version("canary"), version: version("stable")}}
	var r monitor.Record
	x.retrace(&r)
	if r.Pool != "stable" || r.FailedOverFrom != "canary" || r.Route != "iris" || r.AssignedBy != "key" {
		t.Errorf("got %+v", r)
	}
}

// greedy wants everything and keeps nothing.
type greedy struct{}

func (greedy) Wants(int, monitor.Reason) bool { return true }
func (greedy) Offer(*monitor.Record)          {}

// sated wants nothing.
type sated struct{ greedy }

func (sated) Wants(int, monitor.Reason) bool { return false }

// What is said to the access log costs no allocation, wanted or not.
func TestAllocsOfRecords(t *testing.T) {
	f := func(name string, access Access) {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &config.Route{Split: config.Weights{"stable": 1}}, func(o *Options) { o.Access = access })
			for range 100 {
				r.exchange(t)
			}
			if n := testing.AllocsPerRun(2000, func() { r.exchange(t) }); n > 0 && !raceDetector {
				t.Errorf("%v allocations per exchange, want 0", n)
			}
		})
	}
	f("wanted", greedy{})
	f("not wanted", sated{})
}
