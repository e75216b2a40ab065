package journal

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"mlproxy/monitor"
)

// Numbers of the OTLP protocol, version 1 (opentelemetry/proto/trace/v1/trace.proto).
const (
	kindServer  = 2
	kindClient  = 3
	statusError = 2
)

// identity is what the spans of one exchange are known by.
type identity struct {
	parent                 // trace is always set; span is zero when the trace begins here
	server, client [8]byte // of the exchange, and of the model server's part of it
}

// appendBatch appends the body of an export: spans as appendSpans made them, with commas between.
func appendBatch(b []byte, version string, spans []byte) []byte {
	b = append(b, `{"resourceSpans":[{"resource":{"attributes":[`...)
	b = appendText(b, "service.name", "mlproxy", mostText)
	b = appendText(b, "service.version", version, mostText)
	b = append(b, `]},"scopeSpans":[{"scope":{"name":"mlproxy"},"spans":[`...)
	return append(append(b, spans...), `]}]}]}`...)
}

// appendSpans appends the spans of an exchange, with a comma between if there are two, and says how many they are: its own, and
// the model server's part if a request was sent to one. Attributes are as in OpenTelemetry's semantic conventions for HTTP.
func appendSpans(b []byte, r *monitor.Record, id *identity) ([]byte, int) {
	b = appendServer(b, r, id)
	if !r.Seen.Sent {
		return b, 1
	}
	return appendClient(append(b, ','), r, id), 2
}

// appendServer appends the span of the exchange as its client saw it.
func appendServer(b []byte, r *monitor.Record, id *identity) []byte {
	b = appendSpan(b, id, id.server, id.span, kindServer)
	b = appendSpanName(b, r.Method, r.Route)
	b = appendTimes(b, r.At, r.Seen.Duration)
	b = appendMethod(append(b, `,"attributes":[`...), r.Method)
	b = appendInt(b, "http.response.status_code", int64(r.Seen.Status))
	b = appendText(b, "url.path", r.Path, mostPath)
	b = appendText(b, "url.scheme", "http", mostText)
	b = appendText(b, "server.address", r.Host, mostText)
	b = appendText(b, "client.address", r.Client, mostText)
	b = appendText(b, "network.protocol.version", strings.TrimPrefix(r.Protocol, "HTTP/"), mostText)
	b = appendText(b, "user_agent.original", r.UserAgent, mostText)
	b = appendText(b, "mlproxy.request_id", r.RequestID, mostText)
	b = appendText(b, "mlproxy.route", r.Route, mostText)
	b = appendText(b, "mlproxy.pool", r.Pool, mostText)
	b = appendText(b, "mlproxy.failed_over_from", r.FailedOverFrom, mostText)
	b = appendText(b, "mlproxy.endpoint", r.Endpoint, mostText)
	b = appendText(b, "mlproxy.assigned_by", r.AssignedBy, mostText)
	b = appendText(b, "error.type", errorType(r.Seen), mostText)
	return appendStatus(append(b, ']'), failed(r.Seen))
}

// appendClient appends the span of the model server's part: from the first sending of the request to the end of the answer.
func appendClient(b []byte, r *monitor.Record, id *identity) []byte {
	b = appendSpan(b, id, id.client, id.server, kindClient)
	b = appendSpanName(b, r.Method, r.Pool)
	b = appendTimes(b, r.SentAt, waited(r))
	b = appendMethod(append(b, `,"attributes":[`...), r.Method)
	if r.Seen.Reason == monitor.None {
		b = appendInt(b, "http.response.status_code", int64(r.Seen.Status))
	}
	if r.Tries > 1 {
		b = appendInt(b, "http.request.resend_count", int64(r.Tries-1))
	}
	host, port := authority(r.Endpoint)
	b = appendText(b, "server.address", host, mostText)
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		b = appendInt(b, "server.port", int64(n))
	}
	b = appendText(b, "mlproxy.pool", r.Pool, mostText)
	b = appendText(b, "mlproxy.endpoint", r.Endpoint, mostText)
	what := errorType(r.Seen)
	if what == "" && r.Seen.Status >= 400 { // for the one who asks, 4xx is an error too
		what = strconv.Itoa(r.Seen.Status)
	}
	b = appendText(b, "error.type", what, mostText)
	return appendStatus(append(b, ']'), what != "")
}

