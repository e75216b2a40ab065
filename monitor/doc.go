// Package monitor learns from finished exchanges: numbers per version, for people to see and for rollouts to judge.
//
// What is counted is bound when a table is compiled, so that counting costs a few atomic additions and allocates nothing.
// Labels name routes and pools of the config and constants of this package; nothing a client sends becomes a label.
// docs/metrics.md lists every metric. Prometheus is known here alone; admin merely serves what [Registry.Gatherer] gathers.
package monitor
