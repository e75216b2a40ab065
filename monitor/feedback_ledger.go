package monitor

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Ledger counts what users did with the answers of one version.
type Ledger struct {
	route, pool string
	counters    [feedbackSources][feedbackEvents]prometheus.Counter // nil where a source says no such thing

	mu     sync.Mutex
	kept   [feedbackSources]map[int64]*minute // by minutes since 1970
	scores [FromRouter]scores
}

// minute is what was counted in one minute.
type minute struct {
	events                        [feedbackEvents]int64
	clicked, stray                int64 // impressions of this minute that were clicked; clicks without an impression
	late, duplicate, uncomparable int64 // the last are labels
	rewards                       float64
}

// longestWindow bounds the windows that can be asked for.
const longestWindow = 24 * time.Hour

func newLedger(s *series, v version) *Ledger {
	l := &Ledger{route: v.route, pool: v.pool}
	for by := range feedbackSources {
		l.kept[by] = map[int64]*minute{}
		for event := range feedbackEvents {
			if by != FromRouter || event == RedoSearch {
				l.counters[by][event] = s.feedback.WithLabelValues(v.route, v.pool, event.String(), by.String())
			}
		}
	}
	return l
}

// Names are the route and the pool of the version.
func (l *Ledger) Names() (route, pool string) { return l.route, l.pool }

// at is the minute of now, made when it is new; l.mu is held.
func (l *Ledger) at(by FeedbackSource, now time.Time) (m *minute, number int64) {
	number = now.Unix() / 60
	m = l.kept[by][number]
	if m == nil {
		for old := range l.kept[by] {
			if old < number-int64(longestWindow/time.Minute) {
				delete(l.kept[by], old)
			}
		}
		m = new(minute)
		l.kept[by][number] = m
	}
	return m, number
}

// change changes the minute of now.
func (l *Ledger) change(by FeedbackSource, now time.Time, how func(m *minute)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, _ := l.at(by, now)
	how(m)
}

// count counts an event and returns the number of its minute.
func (l *Ledger) count(by FeedbackSource, event FeedbackEvent, now time.Time) (number int64) {
	l.counters[by][event].Inc()
	l.mu.Lock()
	defer l.mu.Unlock()
	m, number := l.at(by, now)
	m.events[event]++
	return number
}

// shown counts the click that an impression was overtaken by, if there was one, as a click of it.
func (l *Ledger) shown(by FeedbackSource, h *hearing) {
	if !h.clicked {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.kept[by][h.click]; m != nil {
		m.stray--
	}
	if m := l.kept[by][h.impression]; m != nil {
		m.clicked++
	}
}

// chosen counts the impression of a click as clicked, in the minute of the impression: a rate above 1 is never seen.
func (l *Ledger) chosen(by FeedbackSource, h *hearing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch m := l.kept[by][h.impression]; {
	case h.shown == 0:
		l.kept[by][h.click].stray++
	case m != nil:
		m.clicked++
	}
}

// judge scores a label against the prediction it is for.
func (l *Ledger) judge(by FeedbackSource, p *prediction, label any, now time.Time) {
	s, ok := p.scoreOf(label)
	s.at = now.UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok {
		l.scores[by].add(s)
		return
	}
	m, _ := l.at(by, now)
	m.uncomparable++
}

// FeedbackSummary is what one source said of a version in a window.
type FeedbackSummary struct {
	Source string `json:"source"`
	// Events counts them by name; those that did not occur are left out.
	Events map[string]int64 `json:"events"`
	// CTR is there when there were impressions.
	CTR *CTR `json:"ctr,omitempty"`
	// StrayClicks had no impression before them.
	StrayClicks int64 `json:"stray_clicks"`
	Late        int64 `json:"late"`
	Duplicate   int64 `json:"duplicate"`
	// UncomparableLabels had a prediction that they cannot be held against.
	UncomparableLabels int64    `json:"uncomparable_labels"`
	MeanReward         *float64 `json:"mean_reward,omitempty"`
	// Quality is there when there were labels of known predictions.
	Quality *Quality `json:"quality,omitempty"`
}

// CTR is the share of impressions that were clicked, whatever else was clicked then, with its 95% interval (Wilson).
type CTR struct {
	Impressions int64      `json:"impressions"`
	Clicked     int64      `json:"clicked"`
	Rate        float64    `json:"rate"`
	Interval    [2]float64 `json:"interval"`
}

// summary is what a source said since then.
func (l *Ledger) summary(by FeedbackSource, since time.Time) FeedbackSummary {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sum minute
	for number, m := range l.kept[by] {
		if number >= since.Unix()/60 {
			sum.add(m)
		}
	}
	s := FeedbackSummary{
		Source: by.String(), Events: map[string]int64{}, StrayClicks: sum.stray, Late: sum.late, Duplicate: sum.duplicate,
		UncomparableLabels: sum.uncomparable,
	}
	for event, n := range sum.events {
		if n > 0 {
			s.Events[FeedbackEvent(event).String()] = n
		}
	}
	if n := sum.events[Impression]; n > 0 {
		s.CTR = &CTR{Impressions: n, Clicked: sum.clicked, Rate: float64(sum.clicked) / float64(n)}
		s.CTR.Interval[0], s.CTR.Interval[1] = Wilson(sum.clicked, n)
	}
	if n := sum.events[Reward]; n > 0 {
		s.MeanReward = share(sum.rewards, n)
	}
	if by != FromRouter {
		s.Quality = l.scores[by].since(since.Truncate(time.Minute).UnixNano())
	}
	return s
}

func (m *minute) add(o *minute) {
	for event, n := range o.events {
		m.events[event] += n
	}
	m.clicked += o.clicked
	m.stray += o.stray
	m.late += o.late
	m.duplicate += o.duplicate
	m.uncomparable += o.uncomparable
	m.rewards += o.rewards
}
