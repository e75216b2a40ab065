package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"mlproxy/config"
	"mlproxy/router"
	"mlproxy/source"
)

// Loop applies changes one after the other. Only the goroutine in Run (Begin before it) writes; everybody may read Status.
type Loop struct {
	estate *router.Estate
	router *router.Router
	log    *slog.Logger
	store  *store[Overrides]
	kept   *store[lastHeard]
	consul *source.Consul // nil: no fleet
	prefix string         // of its keys

	orders  chan order
	heard   chan source.Keys
	found   chan finding
	passed  *os.File               // Inherit's
	holds   chan (<-chan struct{}) // Hold's; each is closed when it is over
	stopped chan struct{}          // closed when Run takes no more orders
	state   atomic.Pointer[state]
	// Applied is told of every revision that comes into force; it must not wait. Set it before Begin.
	Applied func(Revision)
	changed atomic.Pointer[chan struct{}] // closed when the state is replaced
	unkept  time.Time                     // since when what Consul says is not kept; touched by Run alone
	looked  time.Time                     // when pools of held switches were last tried; touched by Run alone
	looking atomic.Bool                   // while they are
	beside  sync.WaitGroup                // of what Run has started
}

// audited marks the lines of the log that an audit looks for: changes, made or refused.
const audited = "audit"

// New makes a loop that will swap r's tables. Nothing is applied or started yet.
func New(estate *router.Estate, r *router.Router, log *slog.Logger) *Loop {
	l := &Loop{
		estate: estate, router: r, log: log, Applied: func(Revision) {},
		orders: make(chan order), heard: make(chan source.Keys), found: make(chan finding),
		holds: make(chan (<-chan struct{})), stopped: make(chan struct{}),
	}
	l.changed.Store(new(make(chan struct{})))
	return l
}

// become replaces the state, and wakes who waits for that.
func (l *Loop) become(s *state) {
	l.state.Store(s)
	close(*l.changed.Swap(new(make(chan struct{}))))
}

// Begin applies the first config, with what operators had said over it before the last end, so that a table stands before anything
// listens. Call it once, before Run. ErrInUse says that another process has the config's state_dir.
func (l *Loop) Begin(first source.Update) error {
	if first.Err != nil {
		return first.Err
	}
	l.store = newStore(first.Config.StateDir)
	l.kept = &store[lastHeard]{path: filepath.Join(first.Config.StateDir, remoteName), lock: l.store.lock}
	l.store.lock.inherit(l.passed)
	if err := l.store.lock.take(); errors.Is(err, ErrInUse) {
		return err
	} else if err != nil {
		l.log.Warn("state_dir cannot be locked, so operators' changes will be refused until it can", "error", err)
	}
	start := &state{file: first.Config, reload: Reload{OK: true, At: time.Now()}}
	if l.consul != nil {
		l.recallRemote(start)
	}
	if faults := start.rebase(); len(faults) > 0 {
		return faults
	}
	if err := l.recall(start); err != nil {
		return err
	}
	return l.apply(start, Revision{Origin: first.Origin, Reason: first.Reason}, l.tryKeep)
}

// Run applies updates and operator's commands in turn until ctx ends.
func (l *Loop) Run(ctx context.Context, updates <-chan source.Update) error {
	defer l.store.lock.release()
	defer l.beside.Wait()
	defer close(l.stopped)
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	defer l.preserve()
	for {
		alarm.Reset(l.rest(time.Now()))
		before := l.state.Load()
		select {
		case <-ctx.Done():
			return nil
		case u := <-updates:
			u.Done(l.reload(&u))
		case o := <-l.orders:
			o.outcome <- l.obey(&o)
		case k := <-l.heard:
			l.hear(k)
		case f := <-l.found:
			l.find(f)
		case over := <-l.holds:
			l.hold(ctx, over, updates)
		case <-alarm.C:
			l.wake(ctx, time.Now())
		}
		l.catchUp(before)
	}
}

// reload takes the file's word, or keeps the table and says why.
func (l *Loop) reload(u *source.Update) error {
	err := u.Err
	if err == nil {
		err = l.file(l.state.Load(), u)
	}
	if err == nil {
		return nil
	}
	now := *l.state.Load()
	now.reload = Reload{At: time.Now(), Faults: list(err)}
	l.become(&now)
	l.estate.Registry.ConfigRefused(now.reload.At)
	l.log.Error("config refused, keeping revision", "revision", now.revision.Number, "origin", u.Origin, "author", u.Author, "reason", u.Reason,
		"faults", now.reload.Faults, audited, true)
	return err
}

