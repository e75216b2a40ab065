package monitor

import (
	"slices"
	"time"
)

// Joiner joins feedback to the versions that have ledgers.
func (r *Registry) Joiner() *Joiner { return r.joiner }

// Ledger is that of a version of a route that takes feedback, made when it is new. It ends with [Registry.Retire], or [Registry.CloseLedger].
func (r *Registry) Ledger(route, pool string) *Ledger {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := version{route, pool}
	l := r.ledgers[v]
	if l == nil {
		l = newLedger(&r.series, v)
		r.ledgers[v] = l
	}
	return l
}

// CloseLedger removes the ledger of a version that takes feedback no more, and its series.
func (r *Registry) CloseLedger(route, pool string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := version{route, pool}
	delete(r.ledgers, v)
	remove([]family{r.series.feedback}, v.labels())
}

// known is the ledger of a version; nil when it has none.
func (r *Registry) known(route, pool string) *Ledger {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ledgers[version{route, pool}]
}

// Feedback is what users did with the answers of a route's versions in the window before now, by pool; nil when the route takes no feedback.
// Windows are of whole minutes, and of a day at most.
func (r *Registry) Feedback(route string, window time.Duration, now time.Time) []VersionFeedback {
	r.mu.Lock()
	var ledgers []*Ledger
	for v, l := range r.ledgers {
		if v.route == route {
			ledgers = append(ledgers, l)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(ledgers, byPool)
	return summaryOf(ledgers, min(window, longestWindow), now)
}
