package router

import (
	"testing"

	"mlproxy/config"
	"mlproxy/monitor"
)

// An adapter learns which features rows have. It is kept as long as bodies are read in the same way.
func TestAdaptersOutliveTheirTable(t *testing.T) {
	e := NewEstate(monitor.New())
	var before *Table
	swap := func(r config.Route) *Inspection {
		t.Helper()
		r.Inspect = config.Inspect{Sample: 1, MaxBody: 100}
		now := compileIn(t, desired(map[string]*config.Route{"r": &r}), e)
		e.Retire(before, now)
		before = now
		return now.Routes()[0].Inspection
	}
	first := swap(config.Route{Split: config.Weights{"a": 1}, Protocol: "mlflow"})
	f := func(what string, r config.Route, kept bool) {
		t.Helper()
		if got := swap(r); (got.Adapter == first.Adapter) != kept {
			t.Errorf("%s: kept %v", what, !kept)
		}
	}
	f("another split", config.Route{Split: config.Weights{"a": 1, "b": 1}, Protocol: "mlflow"}, true)
	f("another sentinel", config.Route{
		Split: config.Weights{"a": 1}, Protocol: "mlflow", Extract: config.Extract{Request: config.ExtractRequest{Missing: []string{"NA"}}},
	}, false)
	f("another protocol", config.Route{Split: config.Weights{"a": 1}, Protocol: "tf_serving"}, false)
}
