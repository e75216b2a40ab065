package upstream

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func limited(inFlight, line int) *Options {
	return &Options{MaxInFlight: inFlight, Queue: Queue{Size: line, Timeout: 100 * time.Millisecond}}
}

func TestGateBounds(t *testing.T) {
	f := func(inFlight, line, come, wantIn, wantRefused int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var g gate
			var in, refused int
			var mu sync.Mutex
			o := limited(inFlight, line)
			for range come {
				go func() {
					err := g.enter(o, 1, nil)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						in++
					} else if errors.Is(err, ErrFull) {
						refused++
					}
				}()
			}
			synctest.Wait() // those in line wait
			mu.Lock()
			if in != wantIn || refused != wantRefused {
				t.Errorf("%d+%d: %d in and %d refused of %d, want %d and %d", inFlight, line, in, refused, come, wantIn, wantRefused)
			}
			mu.Unlock()
			time.Sleep(100 * time.Millisecond) // synctest's clock
			synctest.Wait()
			if refused != come-wantIn || g.inFlight.Load() != int64(wantIn) || g.waiting.Load() != 0 {
				t.Errorf("after the timeout: %d refused, %d in flight, %d waiting", refused, g.inFlight.Load(), g.waiting.Load())
			}
		})
	}
	f(0, 0, 100, 100, 0)
	f(1, 0, 3, 1, 2)
	f(3, 2, 10, 3, 5)
	f(3, 20, 10, 3, 0)
}

// Whoever leaves hands its place to the one that has waited longest, and none is lost or doubled.
func TestGateTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		o := limited(1, 3)
		order := make(chan int, 3)
		if err := g.enter(o, 1, nil); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			go func() {
				if g.enter(o, 1, nil) == nil {
					order <- i
				}
			}()
			synctest.Wait()
		}
		for want := range 3 {
			g.leave(2, (*load).end)
			if got := <-order; got != want {
				t.Errorf("number %d's turn came in place of number %d's", got, want)
			}
		}
		g.leave(3, (*load).end)
		if n := g.inFlight.Load(); n != 0 {
			t.Errorf("%d in flight when all have left", n)
		}
	})
}

// Who may wait no longer, or has left, gives up its place in the line to those behind it.
func TestGatePatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		o := &Options{MaxInFlight: 1, Queue: Queue{Size: 3, Timeout: time.Minute}}
		if err := g.enter(o, 1, nil); err != nil {
			t.Fatal(err)
		}
		left := make(chan struct{})
		outcomes := map[string]chan error{}
		come := func(name string, p Patience) {
			outcome := make(chan error, 1)
			outcomes[name] = outcome
			go func() { outcome <- g.enter(o, 1, p) }()
			synctest.Wait()
		}
		come("leaves", func() (time.Duration, <-chan struct{}) { return time.Hour, left })
		come("in a hurry", func() (time.Duration, <-chan struct{}) { return time.Second, nil })
		come("patient", nil)
		close(left)
		if err := <-outcomes["leaves"]; err != ErrAborted {
			t.Errorf("whose client left: %v", err)
		}
		began := time.Now()
		if err := <-outcomes["in a hurry"]; err != ErrFull || time.Since(began) != time.Second {
			t.Errorf("who had a second: %v after %v", err, time.Since(began))
		}
		g.leave(2, (*load).end)
		if err := <-outcomes["patient"]; err != nil {
			t.Errorf("who came last, when the others had gone: %v", err)
		}
		if g.waiting.Load() != 0 || g.inFlight.Load() != 1 {
			t.Errorf("%d wait, %d in flight", g.waiting.Load(), g.inFlight.Load())
		}
	})
}

func TestGateUnderContention(t *testing.T) {
	var g gate
	o := &Options{MaxInFlight: 4, Queue: Queue{Size: 64, Timeout: time.Minute}}
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for range 500 {
				if err := g.enter(o, 1, nil); err != nil {
					t.Error(err)
					return
				}
				if n := g.inFlight.Load(); n > 5 { // one that leaves may count itself in once more for an instant
					t.Errorf("%d in flight, allowed are 4", n)
				}
				g.leave(2, (*load).end)
			}
		})
	}
	all.Wait()
	if g.inFlight.Load() != 0 || g.waiting.Load() != 0 || len(g.line) != 0 {
		t.Errorf("left behind: %d in flight, %d waiting, %d in line", g.inFlight.Load(), g.waiting.Load(), len(g.line))
	}
}