// waited is how long the model server was waited for. One whose answer did not come to its end was waited for until the exchange ended.
func waited(r *monitor.Record) time.Duration {
	if r.Seen.Upstream > 0 {
		return r.Seen.Upstream
	}
	return r.At.Add(r.Seen.Duration).Sub(r.SentAt)
}

// errorType says what went wrong; empty when nothing did.
func errorType(o *monitor.Observation) string {
	switch {
	case o.Reason != monitor.None:
		return o.Reason.String()
	case o.Status >= 500:
		return strconv.Itoa(o.Status)
	}
	return ""
}

// failed says that an exchange failed, and not by its client: with 5xx, or midway in an answer that had begun well.
func failed(o *monitor.Observation) bool {
	return o.Status >= 500 || o.Status < 400 && o.Reason != monitor.None && o.Reason != monitor.ClientGone
}

// appendSpan begins a span. Attributes follow each other by commas, which the first one lacks: see appendKey.
func appendSpan(b []byte, id *identity, span, parent [8]byte, kind int64) []byte {
	b = hex.AppendEncode(append(b, `{"traceId":"`...), id.trace[:])
	b = hex.AppendEncode(append(b, `","spanId":"`...), span[:])
	if parent != [8]byte{} {
		b = hex.AppendEncode(append(b, `","parentSpanId":"`...), parent[:])
	}
	return appendNumber(b, `","kind":`, kind)
}

// appendSpanName appends a name of which there are few: the method, if it is a known one, and a name of the config's.
func appendSpanName(b, method []byte, name string) []byte {
	word := knownMethod(method)
	if word == "" {
		word = "HTTP"
	}
	b = appendName(b, `,"name":"`, word)
	if name != "" {
		b = appendName(b, " ", name)
	}
	return append(b, '"')
}

// appendTimes appends when a span began and ended, in nanoseconds of the epoch, which JSON has as strings.
func appendTimes(b []byte, start time.Time, d time.Duration) []byte {
	began := start.UnixNano()
	b = appendNumber(b, `,"startTimeUnixNano":"`, began)
	b = appendNumber(b, `","endTimeUnixNano":"`, began+int64(max(d, 0)))
	return append(b, '"')
}

// appendStatus ends a span.
func appendStatus(b []byte, bad bool) []byte {
	if bad {
		b = append(appendNumber(b, `,"status":{"code":`, statusError), '}')
	}
	return append(b, '}')
}

// appendMethod appends a method; one that nobody knows is apart, so that there are few.
func appendMethod(b, method []byte) []byte {
	if word := knownMethod(method); word != "" {
		return appendText(b, "http.request.method", word, mostText)
	}
	b = appendText(b, "http.request.method", "_OTHER", mostText)
	return appendText(b, "http.request.method_original", method, mostText)
}

func knownMethod(method []byte) string {
	switch m := string(method); m {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return m
	}
	return ""
}

// appendText appends an attribute, unless its value is empty.
func appendText[T string | []byte](b []byte, key string, value T, most int) []byte {
	if len(value) == 0 {
		return b
	}
	b = append(appendKey(b, key), `{"stringValue":"`...)
	b = appendEscaped(b, value[:min(len(value), most)])
	if len(value) > most {
		b = append(b, "..."...)
	}
	return append(b, `"}}`...)
}

// appendInt appends an attribute that is a number; JSON has 64 bits as a string.
func appendInt(b []byte, key string, n int64) []byte {
	return append(appendNumber(appendKey(b, key), `{"intValue":"`, n), `"}}`...)
}

func appendKey(b []byte, key string) []byte {
	if b[len(b)-1] != '[' {
		b = append(b, ',')
	}
	return append(append(append(b, `{"key":"`...), key...), `","value":`...)
}

// authority takes host and port from an endpoint's URL; IPv6 loses its brackets.
func authority(url string) (host, port string) {
	_, rest, _ := strings.Cut(url, "://")
	rest, _, _ = strings.Cut(rest, "/")
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, ']') {
		rest, port = rest[:colon], rest[colon+1:]
	}
	return strings.Trim(rest, "[]"), port
}
