// Command chaos is behind `make chaos`: it breaks model servers while users ask, and prints what the users saw beside what is promised.
//
// Everything is real. mlproxy is the binary people run; the model servers are processes of their own (this program again, see
// server.go), so that kill -9 and SIGSTOP are what they are in the field; the load is an open loop, which does not wait for answers
// and so does not spare a proxy that is stuck. Each scenario starts all of it anew on loopback ports that are free, breaks something,
// mends it, and ends what it started.
package main
