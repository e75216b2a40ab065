package source

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mlproxy/source/consultest"
)

// The agent that tests share which do it no harm. Each has a prefix and services of its own there.
var (
	sharedAgent   = sync.OnceValues(func() (*consultest.Agent, error) { return consultest.Launch(consultest.Options{}) })
	sharedStarted atomic.Bool
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if sharedStarted.Load() {
			if a, err := sharedAgent(); err == nil {
				a.Close()
			}
		}
		os.Exit(code)
	}))
}

func shared(t *testing.T) *consultest.Agent {
	t.Helper()
	sharedStarted.Store(true)
	a, err := sharedAgent()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // so that a test can run twice
		a.Delete(t, t.Name()+"/")
		a.Delete(t, t.Name()+"-fleet/")
	})
	return a
}

// soon bounds what should happen at once, on a machine that is busy with other tests.
const soon = 60 * time.Second

// consul is a client of an agent with the test's name as prefix. Its patience is that of a busy machine; see impatient.
func consul(t *testing.T, a *consultest.Agent, change ...func(*ConsulOptions)) *Consul {
	t.Helper()
	o := ConsulOptions{Address: a.Address(), Prefix: t.Name(), Log: quietLog(), Wait: 10 * time.Second, Patience: 20 * time.Second, SessionTTL: time.Second}
	for _, f := range change {
		f(&o)
	}
	c, err := NewConsul(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// impatient is for tests in which Consul falls silent.
func impatient(o *ConsulOptions) { o.Wait, o.Patience = time.Second, time.Second }

// background runs f until the test ends, and fails the test if f fails.
func background(t *testing.T, f func(ctx context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// next is what comes out of a channel next.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(soon):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// eventually returns once it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came to this: ", what)
		}
	}
}
