package main

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// reloads gives all traffic to one pool and then to the other, again and again, and has mlproxy take its file by every way there is.
// Every fifth time a malformed config comes first: it would give the traffic to the wrong pool.
func reloads(full, short int) cause {
	return func(ctx context.Context, x *experiment) error {
		for i := range either(x, full, short) {
			if i%5 == 4 {
				if err := x.takeMalformed(ctx, i); err != nil {
					return err
				}
			}
			if err := x.take(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
}

// turn is what the i-th config gives all traffic to.
func (x *experiment) turn(i int) (pool, config string) {
	if i%2 == 0 {
		return "canary", x.config(0, 100)
	}
	return "stable", x.config(100, 0)
}

// take writes a config and returns when it has been in force for a while, or when it is late.
func (x *experiment) take(ctx context.Context, i int) error {
	pool, config := x.turn(i)
	x.wishes = append(x.wishes, wish{at: time.Now(), pool: pool})
	if err := x.rewrite(config); err != nil {
		return err
	}
	if err := x.tell(ctx, i); err != nil {
		return err
	}
	x.awaitPool(ctx, pool)
	return wait(ctx, 150*time.Millisecond)
}

// tell has mlproxy read its file: it is told by HTTP, or by signal, or notices.
func (x *experiment) tell(ctx context.Context, i int) error {
	switch i % 3 {
	case 0:
		return x.reload(ctx, http.StatusOK)
	case 1:
		return x.proxy.signal(syscall.SIGHUP)
	}
	return nil
}

// awaitPool waits, not for ever, for an answer of the pool to a request that was sent after the last wish.
func (x *experiment) awaitPool(ctx context.Context, pool string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	since, looked := x.wishes[len(x.wishes)-1].at, 0
	x.load.await(ctx, func(seen []sample) bool {
		for ; looked < len(seen); looked++ {
			if s := &seen[looked]; s.pool == pool && s.at.After(since) {
				return true
			}
		}
		return false
	})
}

// takeMalformed writes the i-th config with a fault in it, which mlproxy must refuse.
func (x *experiment) takeMalformed(ctx context.Context, i int) error {
	pool, config := x.turn(i)
	faults := []string{"rutes: {}\n", "routes: [\n", "limits: {max_body: many}\n"}
	config += faults[i/5%len(faults)]
	if i/5%2 == 0 {
		config = strings.ReplaceAll(config, "split: {stable", "split: {stabel")
	}
	x.wishes = append(x.wishes, wish{at: time.Now(), pool: pool, malformed: true})
	if err := x.rewrite(config); err != nil {
		return err
	}
	if err := x.reload(ctx, http.StatusUnprocessableEntity); err != nil {
		return err
	}
	return wait(ctx, 150*time.Millisecond)
}
