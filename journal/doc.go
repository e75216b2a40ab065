// Package journal keeps evidence of single exchanges: the access log, one line of JSON for each request that was sampled or went wrong;
// Predictions, the journal proper, one line for what a model was asked and said; and Traces, the spans of those that are traced.
//
// Traffic never waits for it. A line, or a span, is put into a queue with a bound, from which one goroutine writes, or sends; what finds
// no room, or does not get onto the disk or to the collector, is dropped and counted. docs/logging.md and docs/journal.md list the
// fields of a line, docs/tracing.md what is in a span. Traces know OTLP, but no HTTP: how a batch is posted they are told.
package journal
