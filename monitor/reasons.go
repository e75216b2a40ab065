package monitor

// Reason says why an exchange was not answered by the model server, or not wholly; in errors_total and X-MLProxy-Error.
type Reason uint8

// The reasons, in the order of the status they are answered with.
const (
	None                Reason = iota
	BadRequest                 // 400
	Unauthorized               // 401
	Forbidden                  // 403
	NoRoute                    // 404
	RequestTimeout             // 408
	BodyTooLarge               // 413
	URITooLong                 // 414
	Expectation                // 417
	RateLimited                // 429
	HeadersTooLarge            // 431
	ClientGone                 // 499, never sent
	NotImplemented             // 501
	UpstreamConnect            // 502
	UpstreamReset              // 502, or a broken answer
	UpstreamInvalid            // 502, or a broken answer
	NoHealthyEndpoint          // 503
	Overloaded                 // 503
	BreakerOpen                // 503
	Draining                   // 503
	UpstreamTimeout            // 504
	VersionNotSupported        // 505
	reasons                    // how many there are
)

var reasonNames = [reasons]string{
	None: "none", BadRequest: "bad_request", Unauthorized: "unauthorized", Forbidden: "forbidden", NoRoute: "no_route",
	RequestTimeout: "request_timeout", BodyTooLarge: "body_too_large", URITooLong: "uri_too_long", Expectation: "expectation",
	RateLimited: "rate_limited", HeadersTooLarge: "headers_too_large", ClientGone: "client_gone", NotImplemented: "not_implemented",
	UpstreamConnect: "upstream_connect", UpstreamReset: "upstream_reset", UpstreamInvalid: "upstream_invalid",
	NoHealthyEndpoint: "no_healthy_endpoint", Overloaded: "overloaded", BreakerOpen: "breaker_open", Draining: "draining",
	UpstreamTimeout: "upstream_timeout", VersionNotSupported: "version_not_supported",
}

// String is the reason as labels, headers and logs spell it.
func (r Reason) String() string { return reasonNames[r] }

// By says what decided an assignment.
type By uint8

// What may decide an assignment.
const (
	ByKey      By = iota // the sticky key
	ByRotation           // no key: the low-discrepancy rotation
	ByForce              // a trusted caller named the pool
	bys
)

var byNames = [bys]string{ByKey: "key", ByRotation: "rotation", ByForce: "force"}

// String is the label value.
func (b By) String() string { return byNames[b] }

// RetryOutcome says how a wish for another try ended.
type RetryOutcome uint8

// How a wish for another try may end.
const (
	RetrySucceeded RetryOutcome = iota // the other try was answered
	RetryFailed                        // the other try failed as well
	RetryNoBudget                      // not tried: the budget was spent
	retryOutcomes
)

var retryNames = [retryOutcomes]string{RetrySucceeded: "succeeded", RetryFailed: "failed", RetryNoBudget: "no_budget"}

// String is the label value.
func (o RetryOutcome) String() string { return retryNames[o] }

// TunnelEnd says how a tunnel ended.
type TunnelEnd uint8

// How a tunnel may end.
const (
	TunnelClosed        TunnelEnd = iota // both sides ended what they send
	TunnelIdle                           // nothing passed for body_idle_timeout
	TunnelMaxDuration                    // max_duration had passed
	TunnelClientGone                     // the client's connection broke
	TunnelUpstreamReset                  // the model server's connection broke
	TunnelDraining                       // mlproxy was stopping, or the endpoint had left the config
	tunnelEnds
)

var tunnelEndNames = [tunnelEnds]string{
	TunnelClosed: "closed", TunnelIdle: "idle", TunnelMaxDuration: "max_duration", TunnelClientGone: "client_gone",
	TunnelUpstreamReset: "upstream_reset", TunnelDraining: "draining",
}

// String is the label value.
func (e TunnelEnd) String() string { return tunnelEndNames[e] }

// DropReason says why a sampled request was not copied to a shadow.
type DropReason uint8

// Why a sampled request may not be copied.
const (
	DropInFlight   DropReason = iota // max_in_flight copies were with the shadow
	DropBytes                        // the copies held would have exceeded max_bytes
	DropTooLarge                     // the body exceeded max_body
	DropIncomplete                   // the client's body did not arrive whole
	DropNoEndpoint                   // the shadow's pool offered no endpoint
	DropDraining                     // mlproxy was stopping
	DropOverload                     // live traffic was near a limit: copies are the first to go
	dropReasons
)

