package monitor

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Meter counts the exchanges of one version. All its methods may be called at once, and allocate nothing.
type Meter struct {
	inFlight atomic.Int64
	tunnels  atomic.Int64
	codes    codes

	duration, upstream, firstByte, overhead *durations
	bytesIn, bytesOut                       prometheus.Counter
	errors                                  [reasons]prometheus.Counter // [None] is nil
	retries                                 [retryOutcomes]prometheus.Counter
	assignments                             [bys]prometheus.Counter
	tunnelsEnded                            [tunnelEnds]prometheus.Counter
}

// Observation is what was seen of a finished exchange.
type Observation struct {
	// Status is what mlproxy returned; 499 for a client that left.
	Status int
	// Reason is None when the model server's answer was passed on whole.
	Reason Reason
	// Duration is from the first byte of the request to the last of the answer, Overhead the part spent in mlproxy itself.
	Duration, Overhead time.Duration
	// Upstream is from the sending of the request to the last byte of the model server's answer; FirstByte to the first.
	Upstream, FirstByte time.Duration
	// BytesIn and BytesOut are of the bodies.
	BytesIn, BytesOut int64
	// Sent says that a request reached an endpoint: Upstream counts. Answered says that a byte came back: FirstByte counts.
	Sent, Answered bool
}

func newMeter(s *series, v version) *Meter {
	m := &Meter{
		codes:     codes{vec: s.requests.MustCurryWith(v.labels())},
		duration:  s.duration.of(v.route, v.pool),
		upstream:  s.upstream.of(v.route, v.pool),
		firstByte: s.firstByte.of(v.route, v.pool),
		overhead:  s.overhead.of(v.route),
		bytesIn:   s.requestBytes.WithLabelValues(v.route, v.pool),
		bytesOut:  s.responseBytes.WithLabelValues(v.route, v.pool),
	}
	for r := None + 1; r < reasons; r++ {
		m.errors[r] = s.errors.WithLabelValues(v.route, v.pool, r.String())
	}
	for o := range retryOutcomes {
		m.retries[o] = s.retries.WithLabelValues(v.route, v.pool, o.String())
	}
	for b := range bys {
		m.assignments[b] = s.assignments.WithLabelValues(v.route, v.pool, b.String())
	}
	for e := range tunnelEnds {
		m.tunnelsEnded[e] = s.tunnelsEnded.WithLabelValues(v.route, v.pool, e.String())
	}
	return m
}

// Begin counts an exchange as in flight until it is observed.
func (m *Meter) Begin() { m.inFlight.Add(1) }

// Abandon takes Begin back: another version serves the exchange.
func (m *Meter) Abandon() { m.inFlight.Add(-1) }

// InFlight is how many exchanges have begun and not ended.
func (m *Meter) InFlight() int64 { return m.inFlight.Load() }

// Observe counts a finished exchange, which Begin has begun, in every metric of the version.
func (m *Meter) Observe(o *Observation) {
	m.inFlight.Add(-1)
	m.codes.count(o.Status)
	m.duration.Observe(o.Duration)
	m.overhead.Observe(o.Overhead)
	m.bytesIn.Add(float64(max(o.BytesIn, 0)))
	m.bytesOut.Add(float64(max(o.BytesOut, 0)))
	if o.Sent {
		m.upstream.Observe(o.Upstream)
	}
	if o.Answered {
		m.firstByte.Observe(o.FirstByte)
	}
	m.Error(o.Reason)
}

// Error counts what went wrong with one try; None counts nothing. Observe does it for the exchange as a whole.
func (m *Meter) Error(reason Reason) {
	if reason != None {
		m.errors[reason].Inc()
	}
}

// Assign counts the choice of this version.
func (m *Meter) Assign(by By) { m.assignments[by].Inc() }

// TunnelOpened counts a tunnel as open until TunnelEnded.
func (m *Meter) TunnelOpened() { m.tunnels.Add(1) }

// TunnelEnded counts how a tunnel ended.
func (m *Meter) TunnelEnded(how TunnelEnd) {
	m.tunnels.Add(-1)
	m.tunnelsEnded[how].Inc()
}

// Retry counts a wish for another try.
func (m *Meter) Retry(outcome RetryOutcome) { m.retries[outcome].Inc() }
