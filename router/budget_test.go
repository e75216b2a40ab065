package router

import (
	"testing"
	"testing/synctest"
	"time"

	"mlproxy/config"
)

func TestBudget(t *testing.T) {
	f := func(what string, cfg config.Retry, before func(*Budget), want int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			b := newBudget(&cfg)
			before(b)
			got := 0
			for b.Spend() {
				got++
			}
			if got != want {
				t.Errorf("%s: %d retries; want %d", what, got, want)
			}
		})
	}
	requests := func(n int) func(*Budget) {
		return func(b *Budget) {
			for range n {
				b.Earn()
			}
		}
	}
	later := func(do func(*Budget), wait time.Duration) func(*Budget) {
		return func(b *Budget) {
			do(b)
			time.Sleep(wait)
		}
	}
	fifth, both := config.Retry{Budget: .2}, config.Retry{Budget: .2, MinPerSecond: 3}
	f("nothing earned", fifth, requests(0), 0)
	f("a fifth", fifth, requests(100), 20)
	f("a fifth, whole ones", fifth, requests(9), 1)
	f("earned a second ago", fifth, later(requests(100), time.Second), 20)
	f("earned evenly in the last twenty seconds", fifth, later(requests(100), 20*time.Second), 10)
	f("earned and settled eleven seconds ago", fifth, later(func(b *Budget) { requests(1005)(b); b.Spend() }, 11*time.Second), 0)
	f("half stale", fifth, later(func(b *Budget) { requests(105)(b); b.Spend() }, 5*time.Second), 10)
	f("allowance", both, requests(0), 3)
	f("allowance and earned", both, requests(100), 23)
	f("allowance comes again", both, later(func(b *Budget) { requests(0)(b); b.Spend(); b.Spend(); b.Spend() }, 700*time.Millisecond), 2)
	f("allowance does not heap up", both, later(requests(0), time.Hour), 3)
	f("a small allowance", config.Retry{MinPerSecond: .5}, requests(0), 1)
	f("none", config.Retry{}, later(requests(1000), time.Hour), 0)
}

// A storm in which every request fails costs no more than the budget's share.
func TestBudgetInAStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(&config.Retry{Budget: .2, MinPerSecond: 3})
		retries := 0
		for range 60 * 400 {
			b.Earn()
			if b.Spend() {
				retries++
			}
			time.Sleep(time.Second / 400)
		}
		if most := 60*400/5 + 60*3 + 3; retries > most || retries < most*9/10 {
			t.Errorf("%d retries; want at most %d, and not many fewer", retries, most)
		}
	})
}