// An endpoint that hangs weighs more with every moment; one that answers does not.
func TestLoadAges(t *testing.T) {
	f := func(do func(l *load), at time.Duration, want float64) {
		t.Helper()
		var l load
		do(&l)
		if got := l.aged(int64(at)); got != want {
			t.Errorf("load %v, want %v", got, want)
		}
	}
	ms := func(n int) int64 { return int64(time.Duration(n) * time.Millisecond) }
	f(func(*load) {}, time.Hour, 0)
	f(func(l *load) { l.begin(ms(100)) }, 100*time.Millisecond, 1)
	f(func(l *load) { l.begin(ms(100)); l.begin(ms(300)) }, 350*time.Millisecond, 4)
	f(func(l *load) { l.begin(ms(100)); l.begin(ms(300)); l.end(ms(350)) }, 350*time.Millisecond, 1)
	f(func(l *load) { l.begin(ms(0)); l.end(ms(10)); l.begin(ms(1000)) }, time.Second, 1)
	// A stream is load, but its length is no sign of anything.
	f(func(l *load) { l.begin(ms(0)); l.heardFrom(ms(10)); l.spare() }, time.Hour, 1)
	f(func(l *load) { l.begin(ms(0)); l.heardFrom(ms(10)); l.spare(); l.begin(ms(1000)) }, 1250*time.Millisecond, 3)
	f(func(l *load) { l.begin(ms(0)); l.begin(ms(0)); l.heardFrom(ms(100)); l.spare() }, 350*time.Millisecond, 3)
	f(func(l *load) { l.begin(ms(0)); l.heardFrom(ms(10)); l.spare(); l.await(ms(1000)); l.end(ms(1000)) }, time.Hour, 0)
	// So is a client that takes its time; when it has sent all, the silence begins.
	f(func(l *load) { l.begin(ms(0)); l.spare(); l.await(ms(1000)) }, 1250*time.Millisecond, 2)
	f(func(l *load) { l.begin(ms(0)); l.begin(ms(0)); l.spare(); l.await(ms(1000)) }, 1250*time.Millisecond, 12)
	f(func(l *load) { l.begin(ms(0)); l.spare(); l.await(ms(1000)); l.quit(ms(1000)) }, time.Hour, 0)
}

// Clients that give up on an endpoint that says nothing leave their weight behind, until it answers or some time has passed.
func TestLoadRemembersTheForsaken(t *testing.T) {
	f := func(do func(l *load), at time.Duration, want float64) {
		t.Helper()
		var l load
		l.begin(1)
		do(&l)
		if got := l.aged(int64(at)); got != want {
			t.Errorf("load %v, want %v", got, want)
		}
	}
	sec := func(n int) int64 { return int64(time.Duration(n)*time.Second) + 1 }
	f(func(l *load) { l.forsake(sec(1)) }, time.Second+1, 5)
	f(func(l *load) { l.forsake(sec(1)) }, 2*time.Second+1, 9)
	f(func(l *load) { l.begin(2); l.forsake(sec(1)) }, time.Second+1, 10)
	f(func(l *load) { l.begin(2); l.forsake(sec(1)); l.end(sec(1)) }, time.Second+1, 0)               // it answered another
	f(func(l *load) { l.forsake(int64(100 * time.Millisecond)) }, time.Second, 0)                     // nobody had waited long
	f(func(l *load) { l.forsake(sec(1)); l.begin(sec(2)) }, 2*time.Second+1, 18)                      // as silent as before
	f(func(l *load) { l.forsake(sec(1)) }, 12*time.Second, 0)                                         // worth another try
	f(func(l *load) { l.forsake(sec(1)); l.begin(sec(12)) }, 12*time.Second+1, 1)                     // which begins anew
	f(func(l *load) { l.forsake(sec(1)); l.begin(sec(12)); l.forsake(sec(13)) }, 13*time.Second+1, 5) // and fails
}

// An endpoint hangs when it has answered before, far sooner than somebody has waited in vain who gave up now.
func TestLoadThatHangs(t *testing.T) {
	sec := func(n int) int64 { return int64(time.Duration(n)*time.Second) + 1 }
	const fast, slow = 3 * time.Millisecond, time.Second
	f := func(usual time.Duration, do func(l *load), enough int64, at int, want bool) {
		t.Helper()
		var l load
		l.begin(1)
		do(&l)
		if silence, hangs := l.hangs(sec(at), 1, usual, enough); hangs != want {
			t.Errorf("after %v: %t", silence, hangs)
		}
	}
	f(fast, func(l *load) { l.forsake(sec(2)) }, 1, 2, true)
	f(fast, func(l *load) { l.forsake(sec(2)) }, 2, 2, false) // one is not enough
	f(fast, func(l *load) { l.begin(1); l.forsake(sec(1)); l.forsake(sec(2)) }, 2, 2, true)
	f(fast, func(l *load) { l.forsake(int64(700 * time.Millisecond)) }, 1, 0, false)     // all may pause
	f(slow, func(l *load) { l.forsake(sec(9)) }, 1, 9, false)                            // its answers take their time
	f(slow, func(l *load) { l.forsake(sec(11)) }, 1, 11, true)                           //
	f(0, func(l *load) { l.forsake(sec(60)) }, 1, 60, false)                             // it never answered: who knows how long it takes
	f(fast, func(l *load) { l.begin(1); l.forsake(sec(2)) }, 1, 2, true)                 // others wait as well
	f(fast, func(l *load) { l.begin(1); l.forsake(sec(2)); l.end(sec(2)) }, 1, 2, false) // it answered another
	f(fast, func(l *load) { l.begin(1); l.spare(); l.forsake(sec(2)) }, 1, 2, false)     // a stream comes from it
	var l load
	l.begin(1)
	l.begin(sec(3))
	l.forsake(sec(3) + int64(300*time.Millisecond))
	if _, hangs := l.hangs(sec(3)+int64(300*time.Millisecond), sec(3), fast, 1); hangs {
		t.Error("somebody in a hurry leaves while another waits long: that is no sign")
	}
}
