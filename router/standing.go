package router

import (
	"slices"
	"time"
)

// standing is what a pool comes to: which of its endpoints may be picked. It holds for one epoch of the endpoints, and while a
// slow start goes on, for one of its steps. It is never changed, but replaced by whoever finds it out of date.
type standing struct {
	epoch uint64
	until time.Time // when a slow start makes the next step; zero = none goes on
	from  *members
	fit   bool // some endpoint is fit
	panic bool // so few are that all are used
}

// Steps of a slow start, from the first tenth to the whole weight.
const (
	steps     = 20
	firstPart = 0.1
)

// look is the standing of the pool now. It allocates nothing unless something may have changed.
func (p *Pool) look() *standing {
	s := p.seen.Load()
	if s == nil || s.epoch != p.known.Epoch() || !s.until.IsZero() && !time.Now().Before(s.until) {
		s = p.settle(s)
		p.seen.Store(s)
	}
	return s
}

// settle finds out how the pool stands. The epoch is read first: what changes meanwhile makes the outcome out of date, not wrong.
func (p *Pool) settle(before *standing) *standing {
	s := &standing{epoch: p.known.Epoch()}
	fit, unproven := p.sorted()
	s.fit = len(fit) > 0
	s.panic = float64(len(fit)+len(unproven)) <= p.panicAt*float64(len(p.all))
	var all []member
	switch {
	case s.panic:
		all = p.all
	case s.fit:
		all, s.until = p.eased(fit, time.Now())
	default:
		all = unproven
	}
	if before != nil && slices.Equal(before.from.all, all) {
		s.from = before.from // with what policies know of them
	} else {
		s.from = newMembers(all)
	}
	return s
}

// sorted are the endpoints that are fit, and those that wait for their first probe.
func (p *Pool) sorted() (fit, unproven []member) {
	fit = make([]member, 0, len(p.all))
	for _, m := range p.all {
		switch h := m.Health(); {
		case h.Fit():
			fit = append(fit, m)
		case h.Unproven():
			unproven = append(unproven, m)
		}
	}
	return fit, unproven
}

// eased gives those that came into use a short time ago a part of their weight, and says when that part grows next.
func (p *Pool) eased(fit []member, now time.Time) (all []member, until time.Time) {
	step := p.slowStart / steps
	if step <= 0 {
		return fit, until
	}
	for i := range fit {
		since := fit[i].Health().FitSince()
		done := max(0, int64(now.Sub(since)/step))
		if done >= steps {
			continue
		}
		fit[i].weight *= firstPart + (1-firstPart)*float64(done)/steps
		if next := since.Add(time.Duration(done+1) * step); until.IsZero() || next.Before(until) {
			until = next
		}
	}
	return fit, until
}

// Fit reports whether some endpoint is fit to serve: proven, and its breaker lets an exchange pass.
func (p *Pool) Fit() bool { return p.look().fit }

// Serves reports whether the pool can serve without panic.
func (p *Pool) Serves() bool {
	s := p.look()
	return !s.panic && len(s.from.all) > 0
}

// panics reports whether so few endpoints are fit that all are used.
func (p *Pool) panics() bool { return p.look().panic && len(p.all) > 0 }
