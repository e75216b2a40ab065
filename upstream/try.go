package upstream

import (
	"errors"
	"fmt"
	"math"
	"time"

	"mlproxy/health"
)

// ErrOpen says that the endpoint's breaker let the exchange not begin.
var ErrOpen = health.ErrOpen

// Try is one try of an exchange with an endpoint, of which the endpoint's health is told. It is a part of the exchange and
// reused with it, so that a try allocates nothing.
type Try struct {
	// Carry carries the exchange over c, to the last byte of the answer. again says that c may carry another one.
	Carry func(c *Conn) (again bool, err error)
	// Patience is the exchange's, should it have to stand in line.
	Patience Patience
	// Path is the request's, without its query.
	Path []byte

	run      func(*health.Trial) error // witnessed, bound once
	line     Patience                  // inLine, bound once
	endpoint *Endpoint
	conn     *Conn // to be given back
	options  *Options
	fresh    bool
	insists  bool
	hurried  bool  // it had less time, for its endpoint is mute
	late     bool  // it had less time, for that of its route was nearly over
	lined    bool  // it stood in line
	began    int64 // watch time
	trial    *health.Trial
	wasTrial bool
	uploads  bool // its client is waited for as well
	status   int
	err      error
}

// Do tries e. fresh asks for a new connection, insist for a try even though the breaker is open, for want of any fit
// endpoint. The error is Carry's, or says why there was no connection: [ErrOpen], [ErrFull], [ErrConnect].
func (t *Try) Do(e *Endpoint, o *Options, fresh, insist bool) error {
	if t.run == nil {
		t.run, t.line = t.witnessed, t.inLine
	}
	t.endpoint, t.options, t.fresh, t.insists, t.status, t.err = e, o, fresh, insist, 0, nil
	t.hurried, t.late, t.lined, t.wasTrial, t.uploads = false, false, false, false, false
	admit := e.health.Do
	if insist {
		admit = e.health.Insist
	}
	if err := admit(t.run); errors.Is(err, ErrOpen) {
		return ErrOpen
	}
	return t.err
}

// Limit is how long the try may wait for the head of an answer when it decides whether the endpoint comes back, or insists on one of which
// nothing has come for long; 0 = it does neither.
func (t *Try) Limit() time.Duration {
	limit := t.trial.Limit()
	if !t.insists {
		return limit
	}
	hurry := t.endpoint.hurry()
	if hurry > 0 && (limit == 0 || hurry < limit) {
		limit, t.hurried = hurry, true
	}
	return limit
}

// Hurried says that the last try had less time than others, for its endpoint is mute.
func (t *Try) Hurried() bool { return t.hurried }

// Late says that the try has much less time than its route allows, since most of that is over: that no answer comes in it is not the endpoint's doing.
func (t *Try) Late() { t.late = true }

// Trial says that the last try decides, or decided, whether the endpoint comes back.
func (t *Try) Trial() bool { return t.wasTrial }

// Uploads says that the request goes to the model server as its client sends it: how long it takes tells nothing of the endpoint. sent is
// to be called when all of it was sent.
func (t *Try) Uploads() (sent func()) {
	t.uploads = true
	t.trial.Sends()
	return t.trial.Sent
}

// Answered tells of the status of the final answer, whose body is still to come.
func (t *Try) Answered(status int) {
	t.status = status
	if t.trial != nil && !t.options.Breaker.Fails(status) {
		t.trial.Answered()
	}
}

// witnessed makes the try and says what it tells of the endpoint.
func (t *Try) witnessed(trial *health.Trial) error {
	t.trial, t.wasTrial, t.began = trial, trial != nil, t.endpoint.watch.Now()
	t.err = t.borrowed()
	t.trial = nil
	err := t.endpoint.hangs(t, t.outcome())
	if err != nil && err != health.ErrExcluded {
		t.endpoint.health.Blame(t.Path)
	}
	return err
}

func (t *Try) outcome() error {
	switch {
	case t.options.Breaker.Fails(t.status):
		return fmt.Errorf("it answered %d", t.status)
	case t.err == nil && t.status >= 400 && t.status < 500:
		return health.ErrExcluded
	case t.late && errors.Is(t.err, ErrTimeout):
	case t.err == nil, blames(t.err):
		return t.err
	}
	return health.ErrExcluded
}

// blames says that err is the model server's doing: not the client's, and not a limit of ours.
func blames(err error) bool {
	for _, known := range []error{ErrConnect, ErrTimeout, ErrReset, ErrInvalid} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func (t *Try) borrowed() error {
	c, err := t.endpoint.Acquire(t.options, t.fresh, t.line)
	if t.lined { // which was no waiting for an answer
		t.began = t.endpoint.watch.Now()
		t.trial.Sent()
	}
	if err != nil {
		return err
	}
	t.conn = c
	again, err := t.Carry(c)
	t.GiveBack(again && err == nil)
	return err
}

// inLine is the exchange's patience. What it stands there for is not the endpoint's doing.
func (t *Try) inLine() (atMost time.Duration, left <-chan struct{}) {
	t.lined = true
	t.trial.Sends()
	if t.Patience == nil {
		return math.MaxInt64, nil
	}
	return t.Patience()
}

// GiveBack releases the connection, once: when Carry returns, or earlier by Carry itself when it has all of the answer and will not touch
// the connection again. again is that of [Conn.Release].
func (t *Try) GiveBack(again bool) {
	if c := t.conn; c != nil {
		t.conn = nil
		c.Release(again)
	}
}
