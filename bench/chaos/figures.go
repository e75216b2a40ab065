package main

import (
	"fmt"
	"slices"
	"time"
)

// result is what came of one scenario.
type result struct {
	Scenario string   `json:"scenario"`
	Fault    string   `json:"fault"`
	Promise  []string `json:"promise"`
	Broken   []string `json:"broken"` // what of the promise, and how; null = it holds

	Ending string `json:"ending"` // what was wrong with how mlproxy ended, and what it said; "" = nothing

	figures
	sight
	Failures map[string]int `json:"failures"` // of requests, by what the client saw
	Seconds  []second       `json:"seconds"`
	Log      []string       `json:"log"` // mlproxy's
}

// figures are what promises are held against. A request counts in the phase in which it was sent, but one that was under way when
// something broke, and failed, counts to the grace. "While broken" is from the break to the mending.
type figures struct {
	Requests    int `json:"requests"`
	Failed      int `json:"failed"`
	Before      int `json:"failed_before"`     // anything broke
	Grace       int `json:"requests_in_grace"` // those that were under way included, if they failed
	FailedGrace int `json:"failed_in_grace"`
	After       int `json:"failed_after"` // the grace
	Unanswered  int `json:"unanswered"`

	While  int           `json:"requests_while_broken"`
	Slow   int           `json:"over_1s"`   // of these
	P99    time.Duration `json:"p99_ns"`    // of these
	Late   time.Duration `json:"late_ns"`   // p99 of these, from a second after the grace on
	Others time.Duration `json:"others_ns"` // p99 of these, of the pool stable
	Calm   time.Duration `json:"calm_ns"`   // p99 of the requests before
	Outage time.Duration `json:"outage_ns"` // from the break to the mending
	Back   time.Duration `json:"back_ns"`   // from the mending until the last victim was in rotation
	IsBack bool          `json:"is_back"`   // it was, in time
	Unwell time.Duration `json:"unwell_ns"` // from the mending until the last request was sent that failed

	InForce time.Duration `json:"in_force_ns"` // from the writing of a config to the last request that went by the one before
	Wrong   int           `json:"wrong"`       // requests that went by a malformed config
}

// second is one second of a scenario, by when requests were sent.
type second struct {
	At        int            `json:"at"` // 0 = the first after the break
	Requests  int            `json:"requests"`
	Failed    int            `json:"failed"`
	Slow      int            `json:"over_1s"`
	Endpoints map[string]int `json:"endpoints"` // that answered
}

func newResult(x *experiment, samples []sample) *result {
	r := &result{Scenario: x.name, Fault: x.what, sight: x.seen, Failures: map[string]int{}}
	slices.SortFunc(samples, func(a, b sample) int { return a.at.Compare(b.at) })
	r.Back, r.IsBack = x.back(samples, x.usualRate())
	r.InForce, r.Wrong = inForce(samples, x.wishes)
	r.count(samples, x.broke, x.broke.Add(x.grace), x.mended)
	r.Seconds = seconds(samples, x.broke)
	for i := range samples {
		if samples[i].failed() {
			r.Failures[samples[i].why]++
		}
	}
	for _, p := range x.promises {
		r.Promise = append(r.Promise, p.words)
		if !p.holds(r) {
			r.Broken = append(r.Broken, p.words)
		}
	}
	if r.Before > 0 {
		r.Broken = append(r.Broken, fmt.Sprintf("%d failed before anything broke", r.Before))
	}
	return r
}

// count fills the figures of requests.
func (f *figures) count(samples []sample, broke, grace, mended time.Time) {
	var calm, tooks, late, others []time.Duration
	for i := range samples {
		s := &samples[i]
		f.Requests++
		if s.code == 0 {
			f.Unanswered++
		}
		if s.at.Before(grace) && (!s.at.Before(broke) || s.failed() && !s.end().Before(broke)) {
			f.Grace++
		}
		switch {
		case s.at.Before(broke):
			calm = append(calm, s.took)
		case s.at.Before(mended):
			tooks = append(tooks, s.took)
			if !s.at.Before(grace.Add(time.Second)) {
				late = append(late, s.took)
			}
			if s.pool == "stable" {
				others = append(others, s.took)
			}
			f.Slow += index(s.took > time.Second)
		}
		if s.failed() {
			f.countFailed(s, broke, grace, mended)
		}
	}
	f.Outage = mended.Sub(broke)
	f.While, f.P99, f.Late, f.Others, f.Calm = len(tooks), p99(tooks), p99(late), p99(others), p99(calm)
}

func (f *figures) countFailed(s *sample, broke, grace, mended time.Time) {
	f.Failed++
	switch {
	case s.end().Before(broke):
		f.Before++
	case s.at.Before(grace):
		f.FailedGrace++
	default:
		f.After++
	}
	if s.at.After(mended) {
		f.Unwell = max(f.Unwell, s.at.Sub(mended))
	}
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// p99 is by nearest rank; it sorts in place.
func p99(of []time.Duration) time.Duration {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[(len(of)*99+99)/100-1]
}

// inRotation is when an endpoint began, after a time, to answer so many requests a second: the first moment from which it does so
// for a quarter of a second.
func inRotation(samples []sample, endpoint string, from time.Time, perSecond float64) (time.Time, bool) {
	const window = 250 * time.Millisecond
	var sent []time.Time
	for i := range samples {
		if s := &samples[i]; s.endpoint == endpoint && !s.failed() && s.at.After(from) {
			sent = append(sent, s.at)
		}
	}
	slices.SortFunc(sent, time.Time.Compare)
	need := max(1, int(perSecond*window.Seconds()))
	for i := need - 1; i < len(sent); i++ {
		if first := sent[i-need+1]; sent[i].Sub(first) <= window {
			return first, true
		}
	}
	return time.Time{}, false
}

// inForce is how long a wish took to be granted at most, and how many requests went by a malformed config. The samples are in the
// order in which they were sent.
func inForce(samples []sample, wishes []wish) (longest time.Duration, wrong int) {
	for i, w := range wishes {
		end := time.Time{}
		if i+1 < len(wishes) {
			end = wishes[i+1].at
		}
		for _, s := range sentBetween(samples, w.at, end) {
			switch by := s.pool == w.pool; {
			case by && w.malformed && (end.IsZero() || s.end().Before(end)): // else it may have come to mlproxy after the next wish
				wrong++
			case !by && !w.malformed && s.pool != "":
				longest = max(longest, s.at.Sub(w.at))
			}
		}
	}
	return longest, wrong
}

// sentBetween is a part of sorted samples; a zero end is none.
func sentBetween(samples []sample, from, end time.Time) []sample {
	find := func(t time.Time) int {
		i, _ := slices.BinarySearchFunc(samples, t, func(s sample, t time.Time) int { return s.at.Compare(t) })
		return i
	}
	if end.IsZero() {
		return samples[find(from):]
	}
	return samples[find(from):find(end)]
}

func seconds(samples []sample, broke time.Time) (list []second) {
	for i := range samples {
		s := &samples[i]
		at := int((s.at.Sub(broke)+time.Hour)/time.Second) - int(time.Hour/time.Second) // rounds down, also below 0
		if len(list) == 0 || list[len(list)-1].At != at {
			list = append(list, second{At: at, Endpoints: map[string]int{}})
		}
		now := &list[len(list)-1]
		now.Requests++
		now.Failed += index(s.failed())
		now.Slow += index(s.took > time.Second)
		if s.endpoint != "" {
			now.Endpoints[s.endpoint]++
		}
	}
	return list
}
