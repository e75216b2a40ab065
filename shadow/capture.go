package shadow

import (
	"sync/atomic"

	"mlproxy/monitor"
	"mlproxy/router"
	"mlproxy/upstream"
)

// mostLive bounds the live answers that are kept, all together, while their exchanges still run, in bytes.
const mostLive = 32 << 20

// Kept is an answer as it came.
type Kept struct {
	Bytes []byte // head, of so many bytes, and body
	Head  int
	Lost  bool               // they are not kept
	Why   monitor.Uncompared // if lost
}

// Capture takes an answer as it passes: always its fingerprint, and its bytes if a comparison looks into it, as long as there is
// room. It begins with [Mirror.Begin] and ends with Free.
type Capture struct {
	Sum
	Kept

	from  *buffers      // nil: the fingerprint is enough
	used  *atomic.Int64 // what Bytes is charged to
	limit int64
	most  int64 // bytes of the body
}

// Begin prepares c for the live answer of an exchange that these shadows drew.
func (m *Mirror) Begin(c *Capture, drawn []*router.Shadow) {
	c.Reset()
	c.Kept, c.from = Kept{}, nil
	most := int64(0)
	for _, s := range drawn {
		if modeOf(s) != "exact" {
			most = max(most, s.Config.MaxBody)
		}
	}
	if most > 0 {
		c.from, c.used, c.limit, c.most = &m.buffers, &m.live, mostLive, most
	}
}

// TakeHead keeps the head.
func (c *Capture) TakeHead(h *upstream.Head) {
	if c.from != nil {
		c.keep(h.Raw)
		c.Head = len(c.Bytes)
	}
}

// Take takes the next piece of the body, transfer coding removed.
func (c *Capture) Take(piece []byte) {
	c.Add(piece)
	switch {
	case c.from == nil || c.Lost:
	case c.Len() > c.most:
		c.lose(monitor.UncomparedTooLarge)
	default:
		c.keep(piece)
	}
}

func (c *Capture) keep(piece []byte) {
	if !reserve(c.used, int64(len(piece)), c.limit) {
		c.lose(monitor.UncomparedBytes)
		return
	}
	if need := len(c.Bytes) + len(piece); need > cap(c.Bytes) {
		larger := append(c.from.get(max(need, 2*len(c.Bytes))), c.Bytes...)
		c.from.giveBack(c.Bytes)
		c.Bytes = larger
	}
	c.Bytes = append(c.Bytes, piece...)
}

// lose gives up keeping the answer.
func (c *Capture) lose(why monitor.Uncompared) {
	c.Free()
	c.Lost, c.Why = true, why
}

// Free lets go of what is kept.
func (c *Capture) Free() {
	if c.from != nil {
		c.used.Add(-int64(len(c.Bytes)))
		c.from.giveBack(c.Bytes)
	}
	c.Kept = Kept{}
}

// answer is what has come. Who has it is to free its bytes.
func (c *Capture) answer() answer {
	return answer{sum: c.Hash(), length: c.Len(), Kept: c.Kept}
}
