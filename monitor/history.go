package monitor

import (
	"errors"
	"slices"
	"time"
)

// How long summaries are kept, and how finely: within recent in windows of fineWindow, before that of coarseWindow, each beginning at a
// whole multiple of its length.
const (
	fineWindow   = 10 * time.Second
	coarseWindow = time.Minute
	recent       = 6 * time.Minute
	// Kept is how far back a summary may reach.
	Kept = time.Hour
)

// history is the summaries of one version, in tumbling windows, the oldest first. There are at most 42 fine ones and 55 coarse ones.
type history struct {
	windows []*Summary
}

// add counts an inspected exchange in the window in which it ended.
func (h *history) add(r *Record, v version, class func(string) string) {
	at := r.At
	if r.Seen != nil {
		at = at.Add(r.Seen.Duration)
	}
	if w := h.window(at.UTC(), v); w != nil {
		w.add(r, class)
	}
}

// window is the one that at falls into; nil when that is no longer kept. An exchange may be learned of after others that ended later.
func (h *history) window(at time.Time, v version) *Summary {
	i := len(h.windows)
	for i > 0 && h.windows[i-1].From.After(at) {
		i--
	}
	if i > 0 && at.Before(h.windows[i-1].To) {
		return h.windows[i-1]
	}
	if n := len(h.windows); n > 0 && at.Before(h.windows[n-1].To.Add(-recent)) {
		return nil
	}
	from := at.Truncate(fineWindow)
	w := &Summary{Route: v.route, Pool: v.pool, From: from, To: from.Add(fineWindow)}
	h.windows = slices.Insert(h.windows, i, w)
	if i == len(h.windows)-1 {
		h.age(w.To)
	}
	return w
}

// age makes one of the windows of a minute that is no longer recent, and drops what is too old.
func (h *history) age(now time.Time) {
	left := h.windows[:0]
	for _, w := range h.windows {
		minute := w.From.Truncate(coarseWindow)
		switch {
		case !w.To.After(now.Add(-Kept)):
		case minute.Add(coarseWindow).After(now.Add(-recent)):
			left = append(left, w)
		case len(left) > 0 && left[len(left)-1].From.Truncate(coarseWindow).Equal(minute):
			_ = left[len(left)-1].Merge(w) // never fails: of the same version, by the same program
		default:
			left = append(left, w)
		}
	}
	clear(h.windows[len(left):])
	h.windows = left
}

// sum is all windows that end after since, together.
func (h *history) sum(v version, since, now time.Time) (*Summary, error) {
	s := &Summary{Route: v.route, Pool: v.pool, From: since, To: now}
	var errs []error
	for _, w := range h.windows {
		if w.To.After(since) {
			errs = append(errs, s.Merge(w))
		}
	}
	s.To = now
	return s, errors.Join(errs...)
}

// Summaries are what the inspected versions of a route were asked and said in the window before now, by pool; none when none is
// inspected. They begin where the window that holds now-window does: up to ten seconds early, or a minute when it is more than five back.
func (r *Registry) Summaries(route string, window time.Duration, now time.Time) (all []*Summary, err error) {
	now = now.UTC()
	for _, m := range r.modelsOf(route) {
		s, failed := m.sum(now.Add(-window), now)
		all, err = append(all, s), errors.Join(err, failed)
	}
	return all, err
}

func (m *ModelMeter) sum(since, now time.Time) (*Summary, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.history.sum(m.version, since, now)
}

// modelsOf are the meters of the route, by pool.
func (r *Registry) modelsOf(route string) (all []*ModelMeter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for v, m := range r.models {
		if v.route == route {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *ModelMeter) int {
		if a.version.pool < b.version.pool {
			return -1
		}
		return 1
	})
	return all
}
