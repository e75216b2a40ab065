package e2e

import (
	"fmt"
	"net/http"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics is one reading of /metrics.
type metrics map[string]*dto.MetricFamily

func (r *running) metrics() metrics {
	r.t.Helper()
	status, text := r.call(http.MethodGet, "/metrics", "")
	must(r.t, equal("the status of /metrics", status, http.StatusOK))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	must(r.t, err)
	return families
}

// sum adds up the series of a metric that have all these labels, written `pool=stable`. Of a histogram it adds the counts.
func (m metrics) sum(name string, labels ...string) (sum int) {
	for _, series := range m[name].GetMetric() {
		if has(series, labels) {
			sum += int(series.GetCounter().GetValue() + series.GetGauge().GetValue() + float64(series.GetHistogram().GetSampleCount()))
		}
	}
	return sum
}

func has(series *dto.Metric, labels []string) bool {
	found := 0
	for _, label := range labels {
		for _, l := range series.GetLabel() {
			if l.GetName()+"="+l.GetValue() == label {
				found++
			}
		}
	}
	return found == len(labels)
}

// awaitSum waits until a metric has come to a value: an exchange is counted when its answer has left.
func (r *running) awaitSum(want int, name string, labels ...string) {
	r.t.Helper()
	await(r.t, "a metric", func() error {
		return equal(fmt.Sprintf("%s%v", name, labels), r.metrics().sum(name, labels...), want)
	})
}
