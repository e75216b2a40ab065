package monitor

import (
	"hash/maphash"
	"sync"
)

// served are the exchanges that feedback may speak of: a bounded number of them, of which the oldest gives way to the newest. They are
// found by a hash of the request ID whose seed nobody knows.
type served struct {
	seed   maphash.Seed
	shards [servedShards]servedShard
}

const (
	servedShards = 16
	mostCells    = 1 << 20 / servedShards // numbers of predictions that a shard keeps
)

type servedShard struct {
	mu    sync.Mutex
	index map[uint64]int32 // ID -> place in ring
	ring  []servedExchange
	next  int // the oldest, once the ring is full
	cells int // numbers that the predictions in ring hold
}

// servedExchange is what is known of one exchange.
type servedExchange struct {
	id      uint64
	ledger  *Ledger
	at      int64                // ns since 1970
	session uint64               // 0 = no sticky key
	asked   bool                 // its query was seen
	heard   [FromRouter]*hearing // by source
	rows    []prediction         // nil until they are known
}

// hearing is what one source has said of an exchange.
type hearing struct {
	shown             int64 // when the answer was, in ns since 1970; 0 = it was not
	clicked           bool
	impression, click int64 // the minutes they count in
	seen              [feedbackEvents][mostRows / 64]uint64
	waiting           []waitingLabel
}

// waitingLabel is one whose prediction is not known yet.
type waitingLabel struct {
	row   int
	label any
}

func newServed() *served {
	s := &served{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].index = map[uint64]int32{}
	}
	return s
}

func hashID[T string | []byte](s *served, id T) uint64 {
	return maphash.String(s.seed, string(id))
}

// shard locks the part of the table where the ID has its place; its user unlocks it.
func (s *served) shard(id uint64) *servedShard {
	h := &s.shards[id%servedShards]
	h.mu.Lock()
	return h
}

func (h *servedShard) find(id uint64) *servedExchange {
	if i, known := h.index[id]; known {
		return &h.ring[i]
	}
	return nil
}

// add makes room for an exchange among at most most; forgotten says that one which gave way was younger than after.
func (h *servedShard) add(x servedExchange, most int, after int64) (e *servedExchange, forgotten bool) {
	most = max(1, most/servedShards)
	if len(h.ring) > most {
		h.shrink(most)
	}
	if len(h.ring) < most {
		h.ring = append(h.ring, x)
		h.index[x.id] = int32(len(h.ring) - 1)
		return &h.ring[len(h.ring)-1], false
	}
	place := h.next % most
	old := &h.ring[place]
	h.next = (place + 1) % most
	if i, known := h.index[old.id]; known && int(i) == place {
		delete(h.index, old.id)
	}
	h.forgetRows(old)
	forgotten = old.at > after
	*old = x
	h.index[x.id] = int32(place)
	return old, forgotten
}

// shrink forgets what there is no room for any more.
func (h *servedShard) shrink(most int) {
	for i := most; i < len(h.ring); i++ {
		if at, known := h.index[h.ring[i].id]; known && int(at) == i {
			delete(h.index, h.ring[i].id)
		}
		h.forgetRows(&h.ring[i])
	}
	clear(h.ring[most:])
	h.ring, h.next = h.ring[:most], 0
}

// keepRows keeps the predictions of an exchange if there is room for them.
func (h *servedShard) keepRows(e *servedExchange, rows []prediction) {
	n := 0
	for i := range rows {
		n += rows[i].cells()
	}
	if e.rows == nil && h.cells+n <= mostCells {
		e.rows = rows
		h.cells += n
	}
}

func (h *servedShard) forgetRows(e *servedExchange) {
	for i := range e.rows {
		h.cells -= e.rows[i].cells()
	}
	e.rows = nil
}

func (e *servedExchange) hearing(by FeedbackSource) *hearing {
	if e.heard[by] == nil {
		e.heard[by] = new(hearing)
	}
	return e.heard[by]
}

// first says whether an event of a row is the first of its kind, and marks it.
func (h *hearing) first(event FeedbackEvent, row int) bool {
	word, bit := &h.seen[event][row/64], uint64(1)<<(row%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
