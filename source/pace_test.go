package source

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace{gap: 100 * time.Millisecond}
		f := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			if err := p.wait(t.Context()); err != nil || time.Since(began) != want {
				t.Errorf("waited %v, %v; want %v", time.Since(began), err, want)
			}
		}
		f(0)
		f(0)
		f(100 * time.Millisecond)
		f(100 * time.Millisecond)
		time.Sleep(time.Second) // idle time makes no longer bursts
		f(0)
		f(0)
		f(100 * time.Millisecond)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that is over: %v", err)
		}
	})
}

func TestPaceTurnsAwayWhoWouldWaitTooLong(t *testing.T) {
	p := &pace{gap: time.Second, limit: 2 * time.Second}
	now := time.Now()
	for range 4 {
		if _, err := p.take(now); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 { // and they lengthen the queue for nobody
		if _, err := p.take(now); !errors.Is(err, ErrUnreachable) {
			t.Fatalf("the fifth: %v", err)
		}
	}
	if due, err := p.take(now.Add(time.Second)); err != nil || due.Sub(now) != 3*time.Second {
		t.Errorf("a second later: %v, %v", due.Sub(now), err)
	}
}

func TestNoSecondSeesMoreThanTenQueries(t *testing.T) {
	p := newDoor(nil, nil).pace
	p.limit = 0
	now := time.Now()
	var due []time.Time
	for range 100 {
		at, _ := p.take(now)
		due = append(due, at)
	}
	for i := 10; i < len(due); i++ {
		if within := due[i].Sub(due[i-10]); within < time.Second {
			t.Fatalf("11 queries within %v", within)
		}
	}
}

func TestBackoffDoublesUpToALimit(t *testing.T) {
	var b backoff
	for round := range 3 {
		for _, ms := range []int{50, 100, 200, 400, 800, 1600, 3200, 5000, 5000} {
			limit := time.Duration(ms) * time.Millisecond
			if got := b.next(); got < limit/2 || got > limit {
				t.Errorf("round %d: pause %v, want within half of %v", round, got, limit)
			}
		}
		b.reset()
	}
}
