package source

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// pace spaces out what must not happen often: two at once, then one each gap, in order of arrival. It is the generic cell rate
// algorithm (ITU-T I.371): one time says it all.
type pace struct {
	gap   time.Duration
	limit time.Duration // whoever would have to wait longer is turned away; 0 = nobody is

	mu   sync.Mutex
	next time.Time // when the next one were due if there were no bursts
}

// wait returns when it is the caller's turn. A turn that ctx ends before is lost.
func (p *pace) wait(ctx context.Context) error {
	due, err := p.take(time.Now())
	if err != nil {
		return err
	}
	return sleep(ctx, time.Until(due))
}

// take reserves the next turn and says when it is.
func (p *pace) take(now time.Time) (due time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.next
	if next.Before(now) {
		next = now
	}
	due = next.Add(-p.gap)
	if wait := due.Sub(now); p.limit > 0 && wait > p.limit {
		return due, fmt.Errorf("%w: more is asked than the %v queries a second that mlproxy allows itself; try again in a moment",
			ErrUnreachable, int(time.Second/p.gap))
	}
	p.next = next.Add(p.gap)
	return due, nil
}

// sleep returns after d, or with ctx's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
