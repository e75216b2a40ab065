package router

import (
	"math"

	"github.com/cespare/xxhash/v2"
)

// rendezvous chooses for requests that have a key, by weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted
// Distributed Hash Tables", SPAA 2005): every candidate draws a number u from (0, 1) by lot, the lot being a hash of key and
// candidate, and the one with the least -ln(u)/share wins. -ln(u)/share is exponentially distributed with the rate share, and the
// least of such numbers is the candidate's own with probability share.
//
// Hence the choice depends on nothing but key, route, pools and weights, in whatever order they come: replicas agree, and
// a restart changes nothing. And a key changes its pool only if a pool whose share has grown overtakes the others; as none
// of these has come nearer to another, no key moves between them, and no more move than the share has grown by.
type rendezvous []candidate

type candidate struct {
	seed  uint64
	share float64
}

// newCandidate salts with the route's name, so that the users of one route's canary are not those of another's.
func newCandidate(route, pool string, share float64) candidate {
	return candidate{seed: xxhash.Sum64String(route + "\x00" + pool), share: share}
}

// choose is the index of the winner.
func (r rendezvous) choose(key []byte) int {
	hash := xxhash.Sum64(key)
	winner, best := 0, math.Inf(-1)
	for i := range r {
		if score := math.Log(lot(hash^r[i].seed)) / r[i].share; score > best {
			winner, best = i, score
		}
	}
	return winner
}

// lot spreads x evenly over (0, 1), both ends excluded.
func lot(x uint64) float64 { return (float64(mix(x)>>11) + 0.5) * 0x1p-53 }

// mix is a 64-bit finaliser (David Stafford's variant 13, as in SplitMix64): xxhash has mixed the key's bytes, but what two
// candidates make of one hash differs at first in a constant only.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
