package monitor

import "testing"

func TestAccessDroppedCounts(t *testing.T) {
	r := New()
	has(t, r, map[string]float64{"mlproxy_access_log_dropped_total": 0})
	r.AccessDropped(3)
	r.AccessDropped(1)
	has(t, r, map[string]float64{"mlproxy_access_log_dropped_total": 4})
}

func TestTraceDroppedCounts(t *testing.T) {
	r := New()
	has(t, r, map[string]float64{"mlproxy_trace_dropped_total": 0})
	r.TraceDropped(3)
	r.TraceDropped(1)
	has(t, r, map[string]float64{"mlproxy_trace_dropped_total": 4})
}
