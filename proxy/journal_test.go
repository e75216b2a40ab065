package proxy

import (
	"testing"
	"time"

	"mlproxy/config"
	"mlproxy/monitor"
)

// diary is a journal that wants everything, or nothing.
type diary struct {
	open bool
	kept chan string
}

func (d diary) Wants() bool             { return d.open }
func (d diary) Offer(r *monitor.Record) { d.kept <- r.Route + " " + r.Pool }

// An exchange comes to the journal once: from the inspector if it is inspected, which has no room for more than wait, else at its end.
func TestExchangesThatAreNotInspectedAreInTheJournal(t *testing.T) {
	const mostWaiting = 1024 // in the inspector, which nobody runs
	f := func(route *config.Route, exchanges, want int) {
		t.Helper()
		d := diary{true, make(chan string, exchanges)}
		r := newRig(t, route, func(o *Options) {
			o.Inspector, o.Journal = monitor.NewInspector(o.Registry), d
		})
		for range exchanges {
			r.exchange(t)
		}
		for range want {
			select {
			case got := <-d.kept:
				if got != "iris stable" {
					t.Errorf("%s is in the journal", got)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%d of %d exchanges are missing in the journal", want, exchanges)
			}
		}
		r.exchange(t) // and with it the end of those before
		if n := len(d.kept); n > 1 {
			t.Errorf("%d exchanges too many are in the journal", n)
		}
	}
	f(inspected(0, 1<<20), 3, 3)
	f(inspected(1, 1<<20), 3, 0)
	f(inspected(1, 1<<20), mostWaiting+3, 3)
}

// A journal that does not draw an exchange costs it no allocation.
func TestAllocsOfTheJournal(t *testing.T) {
	r := newRig(t, &config.Route{Split: config.Weights{"stable": 1}}, func(o *Options) { o.Journal = diary{} })
	for range 100 {
		r.exchange(t)
	}
	if n := testing.AllocsPerRun(2000, func() { r.exchange(t) }); n > 0 && !raceDetector {
		t.Errorf("%v allocations per exchange, want 0", n)
	}
}
