package control

import (
	"context"
	"errors"
	"log/slog"
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

	orders  chan order
	stopped chan struct{} // closed when Run has ended
	state   atomic.Pointer[state]
}

// New makes a loop that will swap r's tables. Nothing is applied or started yet.
func New(estate *router.Estate, r *router.Router, log *slog.Logger) *Loop {
	return &Loop{estate: estate, router: r, log: log, orders: make(chan order), stopped: make(chan struct{})}
}

// Begin applies the first config, so that a table stands before anything listens. Call it once, before Run.
func (l *Loop) Begin(first source.Update) error {
	if first.Err != nil {
		return first.Err
	}
	return l.file(&state{}, &first)
}

// Run applies updates and operator's commands in turn until ctx ends.
func (l *Loop) Run(ctx context.Context, updates <-chan source.Update) error {
	defer close(l.stopped)
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-updates:
			u.Done(l.reload(&u))
		case o := <-l.orders:
			revision, err := l.obey(&o)
			o.outcome <- outcome{revision, err}
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
	l.log.Error("config refused, keeping revision", "revision", now.revision.Number, "origin", u.Origin, "reason", u.Reason,
		"faults", now.reload.Faults)
	return err
}

// file lays a new file under the operator's overrides and applies the two.
func (l *Loop) file(now *state, u *source.Update) error {
	next, err := now.withFile(u.Config)
	if err != nil {
		return err
	}
	next.reload = Reload{OK: true, At: time.Now()}
	if err := l.apply(next, Revision{Origin: u.Origin, Reason: u.Reason}); err != nil {
		return err
	}
	for _, m := range masked(now.file, u.Config, next.operator) {
		l.log.Warn("the file's change of a route is masked by the operator's override", "route", m.Route, "file", m.Below,
			"operator", m.Above, "to_remove", removal(m.Route))
	}
	return nil
}

// apply makes next the state of affairs: everything that can fail is tried first, then the table is swapped, then what the
// new table no longer uses is retired.
func (l *Loop) apply(next *state, by Revision) error {
	merged, err := next.merge()
	if err != nil {
		return err
	}
	if next.table != nil && same(next.table.Config(), merged) {
		l.unchanged(next)
		return nil
	}
	table, err := router.Compile(merged, l.estate)
	if err != nil {
		return err
	}
	by.Number, by.Digest, by.Applied = next.revision.Number+1, merged.Digest(), time.Now()
	old := l.router.Swap(table)
	table.Publish(l.estate.Registry)
	l.estate.Retire(old, table)

	changes := next.became(table, by)
	l.state.Store(next)
	l.announce(next)
	l.log.Info("config applied", append(by.attributes(), "changes", changes)...)
	return nil
}

// unchanged records what was said without swapping anything: the same config is already in force.
func (l *Loop) unchanged(next *state) {
	l.state.Store(next)
	l.announce(next)
	l.log.Info("config unchanged, keeping revision", "revision", next.revision.Number)
}

// announce sets the config gauges. An operator's change does not make up for a file that was refused.
func (l *Loop) announce(s *state) {
	l.estate.Registry.ConfigApplied(s.revision.Number, s.reload.At)
	if !s.reload.OK {
		l.estate.Registry.ConfigRefused(s.reload.At)
	}
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
