package protocol

import "sync"

// columns remembers which features the rows of a route had, so that one which is absent is noticed, and whether they were numbers.
// Old rows fade: a feature that clients no longer send is forgotten.
type columns struct {
	mu    sync.Mutex
	rows  int
	known []column // at most MaxFeatures
}

type column struct {
	name                   string
	rows, numbers, strings int // rows that had it, and values of either kind
}

const fading = 1 << 16 // rows after which what was learned counts half

// recall copies what is known.
func (c *columns) recall(to []column) (rows int, known []column) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rows, append(to[:0], c.known...)
}

// learn adds the rows of one request.
func (c *columns) learn(rows int, seen []column) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows += rows
	for i, s := range seen {
		if k := c.find(s.name, i); k != nil {
			k.rows, k.numbers, k.strings = k.rows+s.rows, k.numbers+s.numbers, k.strings+s.strings
		}
	}
	if c.rows <= fading {
		return
	}
	c.rows /= 2
	for i := range c.known {
		k := &c.known[i]
		k.rows, k.numbers, k.strings = k.rows/2, k.numbers/2, k.strings/2
	}
}

// find returns the column with a name, which most often is the one at the hint, or makes room for it; nil when there is none.
func (c *columns) find(name string, hint int) *column {
	if hint < len(c.known) && c.known[hint].name == name {
		return &c.known[hint]
	}
	rarest := 0
	for i := range c.known {
		k := &c.known[i]
		if k.name == name {
			return k
		}
		if k.rows < c.known[rarest].rows {
			rarest = i
		}
	}
	if len(c.known) < MaxFeatures {
		c.known = append(c.known, column{name: name})
		return &c.known[len(c.known)-1]
	}
	if k := &c.known[rarest]; k.rows < c.rows/100 {
		*k = column{name: name}
		return k
	}
	return nil
}
