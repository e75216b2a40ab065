package monitor

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"mlproxy/protocol"
)

// Learn takes what the bodies of an exchange say: predictions for labels to be held against, and what was searched for, where that was not
// known before.
func (j *Joiner) Learn(r *Record) {
	f, h := r.Facts, hashID(j.served, r.RequestID)
	shard := j.served.shard(h)
	e := shard.find(h)
	if e == nil {
		shard.mu.Unlock()
		return
	}
	if len(f.Outputs) > 0 {
		shard.keepRows(e, predictionsOf(f))
		e.judgeWaiting(r.At)
	}
	l, session, search := e.ledger, e.session, e.session != 0 && !e.asked && len(f.Query) > 0
	at := time.Unix(0, e.at)
	e.asked = e.asked || search
	shard.mu.Unlock()
	if search {
		j.searched(l, session, f.Query, true, at)
	}
}

// judgeWaiting scores the labels that were there before their predictions.
func (e *servedExchange) judgeWaiting(now time.Time) {
	for by, h := range e.heard {
		if h == nil {
			continue
		}
		for _, w := range h.waiting {
			if w.row < len(e.rows) {
				e.ledger.judge(FeedbackSource(by), &e.rows[w.row], w.label, now)
			}
		}
		h.waiting = nil
	}
}

// predictionsOf copies the outputs out of facts.
func predictionsOf(f *protocol.Facts) []prediction {
	rows := make([]prediction, 0, min(len(f.Outputs), mostRows))
	for i := range f.Outputs[:min(len(f.Outputs), mostRows)] {
		o := &f.Outputs[i]
		p := prediction{class: strings.Clone(o.Class), value: math.NaN()}
		if o.ConfidenceKind == protocol.Probability {
			p.probs = slices.Clone(o.Probs)
		} else if p.class == "" && len(o.Probs) > 1 {
			p.class = strconv.Itoa(argmax(o.Probs))
		}
		if o.HasValue {
			p.value = o.Value
		}
		rows = append(rows, p)
	}
	return rows
}
