package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mlproxy/config"
	"mlproxy/source"
)

// In a fleet an operator's word on a route is every proxy's: it is written to Consul, whichever proxy takes it, and comes back from
// there to all of them, to that one as well. Drains are each proxy's own.

// heardWithin is how long a proxy waits to hear its own writes back.
const heardWithin = 3 * time.Second

// write is what an operator says of one route to the fleet.
type write struct {
	route string
	said  *config.Override // nil takes it back
	index uint64           // of the key that it replaces; 0 = there is none
}

// Share has operators' changes go to the fleet, and what Consul says lie over the file. Call it before Begin; prefix is that of the keys.
func (l *Loop) Share(c *source.Consul, prefix string) {
	l.consul, l.prefix = c, prefix
}

// shares says whether a change goes to the fleet.
func (l *Loop) shares(c *Change) bool { return l.consul != nil && !c.Local }

// shared is the state as the fleet's operators see it: what they change is what was said to the fleet.
func (s *state) shared() *state {
	view := *s
	view.said.Routes = s.remote.said
	return &view
}

// draft carries out a fleet's order as far as it can be without Consul: writes are what has to be written. Without any the order was about
// this proxy alone, and is carried out.
func (l *Loop) draft(now *state, o *order) (writes []write, err error) {
	next, err := o.plan(now.shared())
	if err != nil {
		return nil, err
	}
	tried := *next
	tried.remote = now.remote.saying(next.said.Routes)
	tried.said.Routes = now.said.Routes
	if maps.EqualFunc(tried.remote.said, now.remote.said, alike) {
		return nil, l.apply(&tried, o.by, l.keep)
	}
	if _, _, err := tried.merge(); err != nil {
		return nil, err
	}
	return now.writes(tried.remote.said)
}

// saying is the remote in which operators have said something else.
func (r *remote) saying(routes map[string]config.Override) *remote {
	next := *r
	next.said = routes
	return &next
}

func alike(a, b config.Override) bool {
	return equal(a, b) && a.Expires.Equal(b.Expires) && a.Author == b.Author && a.Time.Equal(b.Time)
}

// writes are the keys that differ from what operators have said so far.
func (s *state) writes(next map[string]config.Override) (all []write, err error) {
	for _, route := range slices.Sorted(maps.Keys(union(s.remote.said, next))) {
		was, before := s.remote.said[route]
		is, after := next[route]
		if before && after && alike(was, is) {
			continue
		}
		if _, masked := s.said.Routes[route]; masked {
			return nil, fmt.Errorf("%w: route %q has an override of this proxy alone, which would mask the fleet's; remove it first: %s",
				ErrMasked, route, removal(route, true))
		}
		w := write{route: route, index: s.remote.keys[sayingsFolder+route].index}
		if after {
			w.said = &is
		}
		all = append(all, w)
	}
	return all, nil
}

// share writes to Consul, and returns once this proxy has heard it back and acts by it.
func (l *Loop) share(ctx context.Context, c Change, writes []write) (Revision, error) {
	for i := range writes {
		if err := l.write(ctx, &writes[i]); err != nil {
			return l.state.Load().revision, fleetError(err, writes[:i])
		}
	}
	l.chronicle(ctx, c, writes)
	within, stop := context.WithTimeout(ctx, heardWithin)
	defer stop()
	for {
		changed := *l.changed.Load()
		s := l.state.Load()
		if s.remote.heard(writes) {
			return s.revision, nil
		}
		select {
		case <-changed:
		case <-l.stopped:
			return Revision{}, ErrStopped
		case <-within.Done():
			return s.revision, fmt.Errorf("%w: it is written to Consul, but this proxy has not heard it back within %v; look at the status",
				ErrFleet, heardWithin)
		}
	}
}

// write writes one key by compare-and-set, and notes its new index.
func (l *Loop) write(ctx context.Context, w *write) error {
	key := sayingsFolder + w.route
	if w.said == nil {
		return l.consul.Delete(ctx, key, w.index)
	}
	text, err := json.Marshal(w.said)
	if err == nil {
		w.index, err = l.consul.Put(ctx, key, text, w.index)
	}
	return err
}

