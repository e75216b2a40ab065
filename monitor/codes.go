package monitor

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// codes counts by status. A series appears with the first exchange that has its status: five hundred a version would be
// too many to make at once, and a lookup an exchange would cost more than all other counting.
type codes struct {
	bound [maxCode + 1]atomic.Pointer[prometheus.Counter] // [0]: no answer; [oddCode]: no status HTTP knows

	mu  sync.Mutex             // orders the binding of a status before or after the retirement
	vec *prometheus.CounterVec // by code; nil once retired
}

const (
	minCode, maxCode = 100, 599
	oddCode          = 1
)

// count adds one to a status; 0 stands for no answer.
func (c *codes) count(status int) {
	at := slot(status)
	counter := c.bound[at].Load()
	if counter == nil {
		counter = c.bind(at)
	}
	(*counter).Inc()
}

// slot puts every status that is none into one, so that a model server cannot invent series either.
func slot(status int) int {
	if status == 0 || status >= minCode && status <= maxCode {
		return status
	}
	return oddCode
}

func codeName(slot int) string {
	if slot == oddCode {
		return "other"
	}
	return strconv.Itoa(slot)
}

// bind makes a series; after the retirement one that nobody scrapes.
func (c *codes) bind(slot int) *prometheus.Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	var counter prometheus.Counter
	if c.vec == nil {
		counter = prometheus.NewCounter(prometheus.CounterOpts{Name: "retired"})
	} else {
		counter = c.vec.WithLabelValues(codeName(slot))
	}
	c.bound[slot].Store(&counter)
	return &counter
}

// retire keeps series from appearing from now on; those that exist are the caller's to remove.
func (c *codes) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.vec = nil
}
