// Package journal keeps evidence of single exchanges: the access log, one line of JSON for each request that was sampled or went wrong.
//
// Traffic never waits for it. A line is put into a queue with a bound, from which one goroutine writes; what finds no room, or
// does not get onto the disk, is dropped and counted. docs/logging.md lists the fields of a line.
package journal
