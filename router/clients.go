package router

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// clients are the buckets of client addresses. There is room for so many, whoever comes: a new one takes the place of a bucket
// that is full, which changes nothing, and only when there is none of the one that will be full next. Who sends from more
// addresses than there is room for is thus let through sooner than the limit says, and nobody is held up for it.
//
// An address has its place in one of many small sets, which are locked apart; which one, nobody outside can know.
type clients struct {
	seed maphash.Seed
	sets [clientSets]clientSet
}

const (
	clientSets = 8192
	clientWays = 8 // 65,536 clients in all: 2 MiB, touched as they come
)

type clientSet struct {
	mu    sync.Mutex
	slots [clientWays]clientSlot
}

type clientSlot struct {
	client netip.Addr
	full   int64 // as in bucket
}

func newClients() *clients { return &clients{seed: maphash.MakeSeed()} }

func (c *clients) take(l *Limit, client netip.Addr, now int64) time.Duration {
	raw := client.As16()
	set := &c.sets[maphash.Bytes(c.seed, raw[:])%clientSets]
	set.mu.Lock()
	defer set.mu.Unlock()
	slot := set.slot(client)
	if slot.client != client {
		if slot.full > now {
			l.forgot()
		}
		*slot = clientSlot{client: client}
	}
	next, wait := l.next(slot.full, now)
	if wait == 0 {
		slot.full = next
	}
	return wait
}

// slot is the client's, or the one it may have.
func (s *clientSet) slot(client netip.Addr) *clientSlot {
	fullest := &s.slots[0]
	for i := range s.slots {
		slot := &s.slots[i]
		if slot.client == client {
			return slot
		}
		if slot.full < fullest.full {
			fullest = slot
		}
	}
	return fullest
}

// Network is whom an address stands for: itself, and of IPv6 its /64 network, all of which its owner has.
func Network(client netip.Addr) netip.Addr {
	client = client.Unmap()
	if client.Is6() {
		if network, err := client.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return client
}
