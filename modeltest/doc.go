// Package modeltest is a model server with real small models that misbehaves on request.
//
// It serves iris and digits classifiers, trained by train/train.py on scikit-learn's bundled data and embedded here, by
// the Open Inference Protocol V2 over REST, and a tiny Markov chain of words by the OpenAI-compatible chat protocol,
// streamed token by token. Tests and the demo put it behind mlproxy.
//
// Any request can ask for trouble with a header, and a whole [Server] with [Server.Misbehave]:
//
//	X-Modeltest: delay=50ms,reset=body
//
// What the server saw is counted ([Server.Stats]), so that a test can ask whether a client's departure reached it.
// [Server.Await] waits until the counters say so, without sleeping.
package modeltest
