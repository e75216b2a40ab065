package router

import (
	"math"
	"sync/atomic"

	"mlproxy/upstream"
)

func init() { register("hash", func() policy { return &byHash{} }) }

// byHash keeps requests with equal keys on one endpoint, whose caches know them: weighted rendezvous hashing, as a split has it,
// over the endpoints' URLs. So all replicas agree, an endpoint that becomes unfit or goes away moves its own keys and no others,
// evenly to the rest, and brings back the same when it returns. Requests without a key go where there is less to do.
//
// The keys fall into slots, and a slot's winner is remembered once it was asked for: rendezvous hashing looks at all
// endpoints, of which there may be a thousand.
type byHash struct{ memo atomic.Pointer[memo] }

// slots are how many parts the keys fall into. With a thousand endpoints there are 65 to each: shares are within an eighth of what
// they should be (standard deviation), with ten within a hundredth.
const slots = 1 << 16

// memo remembers the winners of slots as long as the members are the same.
type memo struct {
	of     *members
	winner [slots]atomic.Uint32 // index of a member plus 1; 0 = nobody has asked yet
}

// few members are quickly looked at, without a memo, which takes a quarter of a MiB.
const few = 8

func (h *byHash) Pick(from *members, key uint64) *upstream.Endpoint {
	if key == 0 {
		return leastRequest{}.Pick(from, key)
	}
	slot := key / (1 << 64 / slots)
	if len(from.all) <= few {
		return from.all[from.winner(slot)].Endpoint
	}
	winner := &h.recall(from).winner[slot]
	i := winner.Load()
	if i == 0 {
		i = uint32(from.winner(slot)) + 1
		winner.Store(i)
	}
	return from.all[i-1].Endpoint
}

// recall is the memo of these members.
func (h *byHash) recall(from *members) *memo {
	m := h.memo.Load()
	if m == nil || m.of != from {
		m = &memo{of: from}
		h.memo.Store(m)
	}
	return m
}

// winner is the index of the member that wins a slot; see rendezvous. Of equal weights the highest lot wins, without logarithms.
func (m *members) winner(slot uint64) int {
	winner, best := 0, math.Inf(-1)
	for i := range m.all {
		score := lot(slot ^ m.all[i].seed)
		if m.halves != nil {
			score = math.Log(score) / m.all[i].weight
		}
		if score > best {
			winner, best = i, score
		}
	}
	return winner
}
