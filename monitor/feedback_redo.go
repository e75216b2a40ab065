package monitor

import (
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
)

// A user who searches again in much the same words, soon, and without having chosen a result, was not served. That is seen in the
// requests alone: the same sticky key, at most redoWithin after the user's last request, and sets of words whose Jaccard index (what
// they share, by what either has) is at least 1/2. Words are what white space separates, in lower case.

const (
	redoWithin   = int64(60e9) // ns
	mostSessions = 65_536
	mostWords    = 32
)

// sessions are the last searches of users: of a bounded number of them, of which the one who came first gives way.
type sessions struct {
	mu    sync.Mutex
	index map[uint64]int32
	ring  []session
	next  int
}

// session is the last search of one user.
type session struct {
	key    uint64 // of user and route
	at     int64  // ns since 1970
	ledger *Ledger
	words  wordSet
	chosen bool // a result was
}

// wordSet is hashes of words, in order; those beyond the first 32 do not count.
type wordSet struct {
	n     int
	words [mostWords]uint32
}

// search takes a user's search and says of which version it is another try; nil when of none. Only the first page of results can be one: who
// turns to the next is not dissatisfied.
func (s *sessions) search(key uint64, query []byte, firstPage bool, at int64, by *Ledger) (of *Ledger, forgotten bool) {
	now := session{key: key, at: at, ledger: by, words: wordsOf(query)}
	s.mu.Lock()
	defer s.mu.Unlock()
	last, forgotten := s.place(key, at)
	if last.key == key {
		if dt := at - last.at; firstPage && !last.chosen && dt >= 0 && dt <= redoWithin && now.words.similar(&last.words) {
			of = last.ledger
		}
	}
	*last = now
	return of, forgotten
}

// place is where a user's last search is kept, or may be.
func (s *sessions) place(key uint64, at int64) (last *session, forgotten bool) {
	if i, known := s.index[key]; known {
		return &s.ring[i], false
	}
	if s.index == nil {
		s.index = map[uint64]int32{}
	}
	if len(s.ring) < mostSessions {
		s.ring = append(s.ring, session{})
		s.index[key] = int32(len(s.ring) - 1)
		return &s.ring[len(s.ring)-1], false
	}
	place := s.next
	s.next = (s.next + 1) % mostSessions
	last = &s.ring[place]
	delete(s.index, last.key)
	s.index[key] = int32(place)
	return last, at-last.at <= redoWithin
}

// chose says that the user has chosen a result.
func (s *sessions) chose(key uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, known := s.index[key]; known {
		s.ring[i].chosen = true
	}
}

// wordsOf hashes the words of a query (FNV-1a). It allocates nothing.
func wordsOf(query []byte) (set wordSet) {
	const offset, prime = 2166136261, 16777619
	hash, inside := uint32(offset), false
	for len(query) > 0 {
		r, n := utf8.DecodeRune(query)
		query = query[n:]
		if unicode.IsSpace(r) {
			if inside {
				set.add(hash)
			}
			hash, inside = offset, false
			continue
		}
		inside = true
		var b [utf8.UTFMax]byte
		for _, c := range utf8.AppendRune(b[:0], unicode.ToLower(r)) {
			hash = (hash ^ uint32(c)) * prime
		}
	}
	if inside {
		set.add(hash)
	}
	return set
}

func (w *wordSet) add(word uint32) {
	i, known := slices.BinarySearch(w.words[:w.n], word)
	if known || w.n == mostWords {
		return
	}
	copy(w.words[i+1:w.n+1], w.words[i:w.n])
	w.words[i] = word
	w.n++
}

// similar says that the Jaccard index of two sets is at least 1/2.
func (w *wordSet) similar(other *wordSet) bool {
	both := 0
	for _, word := range w.words[:w.n] {
		if _, known := slices.BinarySearch(other.words[:other.n], word); known {
			both++
		}
	}
	return both > 0 && 2*both >= w.n+other.n-both
}
