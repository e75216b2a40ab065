package source

import (
	"context"
	"errors"
	"testing"
	"time"

	"mlproxy/source/consultest"
)

// term is one time of leading: of whom, and until when.
type term struct {
	who   string
	ctx   context.Context
	guard Guard
	end   chan struct{} // closed by the test: lead returns
}

// campaigning stands for leader; each election comes out of terms, and lasts until the test says so.
func campaigning(t *testing.T, c *Consul, who string, terms chan<- term) (stop func()) {
	return background(t, func(ctx context.Context) error {
		return c.Campaign(ctx, "rollouts", func(ctx context.Context, g Guard) {
			now := term{who: who, ctx: ctx, guard: g, end: make(chan struct{})}
			select {
			case terms <- now:
			case <-ctx.Done():
				return
			}
			select {
			case <-now.end:
			case <-t.Context().Done(): // the test gave up
			}
		})
	})
}

func TestLeadershipIsHandedOver(t *testing.T) {
	t.Parallel()
	a := shared(t)
	terms := make(chan term)
	stops := map[string]func(){}
	for _, who := range []string{"one", "two"} {
		c := consul(t, a, patientSession, func(o *ConsulOptions) { o.Patience = time.Minute }) // and so long is the lock's delay
		stops[who] = campaigning(t, c, who, terms)
	}
	first := next(t, terms)
	if _, err := first.guard.Put(t.Context(), "rollout", []byte("1"), 0); err != nil {
		t.Error(err)
	}
	close(first.end) // lead may return only now: a stop waits for it
	stops[first.who]()
	second := next(t, terms)
	for ; second.who == first.who; second = next(t, terms) { // it may have stepped down before it was stopped
		close(second.end)
	}
	if _, err := second.guard.Put(t.Context(), "rollout", []byte("2"), 0); !errors.Is(err, ErrConflict) || errors.Is(err, ErrNotLeader) {
		t.Errorf("a leader's write is no compare-and-set: %v", err)
	}
	if _, err := first.guard.Put(t.Context(), "other", []byte("1"), 0); !errors.Is(err, ErrNotLeader) {
		t.Errorf("Put of one who stepped down: %v", err)
	}
	if err := second.guard.Delete(t.Context(), "rollout", 0); err != nil {
		t.Error(err)
	}
	close(second.end)
}

// A leader that was cut off, or stood still, and does not know yet that another was elected.
func TestAnExLeaderCannotWrite(t *testing.T) {
	t.Parallel()
	a := shared(t)
	delay := func(o *ConsulOptions) { o.Patience = 5 * time.Second } // and so long is the lock's delay
	old, young := consul(t, a, patientSession, delay), consul(t, a, patientSession, delay)
	terms := make(chan term)
	campaigning(t, old, "old", terms)
	first := next(t, terms)
	campaigning(t, young, "young", terms)
	endSessions(t, young)
	second := next(t, terms)
	index, err := second.guard.Put(t.Context(), "rollout", []byte("young"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.guard.Put(t.Context(), "rollout", []byte("old"), index); !errors.Is(err, ErrNotLeader) {
		t.Errorf("Put of the old one: %v", err)
	}
	if err := first.guard.Delete(t.Context(), "rollout", index); !errors.Is(err, ErrNotLeader) {
		t.Errorf("Delete of the old one: %v", err)
	}
	next(t, first.ctx.Done())
	close(first.end)
	close(second.end)
}

func TestALeaderWithoutConsulLeadsNoMore(t *testing.T) {
	t.Parallel()
	a := consultest.Start(t, consultest.Options{})
	c := consul(t, a, impatient)
	terms := make(chan term)
	campaigning(t, c, "one", terms)
	for _, fault := range []struct{ begin, end func() }{
		{a.Freeze, a.Thaw},
		{a.Kill, func() { a.Restart(t, false) }},
	} {
		now := next(t, terms)
		fault.begin()
		next(t, now.ctx.Done())
		close(now.end)
		fault.end()
	}
	close(next(t, terms).end)
}