var dropNames = [dropReasons]string{
	DropInFlight: "in_flight", DropBytes: "bytes", DropTooLarge: "body_too_large", DropIncomplete: "incomplete",
	DropNoEndpoint: "no_endpoint", DropDraining: "draining", DropOverload: "overload",
}

// String is the label value.
func (d DropReason) String() string { return dropNames[d] }

// Result is what comparing a shadow's answer with the live one found.
type Result uint8

// What a comparison may find.
const (
	Agree  Result = iota // the same, as far as the shadow's compare looks
	Differ               // not the same
	Failed               // nothing to compare; Uncompared says why
	results
)

var resultNames = [results]string{Agree: "agree", Differ: "differ", Failed: "error"}

// String is the label value.
func (r Result) String() string { return resultNames[r] }

// Uncompared says why two answers could not be compared.
type Uncompared uint8

// Why two answers may not be compared.
const (
	UncomparedNoAnswer     Uncompared = iota // the shadow gave none
	UncomparedIncomplete                     // one of them broke off
	UncomparedTooLarge                       // one of them exceeds max_body, or has too many values
	UncomparedBytes                          // keeping one of them would have exceeded max_bytes
	UncomparedBusy                           // too many comparisons waited already
	UncomparedEncoding                       // one of them has a content coding that cannot be undone
	UncomparedUnreadable                     // one of them is not what the route's protocol, or the mode, reads
	UncomparedNoPrediction                   // the live answer has none
	uncompareds
)

var uncomparedNames = [uncompareds]string{
	UncomparedNoAnswer: "no_answer", UncomparedIncomplete: "incomplete", UncomparedTooLarge: "too_large", UncomparedBytes: "bytes",
	UncomparedBusy: "busy", UncomparedEncoding: "encoding", UncomparedUnreadable: "unreadable", UncomparedNoPrediction: "no_prediction",
}

// String is the label value.
func (u Uncompared) String() string { return uncomparedNames[u] }

// RejectReason says why a client's connection was not served.
type RejectReason uint8

// Why a connection may not be served.
const (
	RejectLimit                RejectReason = iota // limits.max_connections were open
	RejectPerIP                                    // the client's address had limits.max_connections_per_ip
	RejectDescriptors                              // the process had no file descriptor left
	RejectTLSTimeout                               // no TLS handshake within limits.read_header_timeout
	RejectTLSClosed                                // the client left in the handshake
	RejectTLSClear                                 // the client did not speak TLS
	RejectTLSProtocol                              // the client speaks no HTTP/1.1 over TLS
	RejectTLSVersion                               // no version of TLS, or no cipher, in common
	RejectTLSClientCertificate                     // the client's certificate is missing or not accepted
	RejectTLSRefused                               // the client accepts our certificate not, or something else of ours
	RejectTLSFailed                                // anything else
	rejectReasons
)

var rejectNames = [rejectReasons]string{
	RejectLimit: "max_connections", RejectPerIP: "max_connections_per_ip", RejectDescriptors: "descriptors",
	RejectTLSTimeout: "tls_timeout", RejectTLSClosed: "tls_closed", RejectTLSClear: "tls_clear_text", RejectTLSProtocol: "tls_protocol",
	RejectTLSVersion: "tls_version", RejectTLSClientCertificate: "tls_client_certificate", RejectTLSRefused: "tls_refused", RejectTLSFailed: "tls_failed",
}

// String is the label value.
func (r RejectReason) String() string { return rejectNames[r] }

// InspectDrop says why a sampled exchange was not inspected.
type InspectDrop uint8

// Why a sampled exchange may not be inspected.
const (
	InspectQueueFull InspectDrop = iota // the workers had not caught up
	InspectBytes                        // the copies held would have exceeded their limit
	InspectOverload                     // live traffic was near a limit: inspection is the first to go
	InspectNoAnswer                     // no model server answered
	InspectDraining                     // mlproxy was stopping
	InspectFailed                       // the adapter failed, which is a fault of mlproxy
	inspectDrops
)

var inspectDropNames = [inspectDrops]string{
	InspectQueueFull: "queue_full", InspectBytes: "bytes", InspectOverload: "overload", InspectNoAnswer: "no_answer",
	InspectDraining: "draining", InspectFailed: "failed",
}

// String is the label value.
func (d InspectDrop) String() string { return inspectDropNames[d] }
