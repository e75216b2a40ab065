package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"mlproxy/config"
)

// Overrides outlive the process, in state_dir, and may have an end. Both need looking after: at the start, and while time passes.

// recall lets what operators said before the last end be in force again. What no longer fits is dropped, and said so.
func (l *Loop) recall(s *state) error {
	s.memory.File = l.store.path
	said, err := l.store.load()
	if err != nil {
		s.memory.Dropped = append(s.memory.Dropped, err.Error())
	}
	s.said.Routes = map[string]config.Override{}
	for _, route := range slices.Sorted(maps.Keys(said.Routes)) {
		o := said.Routes[route]
		if why := s.misfit(route, o); why != "" {
			s.memory.Dropped = append(s.memory.Dropped,
				fmt.Sprintf("the override of route %q (%s, by %s since %s) is dropped: %s",
					route, text(o), o.Author, o.Time.Format(time.RFC3339), why))
			continue
		}
		s.said.Routes[route] = o
	}
	drained, _ := alive(said.Drained, time.Now())
	wanted, err := config.Merge(s.base, s.said.layer())
	if err != nil {
		return err
	}
	var faults []string
	s.said.Drained, faults = fitting(wanted, drained)
	s.memory.Dropped = append(s.memory.Dropped, faults...)
	for _, dropped := range s.memory.Dropped {
		l.log.Warn("not all of the operators' overrides are in force again", "reason", dropped)
	}
	return nil
}

// misfit says why an override of before cannot be in force; empty when it can. One that has ended is none.
func (s *state) misfit(route string, o config.Override) string {
	if due(&o, time.Now()) {
		return "it expired at " + o.Expires.Format(time.RFC3339)
	}
	if faults := refusals(s.base, route, o); len(faults) > 0 {
		return faults[0].What
	}
	return ""
}

// longest is how long the loop sleeps at most when an override has an end: the clock may be set meanwhile.
const longest = time.Minute

// rest is how long the loop may sleep until something is due by itself.
func (l *Loop) rest(now time.Time) time.Duration {
	rest, s := time.Duration(1<<63-1), l.state.Load()
	until := func(t time.Time, most time.Duration) { rest = min(rest, most, max(0, t.Sub(now))) }
	for _, end := range []time.Time{s.said.nextEnd(), s.remote.nextEnd()} {
		if !end.IsZero() {
			until(end, longest)
		}
	}
	if len(s.held) > 0 {
		until(l.looked.Add(again), again)
	}
	if !l.unkept.IsZero() {
		until(l.unkept.Add(keepEvery), keepEvery)
	}
	return rest
}

// wake does what is due by itself.
func (l *Loop) wake(ctx context.Context, now time.Time) {
	s := l.state.Load()
	if end := s.said.nextEnd(); !end.IsZero() && !end.After(now) {
		l.expire(s, now)
	}
	if end := s.remote.nextEnd(); !end.IsZero() && !end.After(now) {
		l.expireShared(ctx, now)
	}
	if !l.unkept.IsZero() && now.Sub(l.unkept) >= keepEvery {
		l.preserve()
	}
	if len(l.state.Load().held) > 0 && now.Sub(l.looked) >= again {
		l.looked = now
		l.look(ctx)
	}
}

// expire ends the overrides that are due. Should what lies beneath be impossible now, they stay a little longer: what is in
// force is never left for nothing.
func (l *Loop) expire(s *state, now time.Time) {
	next, ended := s.without(now)
	err := l.settle(s, next)
	if err == nil {
		err = l.apply(next, Revision{Origin: operator, Reason: "expired: " + ended}, l.tryKeep)
	}
	if err == nil {
		return
	}
	l.log.Error("overrides have expired, but what lies beneath cannot be in force; they stay", "expired", ended, "again_in", longest, "faults", list(err))
	later := *s
	later.said.Routes, later.said.Drained = longer(s.said.Routes, now), longer(s.said.Drained, now)
	l.become(&later)
}

// longer gives those that are due a little more time.
func longer(m map[string]config.Override, now time.Time) map[string]config.Override {
	left := maps.Clone(m)
	for name, o := range left {
		if due(&o, now) {
			o.Expires = now.Add(longest)
			left[name] = o
		}
	}
	return left
}
