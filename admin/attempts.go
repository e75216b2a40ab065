package admin

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"mlproxy/router"
)

// attempts bounds how fast tokens can be guessed: who has sent mostWrong wrong ones within a minute is not listened to for the rest of it.
// Others are, so that nobody can lock operators out from elsewhere. All on this machine share an address: there it takes mostWrongHere.
type attempts struct {
	mu    sync.Mutex
	wrong map[netip.Addr]wrongTokens // by address, of IPv6 by /64 network
}

type wrongTokens struct {
	n     int
	since time.Time
}

const (
	mostWrong     = 10
	mostWrongHere = 100
	wrongWithin   = time.Minute
	mostGuesses   = 4096 // addresses that are remembered
)

// try lets do compare a token that the address has sent, and remembers that it was wrong.
func (a *attempts) try(from netip.Addr, now time.Time, do func() error) error {
	most := mostWrong
	if from.Unmap().IsLoopback() {
		most = mostWrongHere
	}
	from = router.Network(from)
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.wrong[from]
	if now.Sub(was.since) >= wrongWithin {
		was = wrongTokens{since: now}
	}
	if was.n >= most {
		return &Problem{
			Status: http.StatusTooManyRequests, Reason: "rate_limited", after: was.since.Add(wrongWithin).Sub(now),
			Detail: fmt.Sprintf("%d wrong tokens came from this address within a minute; wait until it is over", most),
		}
	}
	err := do()
	if err != nil && problemOf(err).Status == http.StatusUnauthorized {
		was.n++
		a.remember(from, was, now)
	}
	return err
}

// remember makes room by forgetting whose minute is over, or, when there are none, all: their guesses are still bounded, by how long it
// takes to come from so many addresses.
func (a *attempts) remember(from netip.Addr, w wrongTokens, now time.Time) {
	if len(a.wrong) >= mostGuesses {
		for known, w := range a.wrong {
			if now.Sub(w.since) >= wrongWithin {
				delete(a.wrong, known)
			}
		}
	}
	if a.wrong == nil || len(a.wrong) >= mostGuesses {
		a.wrong = map[netip.Addr]wrongTokens{}
	}
	a.wrong[from] = w
}
