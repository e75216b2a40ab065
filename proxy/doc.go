// Package proxy carries exchanges: a request from its client to the endpoint its route chooses, and the answer back.
//
// fasthttp's server accepts connections and keeps the workers that serve them; each connection is handed, through the
// server's hook for protocols, to the loop in conn.go. From there both ends of the wire are ours: heads are read
// strictly and passed on as raw bytes, bodies are framed here, and nothing waits without a limit. The steps of an
// exchange are the lines of exchange.serve, a file each.
package proxy
