package main

import "sync"

// group runs functions side by side. Whoever starts one sees to it that it can end, and waits for all with Wait.
type group struct {
	running sync.WaitGroup
	once    sync.Once
	failed  chan struct{}
	err     error // the first failure; read after failed is closed
}

func newGroup() *group { return &group{failed: make(chan struct{})} }

// Go starts f.
func (g *group) Go(f func() error) {
	g.running.Go(func() {
		if err := f(); err != nil {
			g.once.Do(func() {
				g.err = err
				close(g.failed)
			})
		}
	})
}

// Failed is closed when the first function has returned an error.
func (g *group) Failed() <-chan struct{} { return g.failed }

// Wait waits until all have ended, and returns the first failure.
func (g *group) Wait() error {
	g.running.Wait()
	return g.err
}
