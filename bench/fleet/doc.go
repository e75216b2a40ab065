// Command fleet is behind `make demo-fleet`: three proxies and one Consul, a key that switches colour again and again while users ask,
// and then how long the fleet took to agree, and whether a request failed.
//
// Everything is real: mlproxy is the binary people run, Consul the agent that tests run, the load an open loop that does not wait for
// answers. Agreement is what users see: a proxy acts by a key once it answers from the pool that the key says.
package main
