package monitor

import (
	"cmp"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Joiner joins what users do with answers to the versions that gave them: by receipt, or by the request ID of an exchange of this process.
// Which version it was is never the client's word. All its methods may be called at once.
//
// What is known of an exchange is kept for a bounded number of exchanges; what comes later than the window, twice, or for an exchange
// that is not known, is counted and changes nothing else.
type Joiner struct {
	ledger    func(route, pool string) *Ledger // nil when there is none
	dropped   [FromRouter][feedbackLosses]prometheus.Counter
	forgotten prometheus.Counter
	settings  atomic.Pointer[FeedbackSettings]
	seals     *seals
	served    *served
	sessions  sessions
}

// FeedbackSettings say how feedback is joined.
type FeedbackSettings struct {
	// Keys sign receipts: the first the new ones, the others those from before. Without any, a random key of this process does.
	Keys [][]byte
	// Window is how long after an answer, and for a click after its impression, feedback counts.
	Window time.Duration
	// Remember is how many exchanges are remembered.
	Remember int
}

var standardFeedback = FeedbackSettings{Window: time.Hour, Remember: 100_000}

func newJoiner(s *series, ledger func(route, pool string) *Ledger) *Joiner {
	j := &Joiner{ledger: ledger, forgotten: s.feedbackForgotten, seals: newSeals(), served: newServed()}
	for by := range FromRouter {
		for loss := range feedbackLosses {
			j.dropped[by][loss] = s.feedbackDropped.WithLabelValues(by.String(), loss.String())
		}
	}
	j.settings.Store(&standardFeedback)
	return j
}

// Configure changes the settings. What is remembered stays.
func (j *Joiner) Configure(s FeedbackSettings) {
	j.settings.Store(&s)
	j.seals.use(s.Keys)
}

// Served remembers an exchange whose answer is about to go to its client. session is a hash of its sticky key, 0 without one; query is what
// was asked for, nil if that is not known yet, or nobody searches there.
func (j *Joiner) Served(l *Ledger, id []byte, at time.Time, session uint64, query []byte, firstPage bool) {
	s := j.settings.Load()
	e := servedExchange{id: hashID(j.served, id), ledger: l, at: at.UnixNano(), session: session, asked: len(query) > 0}
	shard := j.served.shard(e.id)
	_, forgotten := shard.add(e, s.Remember, at.Add(-s.Window).UnixNano())
	shard.mu.Unlock()
	if forgotten {
		j.forgotten.Inc()
	}
	if e.asked && session != 0 {
		j.searched(l, session, query, firstPage, at)
	}
}

// AppendReceipt appends the receipt of an exchange. It allocates nothing.
func (j *Joiner) AppendReceipt(dst []byte, l *Ledger, id []byte, at time.Time) []byte {
	return j.seals.append(dst, l.route, l.pool, id, at)
}

// Session is the session of a user of a route; 0 without a sticky key.
func (j *Joiner) Session(l *Ledger, key []byte) uint64 {
	if len(key) == 0 {
		return 0
	}
	return max(1, maphash.Bytes(j.served.seed, key)^maphash.String(j.served.seed, l.route))
}

func (j *Joiner) searched(l *Ledger, session uint64, query []byte, firstPage bool, at time.Time) {
	of, forgotten := j.sessions.search(session, query, firstPage, at.UnixNano(), l)
	if forgotten {
		j.forgotten.Inc()
	}
	if of != nil {
		of.count(FromRouter, RedoSearch, at)
	}
}

// FeedbackTally is what became of a body of feedback.
type FeedbackTally struct {
	Accepted  int `json:"accepted"`
	Duplicate int `json:"duplicate"`
	Late      int `json:"late"`
	Orphan    int `json:"orphan"`
	Invalid   int `json:"invalid"`
}

// Take joins feedback. Only what comes from admin is believed when it says at what time it was done.
func (j *Joiner) Take(by FeedbackSource, list []Feedback, now time.Time) (t FeedbackTally) {
	for i := range list {
		f := &list[i]
		if by != FromAdmin || f.At.IsZero() || f.At.After(now) {
			f.At = now
		}
		switch loss, lost := j.take(by, f, now); {
		case !lost:
			t.Accepted++
		case loss == FeedbackDuplicate:
			t.Duplicate++
		case loss == FeedbackLate:
			t.Late++
		default:
			t.Orphan++
		}
	}
	return t
}

// Lost counts feedback that could not be read, or was not let in.
func (j *Joiner) Lost(by FeedbackSource, why FeedbackLoss, n int) { j.dropped[by][why].Add(float64(n)) }

func (j *Joiner) take(by FeedbackSource, f *Feedback, now time.Time) (loss FeedbackLoss, lost bool) {
	s := j.settings.Load()
	e, unlock, known := j.exchange(f, s, now)
	if !known {
		j.dropped[by][FeedbackOrphan].Inc()
		return FeedbackOrphan, true
	}
	defer unlock()
	loss, lost = e.hear(by, f, s.Window, now)
	if lost {
		j.dropped[by][loss].Inc()
		e.ledger.change(by, now, func(m *minute) {
			if loss == FeedbackLate {
				m.late++
			} else {
				m.duplicate++
			}
		})
	} else if f.Event == Click && e.session != 0 {
		j.sessions.chose(e.session)
	}
	return loss, lost
}

// exchange finds what feedback speaks of, and locks it. An exchange of another replica, or from before a restart, is known by its receipt.
func (j *Joiner) exchange(f *Feedback, s *FeedbackSettings, now time.Time) (e *servedExchange, unlock func(), known bool) {
	var r Receipt
	if f.Receipt != "" {
		if r, known = j.seals.read(f.Receipt); !known {
			return nil, nil, false
		}
		f.RequestID = r.RequestID
	}
	id := hashID(j.served, f.RequestID)
	shard := j.served.shard(id)
	if e = shard.find(id); e != nil && (f.Receipt == "" || e.ledger.route == r.Route && e.ledger.pool == r.Pool) {
		return e, shard.mu.Unlock, true
	}
	l := (*Ledger)(nil)
	if f.Receipt != "" {
		l = j.ledger(r.Route, r.Pool)
	}
	if l == nil {
		shard.mu.Unlock()
		return nil, nil, false
	}
	fresh := servedExchange{id: id, ledger: l, at: r.At.UnixNano()}
	if f.At.Sub(r.At) > s.Window {
		return &fresh, shard.mu.Unlock, true // too late for anything: it takes nobody's place
	}
	e, forgotten := shard.add(fresh, s.Remember, now.Add(-s.Window).UnixNano())
	if forgotten {
		j.forgotten.Inc()
	}
	return e, shard.mu.Unlock, true
}

// hear counts feedback for the version of its exchange, unless it is late or was heard before.
func (e *servedExchange) hear(by FeedbackSource, f *Feedback, window time.Duration, now time.Time) (loss FeedbackLoss, lost bool) {
	h := e.hearing(by)
	at, since := f.At.UnixNano(), e.at
	row := f.Row
	if f.Event == Impression || f.Event == Click {
		row = 0 // shown and chosen is the answer, whichever of its results it was
	}
	if f.Event == Click && h.shown != 0 {
		since = h.shown
	}
	if time.Duration(at-since) > window {
		return FeedbackLate, true
	}
	if !h.first(f.Event, row) {
		return FeedbackDuplicate, true
	}
	number := e.ledger.count(by, f.Event, now)
	switch f.Event {
	case Impression:
		h.shown, h.impression = at, number
		e.ledger.shown(by, h)
	case Click:
		h.clicked, h.click = true, number
		e.ledger.chosen(by, h)
	case Label:
		e.label(by, h, f, now)
	case Reward:
		e.ledger.change(by, now, func(m *minute) { m.rewards += f.Value.(float64) })
	}
	return 0, false
}

// label holds a label against its prediction, or keeps it until that is known.
func (e *servedExchange) label(by FeedbackSource, h *hearing, f *Feedback, now time.Time) {
	switch {
	case e.rows == nil:
		h.waiting = append(h.waiting, waitingLabel{f.Row, f.Value})
	case f.Row < len(e.rows):
		e.ledger.judge(by, &e.rows[f.Row], f.Value, now)
	default:
		e.ledger.change(by, now, func(m *minute) { m.uncomparable++ })
	}
}

// VersionFeedback is what users did with the answers of one version in a window.
type VersionFeedback struct {
	Pool string `json:"pool"`
	// Sources are those that said something: admin is believed, data may be anybody, router is what the requests themselves show.
	Sources []FeedbackSummary `json:"sources"`
}

func byPool(a, b *Ledger) int { return cmp.Compare(a.pool, b.pool) }

func summaryOf(ledgers []*Ledger, window time.Duration, now time.Time) []VersionFeedback {
	all := []VersionFeedback(nil)
	for _, l := range ledgers {
		v := VersionFeedback{Pool: l.pool, Sources: []FeedbackSummary{}}
		for by := range feedbackSources {
			s := l.summary(by, now.Add(-window))
			if len(s.Events) > 0 || s.Late+s.Duplicate+s.UncomparableLabels > 0 || s.Quality != nil {
				v.Sources = append(v.Sources, s)
			}
		}
		all = append(all, v)
	}
	return all
}
