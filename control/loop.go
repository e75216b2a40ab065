package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
	store  *store

	orders  chan order
	passed  *os.File               // Inherit's
	holds   chan (<-chan struct{}) // Hold's; each is closed when it is over
	stopped chan struct{}          // closed when Run takes no more orders
	state   atomic.Pointer[state]
	looked  time.Time      // when pools of held switches were last tried; touched by Run alone
	looking atomic.Bool    // while they are
	beside  sync.WaitGroup // of what Run has started
}

// audited marks the lines of the log that an audit looks for: changes, made or refused.
const audited = "audit"

// New makes a loop that will swap r's tables. Nothing is applied or started yet.
func New(estate *router.Estate, r *router.Router, log *slog.Logger) *Loop {
	return &Loop{
		estate: estate, router: r, log: log,
		orders: make(chan order), holds: make(chan (<-chan struct{})), stopped: make(chan struct{}),
	}
}

// Begin applies the first config, with what operators had said over it before the last end, so that a table stands before anything
// listens. Call it once, before Run. ErrInUse says that another process has the config's state_dir.
func (l *Loop) Begin(first source.Update) error {
	if first.Err != nil {
		return first.Err
	}
	l.store = newStore(first.Config.StateDir)
	l.store.lock.inherit(l.passed)
	if err := l.store.lock.take(); errors.Is(err, ErrInUse) {
		return err
	} else if err != nil {
		l.log.Warn("state_dir cannot be locked, so operators' changes will be refused until it can", "error", err)
	}
	start := &state{file: first.Config, reload: Reload{OK: true, At: time.Now()}}
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
	for {
		alarm.Reset(l.state.Load().rest(time.Now(), l.looked))
		select {
		case <-ctx.Done():
			return nil
		case u := <-updates:
			u.Done(l.reload(&u))
		case o := <-l.orders:
			revision, err := l.obey(&o)
			o.outcome <- outcome{revision, err}
		case over := <-l.holds:
			l.hold(ctx, over)
		case <-alarm.C:
			l.wake(ctx, time.Now())
		}
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
	l.state.Store(&now)
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
	masks := now.said.masked(now.file, u.Config)
	for _, m := range masks {
		next.edited[m.route] = next.reload.At
	}
	if err := l.settle(now, next); err != nil {
		return err
	}
	if err := l.apply(next, Revision{Origin: u.Origin, Author: u.Author, Reason: u.Reason}, l.tryKeep); err != nil {
		return err
	}
	for _, m := range masks {
		l.log.Warn("the file's change of a route is masked by the operator's override", "route", m.route, "file", m.below,
			"operator", m.above, "to_remove", removal(m.route))
	}
	return nil
}

// apply makes next the state of affairs: everything that can fail is tried first, keeping what operators say last; then the table
// is swapped, then what the new table no longer uses is retired.
func (l *Loop) apply(next *state, by Revision, keep func(*state) error) error {
	wanted, merged, err := next.merge()
	if err != nil {
		return err
	}
	if next.table != nil && same(next.table.Config(), merged) {
		return l.unchanged(next, wanted, by, keep)
	}
	table, err := router.Compile(merged, l.estate)
	if err != nil {
		return err
	}
	if err := keep(next); err != nil {
		return err
	}
	by.Number, by.Digest, by.Applied = next.revision.Number+1, merged.Digest(), time.Now()
	old := l.router.Swap(table)
	table.Publish(l.estate.Registry)
	l.estate.Retire(old, table)

	next.became(table, wanted, by)
	l.state.Store(next)
	l.announce(next)
	l.log.Info("config applied", append(by.attributes(), "changes", next.revision.Changes, audited, true)...)
	return nil
}

// unchanged records what was said without swapping anything: the same config is already in force.
func (l *Loop) unchanged(next *state, wanted *config.Config, by Revision, keep func(*state) error) error {
	if err := keep(next); err != nil {
		return err
	}
	next.previous = remember(next.previous, next.wanted.Routes, wanted.Routes)
	next.wanted = wanted
	l.state.Store(next)
	l.announce(next)
	by.Number, by.Digest = next.revision.Number, next.revision.Digest
	l.log.Info("config unchanged, keeping revision", append(by.attributes(), audited, true)...)
	return nil
}

// announce sets the config gauges. An operator's change does not make up for a file that was refused.
func (l *Loop) announce(s *state) {
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
