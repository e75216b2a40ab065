package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"
)

// watch asks one question of Consul for as long as it is wanted, by blocking queries: Consul answers when the answer's index is
// above the one we know, or after a while. Errors are waited out; every error, and every index that goes backwards (a server
// restored or replaced), begins again without an index.
type watch struct {
	c        *Consul
	log      *slog.Logger
	standing *standing
	paces    []*pace // besides the one of all queries
	// ask asks once. stale says why an answer was not taken though Consul gave it.
	ask func(ctx context.Context, q *api.QueryOptions) (meta *api.QueryMeta, stale string, err error)
}

// run returns when ctx ends.
func (w *watch) run(ctx context.Context) {
	var index uint64
	var pause backoff
	for w.turn(ctx) == nil {
		meta, stale, err := w.once(ctx, index)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.standing.failed(err, w.log)
			index = 0
			_ = sleep(ctx, pause.next()) // ctx ends the next turn
		default:
			w.standing.answered(time.Now(), stale, w.log)
			index = follow(index, meta.LastIndex)
			pause.reset()
		}
	}
}

// turn waits until the watch may ask again.
func (w *watch) turn(ctx context.Context) error {
	for _, p := range w.paces {
		if err := p.wait(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (w *watch) once(ctx context.Context, index uint64) (*api.QueryMeta, string, error) {
	patience, wait := w.c.options.Patience, w.c.options.Wait
	if index > 0 {
		patience += wait + wait/16 // Consul adds up to a sixteenth, so that not all come back at once
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q := &api.QueryOptions{WaitIndex: index, WaitTime: wait}
	meta, stale, err := w.ask(ctx, q.WithContext(ctx))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, "", fmt.Errorf("%w: nothing came within %v", ErrUnreachable, patience)
	case err != nil:
		return nil, "", plain(err)
	}
	return meta, stale, nil
}

// follow is the index to wait for next: none after one that went backwards, and never 0 by an answer, which would not wait.
func follow(last, answered uint64) uint64 {
	if answered < last {
		return 0
	}
	return max(answered, 1)
}

// believable says whether an answer may be taken for what Consul's servers hold.
func believable(meta *api.QueryMeta) error {
	switch {
	case !meta.KnownLeader:
		return fmt.Errorf("%w: its servers have no leader", ErrUnreachable)
	case meta.ResultsFilteredByACLs:
		return fmt.Errorf("%w: parts of the answer are hidden from this token", ErrForbidden)
	}
	return nil
}
