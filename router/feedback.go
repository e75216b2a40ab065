package router

import (
	"slices"

	"mlproxy/config"
	"mlproxy/monitor"
)

// publicFeedback is whose buckets hold up clients that send feedback: no route can have the name.
const publicFeedback = "/_ml/feedback"

// bindFeedback lets clients send feedback, as often as they may, if any route takes it.
func (t *Table) bindFeedback(e *Estate) {
	if slices.ContainsFunc(t.routes, func(r *Route) bool { return r.Config.Feedback }) {
		most := t.config.Feedback.MaxPerSecond
		t.Feedback = newLimit(&config.RateLimit{RequestsPerSecond: float64(most), Burst: most, By: "client_ip"}, e.known(publicFeedback, nil), e.Registry)
	}
}

// joins has feedback joined as the config says.
func (e *Estate) joins(c *config.Feedback) {
	s := monitor.FeedbackSettings{Window: c.Window, Remember: c.Remember}
	for _, key := range c.Keys {
		s.Keys = append(s.Keys, []byte(key))
	}
	e.Registry.Joiner().Configure(s)
}

// audited are the versions that have ledgers.
func (t *Table) audited() map[identity]bool {
	set := map[identity]bool{}
	for _, r := range t.routes {
		for _, v := range slices.Concat(r.Versions, r.Failover) {
			if v.Ledger != nil {
				set[identity{r.Name, v.Pool.Name}] = true
			}
		}
	}
	return set
}
