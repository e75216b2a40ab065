package upstream

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"mlproxy/health"
)

// What a try tells the endpoint's health: a breaker that one failure opens shows it.
func TestTryTellsHealth(t *testing.T) {
	f := func(name string, status int, err error, wantOpen bool) {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, serve(t).url)
			o := &Options{ConnectTimeout: 5 * time.Second, Breaker: Breaker{ConsecutiveFailures: 1, OpenFor: time.Hour, FailureStatus: []int{500, 503}}}
			e.Health().Configure(o.Breaker, nil)
			try := Try{}
			try.Carry = func(*Conn) (bool, error) {
				try.Answered(status)
				return false, err
			}
			if got := try.Do(e, o, false, false); !errors.Is(got, err) {
				t.Errorf("the try returned %v, not %v", got, err)
			}
			if open := e.Health().Condition().Breaker == "open"; open != wantOpen {
				t.Errorf("breaker open: %v, want %v", open, wantOpen)
			}
			again := try.Do(e, o, false, false)
			if refused := errors.Is(again, ErrOpen); refused != wantOpen {
				t.Errorf("the next try: %v", again)
			}
			if insisted := try.Do(e, o, false, true); errors.Is(insisted, ErrOpen) {
				t.Error("a try that insists was refused")
			}
			if n := e.InFlight(); n != 0 {
				t.Errorf("%d in flight afterwards", n)
			}
		})
	}
	f("ok", 200, nil, false)
	f("not found", 404, nil, false)
	f("failure status", 503, nil, true)
	f("other 5xx", 501, nil, false)
	f("client left", 0, ErrAborted, false)
	f("client's body", 0, errors.New("the client's"), false)
	f("full", 0, ErrFull, false)
	f("reset", 0, ErrReset, true)
	f("timeout", 0, ErrTimeout, true)
	f("invalid", 0, ErrInvalid, true)
	f("failure given up for another try", 503, errors.New("tried elsewhere"), true)
}

// silent is an endpoint whose answers took 3 ms, and whose breaker five failures in a row open, or one silence. Its clock stands.
func silent(t *testing.T) (*Endpoint, *Options) {
	t.Helper()
	url := serve(t).url
	e := newEndpoint(url, NewWatch(), health.NewState(health.Name{Endpoint: url}, nil))
	t.Cleanup(e.close)
	o := &Options{ConnectTimeout: 5 * time.Second, Breaker: Breaker{ConsecutiveFailures: 5, OpenFor: time.Hour, FailureStatus: []int{503}, Knock: &Knock{}}}
	e.Health().Configure(o.Breaker, nil)
	prober := health.NewProber(func(health.Transition) {}) // that does not run: it is there to be asked for
	prober.Add(e.Health())
	t.Cleanup(func() { prober.Remove(e.Health()) })
	e.Observe(3 * time.Millisecond)
	return e, o
}

// waits is a try that ends with err after a time in which nothing came.
func waits(e *Endpoint, o *Options, d time.Duration, err error, also ...func(*Try, *Conn)) {
	try := &Try{Path: []byte("/x")}
	try.Carry = func(c *Conn) (bool, error) {
		for _, f := range also {
			f(try, c)
		}
		e.watch.now.Add(int64(d))
		if err != nil {
			c.wire.Cut()
		}
		return false, err
	}
	_ = try.Do(e, o, false, false)
}

// Tries that are given up after a silence take the endpoint out at once, if they show that it hangs; see [health.Silence].
func TestSilenceOpensTheBreaker(t *testing.T) {
	const long, short = 2 * time.Second, 700 * time.Millisecond
	f := func(what string, want bool, tries func(e *Endpoint, o *Options)) {
		t.Helper()
		e, o := silent(t)
		tries(e, o)
		if open := e.Health().Condition().Breaker == "open"; open != want {
			t.Errorf("%s: the breaker is open: %v", what, open)
		}
	}
	times := func(n int, d time.Duration, err error, also ...func(*Try, *Conn)) func(*Endpoint, *Options) {
		return func(e *Endpoint, o *Options) {
			for range n {
				waits(e, o, d, err, also...)
			}
		}
	}
	f("one timeout", true, times(1, long, ErrTimeout))
	f("one that was short", false, times(1, short, ErrTimeout))
	f("a user who leaves", false, times(1, long, ErrAborted))
	f("two", true, times(2, long, ErrAborted))
	f("four, in a hurry", false, times(4, short, ErrAborted))
	f("resets", false, times(4, long, ErrReset))
	f("our own limit", false, times(4, long, ErrFull))
	f("uploads", false, times(4, long, ErrTimeout, func(try *Try, _ *Conn) { try.Uploads() }))
	f("a stream comes", false, times(4, long, ErrTimeout, func(_ *Try, c *Conn) { c.Streams() }))
	f("one whose answer had begun", false, times(1, long, ErrTimeout, func(_ *Try, c *Conn) { c.spoken = true }))
	f("who stood in line", false, func(e *Endpoint, o *Options) {
		limited := *o
		limited.MaxInFlight, limited.Queue = 1, Queue{Size: 4, Timeout: time.Minute}
		gone := make(chan struct{})
		close(gone)
		waits(e, &limited, 0, nil, func(*Try, *Conn) { // its place is taken until the others have left
			for range 4 {
				left := &Try{Patience: func() (time.Duration, <-chan struct{}) { e.watch.now.Add(int64(long)); return time.Hour, gone }}
				if err := left.Do(e, &limited, false, false); !errors.Is(err, ErrAborted) {
					t.Error(err)
				}
			}
		})
	})
}

