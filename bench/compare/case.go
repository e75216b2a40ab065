package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// workload is one kind of exchange, and who asks for it.
type workload struct {
	name  string
	about string

	ask, answer int           // bytes of the bodies
	work        time.Duration // of the model server for an answer
	clients     int           // connections, each with one exchange at a time
	rate        int           // exchanges a second, in an open loop; 0: each client asks again when it has its answer
	events      int           // of a stream, every so often; 0: the answer is in one piece
	every       time.Duration
	idle        bool // the clients ask once, and then only keep their connections

	mirror    int // percent of the requests that a shadow gets too
	inspect   int // percent of the exchanges whose bodies are read
	routes    int // besides the one that is used
	endpoints int // of the stable pool; 0 means 1
	only      []string
}

const mlproxyAlone = "mlproxy"

// workloads are all there are, in the order of the table.
var workloads = []workload{
	{name: "small", about: "256 B to 256 B, 64 clients", ask: 256, answer: 256, clients: 64},
	{name: "medium", about: "16 KiB to 1 KiB, 64 clients", ask: 16 << 10, answer: 1 << 10, clients: 64},
	{name: "large", about: "1 MiB to 64 KiB, 16 clients", ask: 1 << 20, answer: 64 << 10, clients: 16},
	{name: "slow500", about: "a model that takes 20 ms, 500 clients", ask: 256, answer: 256, clients: 500, work: 20 * time.Millisecond},
	{name: "slow2000", about: "the same, 2,000 clients", ask: 256, answer: 256, clients: 2000, work: 20 * time.Millisecond},
	{name: "sse", about: "streams of 64 events, 2 ms apart, 64 clients", ask: 256, clients: 64, events: 64, every: 2 * time.Millisecond},
	{name: "mirror10", about: "small, 10% mirrored", ask: 256, answer: 256, clients: 64, mirror: 10, only: []string{"nginx", mlproxyAlone}},
	{name: "mirror100", about: "small, all mirrored", ask: 256, answer: 256, clients: 64, mirror: 100, only: []string{"nginx", mlproxyAlone}},
	{name: "rate", about: "small, 4,000 a second in an open loop", ask: 256, answer: 256, clients: 64, rate: 4000},
	{name: "inspect", about: "small, the bodies of all read", ask: 256, answer: 256, clients: 64, inspect: 100, only: []string{mlproxyAlone}},
	{name: "routes10", about: "small, with 10 routes", ask: 256, answer: 256, clients: 64, routes: 9, only: []string{"nginx", mlproxyAlone}},
	{name: "routes100", about: "small, with 100 routes", ask: 256, answer: 256, clients: 64, routes: 99, only: []string{"nginx", mlproxyAlone}},
	{name: "routes1000", about: "small, with 1,000 routes", ask: 256, answer: 256, clients: 64, routes: 999, only: []string{"nginx", mlproxyAlone}},
	{name: "endpoints10", about: "small, a pool of 10 endpoints", ask: 256, answer: 256, clients: 64, endpoints: 10, only: []string{"nginx", mlproxyAlone}},
	{
		name: "endpoints1000", about: "small, a pool of 1,000 endpoints", ask: 256, answer: 256, clients: 64, endpoints: 1000,
		only: []string{"nginx", mlproxyAlone},
	},
	{name: "idle10000", about: "10,000 connections that only wait", ask: 256, answer: 256, clients: 10000, idle: true, only: []string{"nginx", mlproxyAlone}},
}

// choose finds workloads by their names; "all" means all of them.
func choose(names string) (chosen []workload, err error) {
	if names == "all" {
		return workloads, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(workloads, func(w workload) bool { return w.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-cases: there is no %q; choose of %s, or all", name, strings.Join(caseNames(), ","))
		}
		chosen = append(chosen, workloads[i])
	}
	return chosen, nil
}

func caseNames() (all []string) {
	for _, w := range workloads {
		all = append(all, w.name)
	}
	return all
}

// takes says whether a peer can do it.
func (w *workload) takes(p *peer) bool {
	return len(w.only) == 0 || slices.Contains(w.only, p.name) || p.config == "mlproxy.yaml"
}

// body is JSON of that many bytes, like that of models which are asked about rows of numbers.
func body(key string, size int) string {
	if size == 0 {
		return ""
	}
	const row = "[5.1,3.5,1.4,0.2],"
	text := `{"` + key + `":[` + strings.Repeat(row, max((size-len(key)-8)/len(row), 0))
	return strings.TrimSuffix(text, ",") + "]" + strings.Repeat(" ", max(size-len(strings.TrimSuffix(text, ","))-2, 0)) + "}"
}
