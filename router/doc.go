// Package router answers the questions of routing: which route is a request for, which version of the model serves it, which
// endpoint of the pool, and do the shadows want a copy.
//
// A [Table] is a config made ready to answer: whatever can be looked up beforehand has been. It is never changed. A
// [Router] holds the table in force, and an exchange keeps the one it began with; so a change of config is one swap of one
// pointer, and no exchange sees a mixture. What has to live longer than a table, such as connections and counters, is the
// [Estate]'s.
//
// The package knows no HTTP: it takes bytes, and names of fields. Nothing in it that a request comes by allocates memory
// or takes a lock.
package router
