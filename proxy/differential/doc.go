// Package differential holds the proxy's reading of HTTP/1.1 against another one: a small strict reader written from RFC 9112 alone
// (strict_test.go), which shares no code with the data path.
//
// The package is tests only. Clients and model servers say what a grammar of good messages and of known mischief makes up
// (grammar_test.go), or what Go's fuzzer does; the proxy, in this process, stands between them (rig_test.go); and laws say what must be
// true whatever was said (requests_test.go, answers_test.go). A case that breaks a law is made shorter for as long as it breaks one, and
// both byte streams are printed.
package differential
