package router

import (
	"time"

	"mlproxy/upstream"
)

func init() { register("peak_ewma", func() policy { return peakEWMA{} }) }

// peakEWMA looks at two endpoints chosen by lot and picks the one that is likely to answer first: latency times load, of which
// latency believes a slow answer at once and quick ones by and by (Finagle's PeakEwma; see [upstream.Endpoint.Latency]). It
// suits endpoints that are not equally fast, for whatever reason and however long.
type peakEWMA struct{}

// unknown is the latency of an endpoint that has requests but has not answered any: nothing known is worse. One that has no
// requests gets the first.
const unknown = float64(time.Hour)

func (peakEWMA) Pick(from *members, _ uint64) *upstream.Endpoint {
	a, b := from.pair()
	if b.wait() < a.wait() {
		return b.Endpoint
	}
	return a.Endpoint
}

// wait is about how long a request would take. The request itself counts as one whatever the weight: idle endpoints that are equally
// fast are equal, and get what their weights say.
func (m *member) wait() float64 {
	load, latency := m.load(), float64(m.Latency())
	if latency == 0 && load > 0 {
		latency = unknown
	}
	return latency * (load + 1)
}
