package source

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"
)

// farewell is how long mlproxy tries to say goodbye at its end. What it cannot say, Consul finds out when the session runs out.
const farewell = 2 * time.Second

// session is a session of Consul's that lives while it is renewed; the keys locked with it share its fate. Consul ends one that is not
// renewed after one to two times its TTL.
type session struct {
	c        *Consul
	behavior string // what becomes of the keys: api.SessionBehaviorDelete or Release
	// lockDelay is how long nobody gets a lock whose session ended by itself.
	lockDelay time.Duration
	id        string    // empty = none is open
	confirmed time.Time // when the request was sent after which Consul believed in it last
}

// ensure opens a session, or renews the one that is open. anew = there was none, or it was lost.
func (s *session) ensure(ctx context.Context) (anew bool, err error) {
	if s.id != "" {
		alive, err := s.renew(ctx)
		if err != nil || alive {
			return false, err
		}
	}
	return true, s.open(ctx)
}

func (s *session) open(ctx context.Context) error {
	ctx, cancel := s.c.briefly(ctx)
	defer cancel()
	began := time.Now()
	id, _, err := s.c.client.Session().CreateNoChecks(&api.SessionEntry{
		Name: s.c.options.Prefix, Behavior: s.behavior, LockDelay: max(s.lockDelay, time.Millisecond), TTL: s.c.options.SessionTTL.String(),
	}, new(api.WriteOptions).WithContext(ctx))
	if err != nil {
		return plain(err)
	}
	s.id, s.confirmed = id, began
	return nil
}

// renew says whether the session still lives; if not, none is open any more.
func (s *session) renew(ctx context.Context) (alive bool, err error) {
	ctx, cancel := s.c.briefly(ctx)
	defer cancel()
	began := time.Now()
	entry, _, err := s.c.client.Session().Renew(s.id, new(api.WriteOptions).WithContext(ctx))
	if err != nil {
		return false, plain(err)
	}
	if entry == nil {
		s.id = ""
		return false, nil
	}
	s.confirmed = began
	return true, nil
}

// close ends the session, even if ctx has ended.
func (s *session) close(ctx context.Context) {
	if s.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_, _ = s.c.client.Session().Destroy(s.id, new(api.WriteOptions).WithContext(ctx))
	s.id = ""
}

// lock locks a key, or writes one that this session has locked. ErrConflict = another session has it.
func (s *session) lock(ctx context.Context, key string, value []byte) error {
	_, err := s.c.transact(ctx, value, &api.KVTxnOp{Verb: api.KVLock, Key: key, Value: value, Session: s.id})
	return err
}

// holds says whether a key is locked with this session, and what stands there.
func (s *session) holds(ctx context.Context, key string) (held bool, value []byte, err error) {
	ctx, cancel := s.c.briefly(ctx)
	defer cancel()
	pair, meta, err := s.c.client.KV().Get(key, new(api.QueryOptions).WithContext(ctx))
	if err == nil {
		err = believable(meta)
	}
	if err != nil || pair == nil {
		return false, nil, plain(err)
	}
	return pair.Session == s.id, pair.Value, nil
}

// effort is something tried again and again. It logs when it begins to fail, and when it succeeds again.
type effort struct {
	log     *slog.Logger
	what    string // for instance "publish this instance"
	failing bool
	pause   backoff
}

// after takes the outcome of a trial and says when to try again: in a while if it succeeded, else after a pause. What fails because ctx
// has ended is no failure.
func (e *effort) after(ctx context.Context, err error, while time.Duration) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if err == nil {
		if e.failing {
			e.log.Info("Consul answers again", "done", e.what)
		}
		e.failing = false
		e.pause.reset()
		return while
	}
	if !e.failing {
		e.log.Warn(fmt.Sprintf("cannot %s in Consul; trying on", e.what), "error", err)
	}
	e.failing = true
	return e.pause.next()
}
