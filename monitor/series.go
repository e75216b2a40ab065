package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Bounds of the classic histograms in seconds. Inference takes 50 us (a tree, over loopback) to a minute (a long completion);
// the proxy itself takes microseconds, up to a second when it queues.
var (
	exchangeBounds = []float64{
		50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, .1, .25, .5, 1, 2.5, 5, 10, 30, 60,
	}
	overheadBounds = []float64{
		5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, .1, .25, .5, 1,
	}
)

// series are all metrics of mlproxy. Each is made, named and explained in newSeries and nowhere else.
type series struct {
	comparisons                                  comparisons
	requests, errors, retries, assignments       *prometheus.CounterVec
	failovers, transitions, tunnelsEnded         *prometheus.CounterVec
	requestBytes, responseBytes                  *prometheus.CounterVec
	duration, upstream, firstByte, overhead      durationsVec
	shadowRequests, shadowDropped, shadowCompare *prometheus.CounterVec
	shadowDuration                               durationsVec
	split, active, pending, build                *prometheus.GaugeVec
	revision, reloaded, reloadedAt               prometheus.Gauge
	rejected                                     *prometheus.CounterVec
	evicted                                      prometheus.Counter
	rateForgotten, accessDropped, traceDropped   prometheus.Counter
	feedback, feedbackDropped                    *prometheus.CounterVec
	feedbackForgotten, journalDropped            prometheus.Counter

	// What models are asked and say.
	rows, rowsMissing, valuesMissing    *prometheus.CounterVec
	nonFinite, finish                   *prometheus.CounterVec
	outputsMissing, predictions, tokens *prometheus.CounterVec
	streamEnd, inspectDropped           *prometheus.CounterVec
	extractErrors                       *prometheus.CounterVec
	inputLength, brightness             *prometheus.HistogramVec
	predictionValue, confidence         *prometheus.HistogramVec
	pixels, level                       *prometheus.HistogramVec
	firstToken, firstAnswer, interToken *prometheus.HistogramVec
}

func newSeries(f factory) series {
	s := series{
		requests: f.counter("requests_total",
			"Exchanges by the exact status mlproxy returned; 499 for a client that left.", "route", "pool", "code"),
		duration: f.durations("request_duration_seconds",
			"Time from the first byte of the request to the last byte of the answer.", exchangeBounds, "route", "pool"),
		overhead: f.durations("overhead_seconds",
			"Time spent in mlproxy itself.", overheadBounds, "route"),
		upstream: f.durations("upstream_duration_seconds",
			"Time a model server took, to the last byte of its answer.", exchangeBounds, "route", "pool"),
		firstByte: f.durations("time_to_first_byte_seconds",
			"Time to the first byte of a model server's answer.", exchangeBounds, "route", "pool"),
		requestBytes: f.counter("request_bytes_total",
			"Bytes of request bodies taken from clients.", "route", "pool"),
		responseBytes: f.counter("response_bytes_total",
			"Bytes of answer bodies given to clients.", "route", "pool"),
		errors: f.counter("errors_total",
			"What kept a model server's answer from a client, also where another try then succeeded.", "route", "pool", "reason"),
		retries: f.counter("retries_total",
			"Wishes for another try, by how they ended.", "route", "pool", "outcome"),
		assignments: f.counter("assignments_total",
			"Choices of a version, by what decided them.", "route", "pool", "by"),
		tunnelsEnded: f.counter("tunnels_ended_total",
			"Tunnels that have ended, by how they did.", "route", "pool", "outcome"),
		failovers: f.counter("failovers_total",
			"Exchanges that another pool took over from the one that was chosen for them.", "route", "from", "to"),
		transitions: f.counter("health_transitions_total",
			"Changes of an endpoint's health, by whose it was and what it became.", "pool", "endpoint", "kind", "to"),
		split: f.gauge("split_weight",
			"Configured share of a route's traffic, 0 to 1.", "route", "pool"),
		active: f.gauge("active_pool",
			"1 for the active pool of a blue/green route, 0 for the idle one.", "route", "pool"),
		pending: f.gauge("switch_pending",
			"1 while a blue/green switch of the config waits for its pool to be reachable, else 0.", "route"),
		shadowRequests: f.counter("shadow_requests_total",
			"Copies sent to a shadow, by the status of its answer; 0 for none.", "route", "pool", "code"),
		shadowDuration: f.durations("shadow_duration_seconds",
			"Time a shadow took, to the last byte of its answer or to its failure.", exchangeBounds, "route", "pool"),
		shadowDropped: f.counter("shadow_dropped_total",
			"Sampled requests that were not copied.", "route", "pool", "reason"),
		shadowCompare: f.counter("shadow_compared_total",
			"Shadow answers compared with the live ones.", "route", "pool", "result"),
		comparisons: newComparisons(f),
		revision: f.one("config_revision",
			"Revision of the config in force."),
		reloaded: f.one("config_last_reload_successful",
			"1 when the last change of the config was applied, 0 when it was refused."),
		reloadedAt: f.one("config_last_reload_timestamp_seconds",
			"When the config was last applied or refused."),
		rejected: f.counter("connections_rejected_total",
			"Connections of clients that were not served.", "reason"),
		evicted: f.counter("connections_evicted_total",
			"Connections of clients that only waited and were closed, to make room for others.").WithLabelValues(),
		rateForgotten: f.counter("rate_limit_forgotten_total",
			"Rate limits of clients that gave way to others before they had ended.").WithLabelValues(),
		build: f.gauge("build_info",
			"1; the labels say what runs.", "version", "revision", "goversion"),
	}
	s.addEvidence(f)
	s.addModels(f)
	return s
}

