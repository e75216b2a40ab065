package shadow

import (
	"mlproxy/monitor"
	"mlproxy/protocol"
	"mlproxy/router"
)

// criteria are by what a shadow's answers are compared with the live ones.
type criteria struct {
	mode               string
	tolerance          float64 // absolute
	relative           float64
	ignore, unordered  []path
	k                  int
	hashed             bool // nothing of a body is kept but its hash
	compare            func(c *criteria, live, shadow *answer, f *finding)
	adapter            protocol.Adapter
	whole, predictions bool // what compare looks at: the bodies, what the protocol says is in them
}

// modes are the ways to compare that look into answers.
var modes = map[string]func(c *criteria){
	"json":   func(c *criteria) { c.compare, c.whole = compareJSON, true },
	"argmax": func(c *criteria) { c.compare, c.predictions = compareClasses, true },
	"top_k":  func(c *criteria) { c.compare, c.predictions = compareClasses, true },
	"text":   func(c *criteria) { c.compare, c.predictions = compareTexts, true },
}

// modeOf is the mode of a shadow.
func modeOf(s *router.Shadow) string {
	if modes[s.Config.Compare.Mode] == nil {
		return "exact"
	}
	return s.Config.Compare.Mode
}

func newCriteria(s *router.Shadow) criteria {
	c := &s.Config.Compare
	made := criteria{
		mode: modeOf(s), tolerance: c.Tolerance, relative: c.RelativeTolerance, ignore: newPaths(c.Ignore), unordered: newPaths(c.Unordered),
		k: c.K, hashed: c.Bodies == "hash", adapter: s.Adapter,
	}
	if choose := modes[made.mode]; choose != nil {
		choose(&made)
	}
	return made
}

// judge compares two answers that came whole. Of those that are no success only the statuses are, unless it is their documents that count.
func (c *criteria) judge(live, shadow *answer, f *finding) {
	f.reset()
	switch {
	case live.status != shadow.status:
		f.see(max(1, live.rows))
		f.statuses(live.status, shadow.status)
	case c.compare == nil:
		c.sums(live, shadow, f)
	case live.status/100 != 2 && c.predictions:
	default:
		c.compare(c, live, shadow, f)
	}
}

// sums compares by fingerprint.
func (c *criteria) sums(live, shadow *answer, f *finding) {
	f.see(max(1, live.rows))
	if live.sum != shadow.sum || live.length != shadow.length {
		f.severity = 1
		f.differ(-1)
	}
}

// statuses says that two answers have different ones, which is as bad as it can be.
func (f *finding) statuses(live, shadow int) {
	f.severity = 1
	f.count([]byte("status"), true)
	f.note("status", appendInt(nil, live), appendInt(nil, shadow))
	f.differ(-1)
}

// uncompared says why answers cannot be compared, if they cannot.
func uncompared(c *criteria, live, shadow *answer) (why monitor.Uncompared, ok bool) {
	switch {
	case shadow.status == 0:
		return monitor.UncomparedNoAnswer, false
	case !live.whole || !shadow.whole:
		return monitor.UncomparedIncomplete, false
	case c.compare == nil:
		return 0, true
	case live.Lost:
		return live.Why, false
	case shadow.Lost:
		return shadow.Why, false
	}
	return 0, true
}