// file lays a new file under the operator's overrides and applies the two.
func (l *Loop) file(now *state, u *source.Update) error {
	next, err := now.withFile(u.Config)
	if err != nil {
		return err
	}
	next.reload = Reload{OK: true, At: time.Now()}
	if err := l.settle(now, next); err != nil {
		return err
	}
	masks := next.mask(now)
	if err := l.apply(next, Revision{Origin: u.Origin, Author: u.Author, Reason: u.Reason}, l.tryKeep); err != nil {
		return err
	}
	l.tellMasks(masks)
	return nil
}

// mask notes which changes from now to s have no effect.
func (s *state) mask(now *state) []mask {
	masks := masked(now, s)
	if len(masks) > 0 {
		s.edited = union(s.edited, nil)
	}
	for _, m := range masks {
		s.edited[m.route] = m
	}
	return masks
}

func (l *Loop) tellMasks(masks []mask) {
	for _, m := range masks {
		l.log.Warn("a change of a route is masked by a layer above", "route", m.route, "layer", m.from.Words(), "says", text(m.says),
			"masked_by", m.by.Words(), "which_says", text(m.above), "to_remove", m.remedy())
	}
}

// apply makes next the state of affairs: everything that can fail is tried first, keeping what operators say last; then the table
// is swapped, then what the new table no longer uses is retired.
func (l *Loop) apply(next *state, by Revision, keep func(*state) error) error {
	wanted, merged, err := next.merge()
	if err != nil {
		return err
	}
	if next.table != nil && config.Same(next.table.Config(), merged) && config.Same(next.wanted, wanted) {
		return l.unchanged(next, wanted, by, keep)
	}
	changes, revision := next.news(wanted, merged)
	table, err := router.Compile(merged, l.estate)
	if err != nil {
		return err
	}
	if err := keep(next); err != nil {
		return err
	}
	old := l.router.Swap(table)
	table.Publish(l.estate.Registry)
	l.estate.Retire(old, table)
	if !revision {
		l.tellEndpoints(next.table, table, next.revision.Number, by.Reason)
		next.table, next.wanted = table, wanted
	} else {
		by.Number, by.Digest, by.Applied, by.Changes = next.revision.Number+1, merged.Digest(), time.Now(), brief(changes)
		next.became(table, wanted, by)
		l.log.Info("config applied", append(by.attributes(), "changes", next.revision.Changes, audited, true)...)
	}
	l.become(next)
	l.announce(next)
	return nil
}

// tellEndpoints tells of the endpoints that the catalogue has changed, if it has.
func (l *Loop) tellEndpoints(old, now *router.Table, revision int64, reason string) {
	if d := difference(endpoints(old.Config()), endpoints(now.Config())); len(d.Come)+len(d.Go) > 0 {
		l.log.Info("endpoints changed", "revision", revision, "reason", reason, "come", d.Come, "go", d.Go)
	}
}

// unchanged records what was said without swapping anything: the same config is already in force.
func (l *Loop) unchanged(next *state, wanted *config.Config, by Revision, keep func(*state) error) error {
	if err := keep(next); err != nil {
		return err
	}
	next.previous = remember(next.previous, next.wanted.Routes, wanted.Routes)
	next.wanted = wanted
	l.become(next)
	l.announce(next)
	by.Number, by.Digest = next.revision.Number, next.revision.Digest
	l.log.Info("config unchanged, keeping revision", append(by.attributes(), audited, true)...)
	return nil
}

// announce lets the others know: Consul, which services are of interest, the fleet, what is in force, and the config gauges. An
// operator's change does not make up for a file that was refused.
func (l *Loop) announce(s *state) {
	if l.consul != nil {
		l.consul.Want(services(s.table.Config()))
	}
	l.Applied(s.revision)
	l.estate.Registry.ConfigApplied(s.revision.Number, s.reload.At)
	if !s.reload.OK {
		l.estate.Registry.ConfigRefused(s.reload.At)
	}
	pending := map[string]bool{}
	for name, r := range s.wanted.Routes {
		if r.BlueGreen != nil {
			pending[name] = s.held[name].to != ""
		}
	}
	l.estate.Registry.SetPending(pending)
}

// keep stores what operators say, or refuses the change: what a restart would not bring back must not look as if it would.
func (l *Loop) keep(next *state) error {
	if err := l.store.save(&next.said); err != nil {
		return fmt.Errorf("%w: %w; make room in state_dir, or make it writable, then try again", ErrNotStored, err)
	}
	next.memory.Fault = ""
	return nil
}

// tryKeep stores what operators say where the change comes about all the same.
func (l *Loop) tryKeep(next *state) error {
	if err := l.keep(next); err != nil {
		next.memory.Fault = err.Error()
		l.log.Error("overrides cannot be stored; a restart would bring back older ones", "error", err)
	}
	return nil
}

// list is every fault of an error, one a line.
func list(err error) []string {
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		return []string{err.Error()}
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.Error()
	}
	return lines
}
