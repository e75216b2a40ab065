package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/hashicorp/consul/api"
)

// ErrNotLeader answers a write through a [Guard] whose holder leads no more. Nothing was written.
var ErrNotLeader = errors.New("another instance leads now, or none")

// Campaign stands for leader of name in the fleet until ctx ends, and calls lead whenever this instance was elected. lead's context ends
// when it leads no more: Consul says so, or has not confirmed it for a TTL, or ctx ends. lead must return then; Campaign waits for it,
// and hands over by itself. A lead that returns earlier steps down. Two leads may overlap only as long as one takes to notice, and of
// two only one can write: write through g.
func (c *Consul) Campaign(ctx context.Context, name string, lead func(ctx context.Context, g Guard)) error {
	e := election{
		c: c, key: c.fleet("leaders/" + name), lead: lead, pace: &pace{gap: time.Second / 2}, log: c.log.With("election", name),
	}
	trials := effort{log: e.log, what: "stand for leader"}
	for ctx.Err() == nil {
		err := e.round(ctx)
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotLeader) { // somebody was quicker, the lock's delay is not over; or a term is
			err = nil
		}
		_ = sleep(ctx, trials.after(ctx, err, c.options.SessionTTL/10)) // ctx ends the loop
	}
	return nil
}

type election struct {
	c    *Consul
	key  string
	lead func(ctx context.Context, g Guard)
	pace *pace
	log  *slog.Logger
}

// round waits until nobody leads, tries to be elected, and leads.
func (e *election) round(ctx context.Context) error {
	if err := e.vacancy(ctx); err != nil {
		return err
	}
	s := session{c: e.c, behavior: api.SessionBehaviorRelease, lockDelay: e.c.options.Patience} // what is under way has ended by then
	if err := s.open(ctx); err != nil {
		return err
	}
	defer s.close(ctx)
	host, _ := os.Hostname() // only for those who look
	if err := s.lock(ctx, e.key, fmt.Appendf(nil, "%s pid %d", host, os.Getpid())); err != nil {
		return err
	}
	defer e.release(ctx, s.id)
	return e.term(ctx, &s)
}

// vacancy returns once nobody holds the key.
func (e *election) vacancy(ctx context.Context) error {
	var index uint64
	for {
		if err := e.pace.wait(ctx); err != nil {
			return err
		}
		free, next, err := e.look(ctx, index)
		if err != nil || free {
			return err
		}
		index = next
	}
}

func (e *election) look(ctx context.Context, index uint64) (free bool, next uint64, err error) {
	w := watch{c: e.c, ask: func(ctx context.Context, q *api.QueryOptions) (*api.QueryMeta, string, error) {
		pair, meta, err := e.c.client.KV().Get(e.key, q)
		if err == nil {
			err = believable(meta)
		}
		free = pair == nil || pair.Session == ""
		return meta, "", err
	}}
	meta, _, err := w.once(ctx, index)
	if err != nil {
		return false, 0, err
	}
	return free, follow(index, meta.LastIndex), nil
}

// term leads for as long as the session is known to hold the key.
func (e *election) term(ctx context.Context, s *session) error {
	ctx, end := context.WithCancel(ctx)
	ended := make(chan struct{})
	e.log.Info("this instance leads")
	go func() {
		defer close(ended)
		e.lead(ctx, Guard{c: e.c, key: e.key, session: s.id})
	}()
	err := e.hold(ctx, s, ended)
	end()
	<-ended
	e.log.Info("this instance leads no more", "reason", reason(err))
	return err
}

// hold renews the session until the term is over; without an error if lead returned.
func (e *election) hold(ctx context.Context, s *session, ended <-chan struct{}) error {
	ttl := e.c.options.SessionTTL
	wait := ttl / 3
	for {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		held, err := e.confirm(ctx, s)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && !held:
			return ErrNotLeader
		case err == nil:
			wait = ttl / 3
		case !time.Now().Before(s.confirmed.Add(ttl)):
			return err
		default:
			wait = ttl / 10
		}
	}
}

// confirm asks, for no longer than the term lasts without an answer, whether we still lead.
func (e *election) confirm(ctx context.Context, s *session) (bool, error) {
	ctx, cancel := context.WithDeadline(ctx, s.confirmed.Add(e.c.options.SessionTTL))
	defer cancel()
	if alive, err := s.renew(ctx); err != nil || !alive {
		return false, err
	}
	held, _, err := s.holds(ctx, e.key)
	return held, err
}

// release gives the key back, so that the next one need not wait for the lock's delay.
func (e *election) release(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_, _ = e.c.transact(ctx, nil, &api.KVTxnOp{Verb: api.KVUnlock, Key: e.key, Session: id}) // lost already, or Consul finds out
}

func reason(err error) string {
	switch {
	case err == nil:
		return "it stepped down"
	case errors.Is(err, context.Canceled):
		return "it is stopping"
	default:
		return err.Error()
	}
}

// Guard writes on behalf of a leader.
type Guard struct {
	c       *Consul
	key     string
	session string
}

// Put is [Consul.Put], done only if the holder of g still leads at the moment of the write; else ErrNotLeader.
func (g Guard) Put(ctx context.Context, key string, value []byte, index uint64) (uint64, error) {
	done, err := g.c.transact(ctx, value,
		&api.KVTxnOp{Verb: api.KVCheckSession, Key: g.key, Session: g.session},
		&api.KVTxnOp{Verb: api.KVCAS, Key: g.c.key(key), Value: value, Index: index})
	if err != nil {
		return 0, err
	}
	return written(done)
}

// Delete is [Consul.Delete], done only if the holder of g still leads at the moment of the write; else ErrNotLeader.
func (g Guard) Delete(ctx context.Context, key string, index uint64) error {
	_, err := g.c.transact(ctx, nil, &api.KVTxnOp{Verb: api.KVCheckSession, Key: g.key, Session: g.session}, deletion(g.c.key(key), index))
	return err
}
