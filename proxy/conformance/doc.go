// Package conformance holds the proxy to HTTP/1.1 (RFC 9110, RFC 9112) and to what the documentation promises, with the
// real binary between a client and a model server that are both scripted byte by byte.
//
// The package is tests only. A case is a few lines of a table, or a short play of a [stage]: what the client sends, what
// the model server must get, what it says, what the client must see. What arrives at either side is read by a small
// strict reader of its own (reader_test.go), never by the code under test, and is held to what is true of every message
// (invariants_test.go). No case sleeps: whoever waits, waits for bytes, for the end of a connection, or in vain until the
// stage's patience ends.
package conformance
