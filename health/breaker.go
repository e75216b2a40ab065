package health

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Breaker says when exchanges that fail take an endpoint out, and how it comes back. The zero value never takes it out.
type Breaker struct {
	// ConsecutiveFailures in a row open the breaker, however much time lies between them; 0 = do not.
	ConsecutiveFailures uint32
	// FailureRatio opens the breaker when that share of the outcomes of the Window are failures, 0 to 1; 0 = do not.
	FailureRatio float64
	// MinRequests is how many outcomes the Window must hold before FailureRatio counts.
	MinRequests uint32
	// Window is how far back FailureRatio looks; 0 = 10s. It rolls in tenths, and counts an outcome when it is known, so that an
	// exchange may take longer than the window.
	Window time.Duration
	// OpenFor is how long an open breaker lets nothing through, and how long a trial may take to be answered; 0 = 5s.
	OpenFor time.Duration
	// HalfOpenRequests is how many trials there may be at once after OpenFor, and how many must succeed; 0 = 1.
	HalfOpenRequests uint32
	// FailureStatus are the statuses of answers that count as failures.
	FailureStatus []int
	// Knock, when set, comes before a request is risked on a trial; see [Knock].
	Knock *Knock
}

// Fails says whether an answer of that status counts as a failure.
func (b *Breaker) Fails(status int) bool { return slices.Contains(b.FailureStatus, status) }

func (b Breaker) withDefaults() Breaker {
	b.FailureStatus = append([]int(nil), b.FailureStatus...)
	b.HalfOpenRequests = max(b.HalfOpenRequests, 1)
	if b.Window <= 0 {
		b.Window = 10 * time.Second
	}
	if b.OpenFor <= 0 {
		b.OpenFor = 5 * time.Second
	}
	return b
}

// same compares what outcomes are held to. How to knock may change without any of them being forgotten.
func (b Breaker) same(o Breaker) bool {
	b.Knock, o.Knock = nil, nil
	return reflect.DeepEqual(b, o)
}

// phase is a breaker's state; its number is that of the metric mlproxy_breaker_state.
type phase uint8

const (
	closed   = phase(gobreaker.StateClosed)
	halfOpen = phase(gobreaker.StateHalfOpen)
	open     = phase(gobreaker.StateOpen)
)

func (p phase) String() string { return gobreaker.State(p).String() }

// breaker is a gobreaker that is told outcomes when they are known. gobreaker's own way, in which it surrounds an exchange, forgets the
// outcome of one that lasts longer than the window, and cannot end a trial that hangs; here an exchange is admitted by one atomic load and
// gobreaker counts and decides.
type breaker struct {
	rules Breaker
	gate  *gobreaker.CircuitBreaker[struct{}]
	// good and bad report an outcome of the closed phase. Bound once, for a closure per report would be an allocation.
	good, bad func() (struct{}, error)
	// course is the number of changes of phase, times four, plus the phase. An exchange that began under one course says nothing of
	// another. Written only by gobreaker's callback, which runs under its lock.
	course atomic.Uint64
	// streak counts failures in a row. gobreaker's count of them forgets what is older than the window, so that an endpoint with
	// little traffic would never be taken out.
	streak atomic.Uint32
	// silence is for how long nothing has come of an endpoint that hangs; 0 = it does not, as far as is known.
	silence atomic.Int64
	// tripped is why the breaker last opened, kept as numbers: words are not made under gobreaker's lock.
	tripped atomic.Pointer[trip]
}

// trip is what had been counted when a breaker opened.
type trip struct {
	inARow          uint32 // 0 = that was not why
	failures, outOf uint32
	silence         time.Duration // 0 = it did not hang
}

const buckets = 10 // of a window

var errFailed = errors.New("failed")

func newBreaker(rules Breaker) *breaker {
	b := &breaker{rules: rules}
	b.good, b.bad = b.inClosed(nil), b.inClosed(errFailed)
	b.gate = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:   rules.HalfOpenRequests,
		Interval:      rules.Window,
		BucketPeriod:  max(rules.Window/buckets, 1),
		Timeout:       max(rules.OpenFor/2-1, 1), // the shortest of State.pause, whose timer may come exactly then
		ReadyToTrip:   b.trips,
		OnStateChange: func(_ string, _, to gobreaker.State) { b.course.Store((b.course.Load()/4+1)*4 + uint64(to)) },
		IsExcluded:    excluded,
	})
	return b
}

func excluded(err error) bool { return errors.Is(err, ErrExcluded) }

// inClosed makes a report that counts only in the closed phase: should the phase have changed on the way, it is not a trial's.
func (b *breaker) inClosed(err error) func() (struct{}, error) {
	return func() (struct{}, error) {
		if b.phase() != closed {
			return struct{}{}, ErrExcluded
		}
		return struct{}{}, err
	}
}

func (b *breaker) phase() phase { return phaseOf(b.course.Load()) }

func phaseOf(course uint64) phase { return phase(course % 4) }

// trips is asked by gobreaker, under its lock, after every failure.
func (b *breaker) trips(c gobreaker.Counts) bool {
	t := trip{failures: c.TotalFailures, outOf: c.TotalSuccesses + c.TotalFailures, silence: time.Duration(b.silence.Load())}
	streak, most := b.streak.Load(), b.rules.ConsecutiveFailures
	switch {
	case t.silence > 0:
	case most > 0 && streak >= most:
		t.inARow = streak
	case !b.rules.tooMany(t):
		return false
	}
	kept := t // t itself stays on the stack
	b.tripped.Store(&kept)
	return true
}

func (b *Breaker) tooMany(t trip) bool {
	return b.FailureRatio > 0 && t.outOf >= b.MinRequests && float64(t.failures) >= b.FailureRatio*float64(t.outOf)
}

// report counts the outcome of an exchange that was admitted under that course; one of an earlier course is nobody's.
func (b *breaker) report(course uint64, err error) {
	switch {
	case excluded(err) || b.course.Load() != course:
	case err != nil:
		b.streak.Add(1)
		_, _ = b.gate.Execute(b.bad)
	default:
		if b.streak.Load() > 0 {
			b.streak.Store(0)
		}
		_, _ = b.gate.Execute(b.good)
	}
}

// hangs opens a breaker that has been closed since the exchange began, unless it never opens.
func (b *breaker) hangs(course uint64, s *Silence) {
	if b.course.Load() != course || b.rules.ConsecutiveFailures == 0 && b.rules.FailureRatio == 0 {
		return
	}
	b.silence.Store(int64(s.For)) // for trips, whom gobreaker tells nothing of the failure
	_, _ = b.gate.Execute(b.bad)
	b.silence.Store(0)
}

// reportTrial counts the outcome of a trial; one of an earlier half-open phase is nobody's.
func (b *breaker) reportTrial(course uint64, err error) {
	if b.course.Load() == course {
		_, _ = b.gate.Execute(func() (struct{}, error) { return struct{}{}, err })
		b.streak.Store(0)
	}
}

// why says in words what opened the breaker; err is the last failure.
func (b *breaker) why(err error) string {
	t := b.tripped.Load()
	if t.silence > 0 {
		return fmt.Sprintf("nothing has come of it for %v, and requests were given up", t.silence.Round(time.Millisecond))
	}
	if t.inARow > 0 {
		return fmt.Sprintf("%d requests in a row failed, the last: %v", t.inARow, err)
	}
	return fmt.Sprintf("%d of %d requests within %v failed, the last: %v", t.failures, t.outOf, b.rules.Window, err)
}