// One user who gives up raises a doubt, which the prober settles: this endpoint answers nobody.
func TestOneUserRaisesADoubt(t *testing.T) {
	e, o := silent(t)
	o.Breaker.OpenFor = 100 * time.Millisecond // of which a knock waits half
	told := make(chan health.Transition, 100)
	s := health.NewState(health.Name{Endpoint: e.url}, func(h health.Transition) { told <- h })
	e.health = s
	s.Configure(o.Breaker, nil)
	prober := health.NewProber(func(health.Transition) {})
	prober.Add(s)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { prober.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	waits(e, o, 2*time.Second, ErrAborted)
	for {
		select {
		case h := <-told:
			if h.To == "open" {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nobody looks after an endpoint that one user gave up on")
		}
	}
}

// mute has mlproxy's own questions to the endpoint, which never answers, be over.
func mute(t *testing.T, e *Endpoint, o *Options) {
	t.Helper()
	e.Health().Configure(o.Breaker, &Check{Path: "/", Timeout: 10 * time.Millisecond, Fall: 1})
	prober := health.NewProber(func(health.Transition) {})
	prober.Add(e.Health())
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { prober.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	for deadline := time.Now().Add(10 * time.Second); !e.Health().Mute(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("no probe fails")
		}
	}
}

// A try that insists on an endpoint which answers nobody, mlproxy neither, waits for less; all others wait for as long as the route says.
func TestInsistingOnTheSilent(t *testing.T) {
	f := func(what string, want time.Duration, insist bool, before func(e *Endpoint, o *Options)) {
		t.Helper()
		e, o := silent(t)
		before(e, o)
		try, got := &Try{}, time.Duration(0)
		try.Carry = func(*Conn) (bool, error) {
			got = try.Limit()
			return false, ErrTimeout
		}
		_ = try.Do(e, o, false, insist)
		if got != want || try.Hurried() != (want > 0) {
			t.Errorf("%s: it has %v, hurried %v", what, got, try.Hurried())
		}
	}
	gaveUp := func(e *Endpoint, o *Options) { waits(e, o, 2*time.Second, ErrTimeout) }
	othersWait := func(e *Endpoint, _ *Options) { e.gate.begin(0); e.watch.now.Add(int64(time.Second)) }
	whenMute := func(then func(*Endpoint, *Options)) func(*Endpoint, *Options) {
		return func(e *Endpoint, o *Options) { mute(t, e, o); then(e, o) }
	}
	f("no answer, and nobody waited", 0, true, whenMute(func(e *Endpoint, _ *Options) { e.watch.now.Add(int64(time.Hour)) }))
	f("others wait", 400*time.Millisecond, true, whenMute(othersWait))
	f("others wait, and no probe failed", 0, true, othersWait)
	f("others wait, for no more than usual", 0, true, whenMute(func(e *Endpoint, o *Options) {
		e.Observe(200 * time.Millisecond)
		othersWait(e, o)
	}))
	f("others wait, for more than usual", 2*time.Second, true, whenMute(func(e *Endpoint, o *Options) {
		e.Observe(200 * time.Millisecond)
		e.gate.begin(0)
		e.watch.now.Add(int64(3 * time.Second))
	}))
	f("not insisted on", 0, false, whenMute(othersWait))
	f("others gave up", 0, true, gaveUp) // which a fit endpoint may have had
	f("it answered since", 0, true, whenMute(func(e *Endpoint, o *Options) { othersWait(e, o); e.gate.heardFrom(e.watch.Now()) }))
}

// A try that stood in line, or comes late for another reason, says nothing of the endpoint when its time is over.
func TestLateTries(t *testing.T) {
	f := func(what string, err error, open bool, also ...func(*Try, *Conn)) {
		t.Helper()
		e, o := silent(t)
		for range 5 {
			waits(e, o, 100*time.Millisecond, err, also...)
		}
		if got := e.Health().Condition().Breaker == "open"; got != open {
			t.Errorf("%s: the breaker is open: %v", what, got)
		}
	}
	f("timeouts", ErrTimeout, true)
	late := func(try *Try, _ *Conn) { try.Late() }
	f("late timeouts", ErrTimeout, false, late)
	f("late resets", ErrReset, true, late)
}
