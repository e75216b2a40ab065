package main

import (
	"errors"
	"fmt"
	"time"

	"mlproxy/modeltest"
)

// demoServer says which model server stands behind a pool of the demo, and what is special about it.
type demoServer struct {
	pool, about string
	options     modeltest.Options
}

// demoServers are all of them, in the order of the demo's config file.
var demoServers = []demoServer{
	{"iris-stable", "version 1: a softmax regression", modeltest.Options{Models: []string{"iris.1"}}},
	{"iris-canary", "version 2: a forest of ten small trees", modeltest.Options{Models: []string{"iris.2"}}},
	{"iris-next", "version 1 in a build with 4-bit weights: it should answer alike", modeltest.Options{Models: []string{"iris.1-int4"}}},
	{"digits-blue", "version 1: a softmax regression", modeltest.Options{Models: []string{"digits.1"}}},
	{"digits-green", "version 2: a network with one hidden layer", modeltest.Options{Models: []string{"digits.2"}}},
	{"chat", "a Markov chain of words, 20 tokens a second", modeltest.Options{TokenGap: 50 * time.Millisecond}},
}

// demoModels are the running model servers by pool.
type demoModels map[string]*modeltest.Server

// startDemoModels starts every one, or none.
func startDemoModels() (demoModels, error) {
	running := demoModels{}
	for _, d := range demoServers {
		s, err := modeltest.Start(d.options)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("model server %s: %w", d.pool, err), running.Close())
		}
		running[d.pool] = s
	}
	return running, nil
}

// Close ends them.
func (d demoModels) Close() error {
	var errs []error
	for _, s := range d {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
