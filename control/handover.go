package control

import (
	"context"
	"errors"
	"os"

	"mlproxy/source"
)

// Another process may take over while this one runs: it reads the state while this one changes nothing, and is passed the lock of
// state_dir, so that at no time two of them write, or a change is made that the other does not know.

// Inherit takes the lock of state_dir from the process before this one; nil when there is none. Call it before Begin.
func (l *Loop) Inherit(passed *os.File) { l.passed = passed }

// Hold keeps everything as it is until release is called, or the loop ends: operators and
// reloads get ErrHandover, and nothing expires. What the file has said meanwhile comes into force when it was for nothing.
// It returns the lock of state_dir, for the other process; nil where it could not be locked.
func (l *Loop) Hold(ctx context.Context) (passed *os.File, release func(), err error) {
	over := make(chan struct{})
	select {
	case l.holds <- over:
		return l.store.lock.file, func() { close(over) }, nil
	case <-l.stopped:
		return nil, nil, ErrStopped
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// hold refuses orders until the hold is over. That it is over means that nobody took over.
func (l *Loop) hold(ctx context.Context, over <-chan struct{}, updates <-chan source.Update) {
	var latest *source.Update
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-l.orders:
			o.outcome <- outcome{err: ErrHandover}
		case u := <-updates:
			u.Done(ErrHandover)
			if u.Outcome != nil {
				l.log.Warn("reload refused, since a new process is taking over", "origin", u.Origin, "author", u.Author, "reason", u.Reason, audited, true)
			}
			u.Outcome, latest = nil, &u
		case <-over:
			l.resume()
			if latest != nil {
				_ = l.reload(latest)
			}
			return
		}
	}
}

// resume stores again what is in force: who tried to take over may have written.
func (l *Loop) resume() {
	l.store.lock.sign()
	l.store.last = nil
	now := *l.state.Load()
	_ = l.tryKeep(&now)
	l.become(&now)
}

// Answers says whether the loop still takes orders, if only to refuse them: it is false when ctx ends first.
func (l *Loop) Answers(ctx context.Context) bool {
	err := l.send(ctx, order{plan: func(*state) (*state, error) { return nil, ErrStale }})
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