// addEvidence makes the metrics of what is kept of single exchanges, and of what users did with their answers.
func (s *series) addEvidence(f factory) {
	s.accessDropped = f.counter("access_log_dropped_total",
		"Lines of the access log that were not written.").WithLabelValues()
	s.traceDropped = f.counter("trace_dropped_total",
		"Spans that reached no collector.").WithLabelValues()
	s.journalDropped = f.counter("journal_dropped_total",
		"Predictions that were to be in the journal, and were not written.").WithLabelValues()
	s.feedback = f.counter("feedback_total",
		"What users did with answers, joined to the version that gave them; source is the way it came by.", "route", "pool", "event", "source")
	s.feedbackDropped = f.counter("feedback_dropped_total",
		"Feedback that counts for no version.", "source", "reason")
	s.feedbackForgotten = f.counter("feedback_forgotten_total",
		"Exchanges and searches that gave way to others while feedback could still come for them.").WithLabelValues()
}

// addModels makes the metrics of what models are asked and say. They count inspected exchanges only.
func (s *series) addModels(f factory) {
	s.rows = f.counter("rows_total",
		"Rows (examples to be predicted) that models were asked about.", "route", "pool")
	s.rowsMissing = f.counter("input_rows_missing_total",
		"Rows with at least one missing value.", "route", "pool")
	s.valuesMissing = f.counter("input_values_missing_total",
		"Values that were missing.", "route", "pool")
	s.nonFinite = f.counter("input_values_nonfinite_total",
		"Values that were infinite.", "route", "pool")
	s.inputLength = f.histogram("input_length",
		"Length of a row.", lengthBounds, "route", "pool", "kind")
	s.brightness = f.histogram("input_image_brightness",
		"Mean luma of an image, 0 to 255.", brightnessBounds, "route", "pool")
	s.pixels = f.histogram("input_image_pixels",
		"Width times height of an image.", pixelBounds, "route", "pool")
	s.level = f.histogram("input_audio_dbfs",
		"Level of a recording.", levelBounds, "route", "pool")
	s.outputsMissing = f.counter("outputs_missing_total",
		"Rows that were answered without a prediction.", "route", "pool", "reason")
	s.predictionValue = f.histogram("prediction_value",
		"Predicted numbers.", valueBounds, "route", "pool", "output")
	s.predictions = f.counter("predictions_total",
		"Predicted classes.", "route", "pool", "class")
	s.confidence = f.histogram("confidence",
		"How sure the model was, 0 to 1.", confidenceBounds, "route", "pool")
	s.tokens = f.counter("tokens_total",
		"Tokens, as the model server counts them.", "route", "pool", "type")
	s.finish = f.counter("finish_total",
		"Choices of language models, by why they ended.", "route", "pool", "reason")
	s.firstToken = f.histogram("time_to_first_token_seconds",
		"Time from the sending of the request to the first event with a token.", exchangeBounds, "route", "pool")
	s.firstAnswer = f.histogram("time_to_first_answer_seconds",
		"Time from the sending of the request to the first event with a token that is no reasoning.", exchangeBounds, "route", "pool")
	s.interToken = f.histogram("inter_token_seconds",
		"Time between two events with tokens.", exchangeBounds, "route", "pool")
	s.streamEnd = f.counter("stream_end_total",
		"Event streams, by how they ended.", "route", "pool", "outcome")
	s.inspectDropped = f.counter("inspect_dropped_total",
		"Sampled exchanges that were not inspected.", "reason")
	s.extractErrors = f.counter("extract_errors_total",
		"What could not be read in bodies.", "route", "reason")
}