// heard says whether the writes have come back, or something newer has.
func (r *remote) heard(writes []write) bool {
	for _, w := range writes {
		k, there := r.keys[sayingsFolder+w.route]
		if w.said == nil && there && k.index == w.index || w.said != nil && k.index < w.index {
			return false
		}
	}
	return true
}

func fleetError(err error, done []write) error {
	part := ""
	if len(done) > 0 {
		routes := make([]string, len(done))
		for i, w := range done {
			routes[i] = w.route
		}
		part = "; changed already: " + strings.Join(routes, ", ")
	}
	switch {
	case errors.Is(err, source.ErrConflict):
		return fmt.Errorf("%w: another proxy's operator was faster%s; look at the status, then decide again", ErrStale, part)
	case errors.Is(err, source.ErrUnreachable):
		return fmt.Errorf("%w: Consul cannot be reached, and the fleet shares its overrides there: %w%s; "+
			"look at the status before you try again, for a Consul that hangs may take the change yet; or change this proxy alone: --local, "+
			"in the API ?local=true", ErrFleet, err, part)
	}
	return fmt.Errorf("%w: %w%s", ErrFleet, err, part)
}

// Event is one change that an operator made to the fleet.
type Event struct {
	Time   time.Time `json:"time"`
	Author string    `json:"author,omitempty"`
	Reason string    `json:"reason,omitempty"`
	// Changes in words, one a route.
	Changes []string `json:"changes"`
}

// chronicle keeps for the fleet what was changed. That it cannot be kept makes no change undone.
func (l *Loop) chronicle(ctx context.Context, c Change, writes []write) {
	e := Event{Time: moment(), Author: c.Author, Reason: c.Reason}
	for _, w := range writes {
		now := "(as below)"
		if w.said != nil {
			now = "(" + text(*w.said) + ")"
		}
		e.Changes = append(e.Changes, w.route+": "+now)
	}
	entry, err := json.Marshal(e)
	if err == nil {
		err = l.consul.Record(ctx, entry)
	}
	if err != nil {
		l.log.Warn("a change is in force, but not in the fleet's history", "changes", strings.Join(e.Changes, "; "), "error", err)
	}
}

// History is what operators changed in the fleet, the newest first. Entries that cannot be read are left out.
func (l *Loop) History(ctx context.Context) ([]Event, error) {
	if l.consul == nil {
		return nil, nil
	}
	entries, err := l.consul.History(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFleet, err)
	}
	return readEvents(entries), nil
}

func readEvents(entries [][]byte) (all []Event) {
	for _, entry := range slices.Backward(entries) {
		var e Event
		if json.Unmarshal(entry, &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

// nextEnd is when the first of the fleet's overrides ends; zero when none does.
func (r *remote) nextEnd() time.Time {
	if r == nil {
		return time.Time{}
	}
	said := Overrides{Routes: r.said}
	return said.nextEnd()
}

// expireShared ends the fleet's overrides that are due. Every proxy does so by its own clock, and one of them deletes the key.
func (l *Loop) expireShared(ctx context.Context, now time.Time) {
	s := l.state.Load()
	next := *s
	_, ended := alive(s.remote.said, now)
	err := l.lay(s, &next, Revision{Origin: operator, Reason: "expired: " + strings.Join(ended, ", ")})
	if err != nil {
		l.log.Error("overrides have expired, but what lies beneath cannot be in force; they stay", "expired", ended, "again_in", longest, "faults", list(err))
		later := *s
		later.remote = s.remote.saying(longer(s.remote.said, now))
		l.become(&later)
		return
	}
	for _, route := range ended {
		index := s.remote.keys[sayingsFolder+route].index
		l.beside.Go(func() { _ = l.consul.Delete(ctx, sayingsFolder+route, index) }) // another proxy may have been faster
	}
}