// ofVersion are the metrics whose series end with a version.
func (s *series) ofVersion() []family {
	return []family{
		s.requests, s.duration, s.upstream, s.firstByte, s.requestBytes, s.responseBytes, s.errors, s.retries, s.assignments,
		s.tunnelsEnded, s.split, s.active, s.feedback,
	}
}

// ofShadow are the metrics whose series end with a shadow.
func (s *series) ofShadow() []family {
	return []family{s.shadowRequests, s.shadowDuration, s.shadowDropped, s.shadowCompare, s.comparisons.uncompared, s.comparisons.rows, s.comparisons.noise}
}

// ofModel are the metrics whose series end with a version's inspection.
func (s *series) ofModel() []family {
	return []family{
		s.rows, s.rowsMissing, s.valuesMissing, s.inputLength, s.brightness, s.outputsMissing, s.predictionValue, s.predictions,
		s.confidence, s.tokens, s.firstToken, s.interToken, s.streamEnd, s.nonFinite, s.finish, s.pixels, s.level, s.firstAnswer,
	}
}

// family is a metric whose series can be removed.
type family interface {
	DeletePartialMatch(labels prometheus.Labels) int
}

func remove(from []family, labels prometheus.Labels) {
	for _, f := range from {
		f.DeletePartialMatch(labels)
	}
}

// namespace begins every metric's name.
const namespace = "mlproxy"

// factory makes metrics and registers them.
type factory struct{ *prometheus.Registry }

func (f factory) runtime() {
	f.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

func (f factory) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	f.MustRegister(v)
	return v
}

func (f factory) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	f.MustRegister(v)
	return v
}

func (f factory) one(name, help string) prometheus.Gauge {
	return f.gauge(name, help).WithLabelValues()
}

// histogram is both classic and native: scrapers that know native histograms get buckets a tenth apart, at most
// 160 of them, made coarser when there would be more (and never reset: a rollout's evidence must not vanish).
func (f factory) histogram(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: bounds,
		NativeHistogramBucketFactor:    1.1,
		NativeHistogramMaxBucketNumber: mostBuckets,
	}, labels)
	f.MustRegister(v)
	return v
}

// durations is histogram for what every exchange observes.
func (f factory) durations(name, help string, bounds []float64, labels ...string) durationsVec {
	v := newDurationsVec(name, help, bounds, labels)
	f.MustRegister(v)
	return v
}

// seconds is d as metrics have it; a clock that stood still or went back counts as no time.
func seconds(d time.Duration) float64 { return float64(max(d, 0)) / float64(time.Second) }
