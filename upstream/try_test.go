package upstream

import (
	"errors"
	"testing"
	"time"
)

// What a try tells the endpoint's health: a breaker that one failure opens shows it.
func TestTryTellsHealth(t *testing.T) {
	f := func(name string, status int, err error, wantOpen bool) {
		t.Run(name, func(t *testing.T) {
			e := endpoint(t, serve(t).url)
			o := &Options{ConnectTimeout: 5 * time.Second, Breaker: Breaker{ConsecutiveFailures: 1, OpenFor: time.Hour, FailureStatus: []int{500, 503}}}
			e.Health().Configure(o.Breaker, nil)
			try := Try{}
			try.Carry = func(*Conn) (bool, error) {
				try.Answered(status)
				return false, err
			}
			if got := try.Do(e, o, false, false); !errors.Is(got, err) {
				t.Errorf("the try returned %v, not %v", got, err)
			}
			if open := e.Health().Condition().Breaker == "open"; open != wantOpen {
				t.Errorf("breaker open: %v, want %v", open, wantOpen)
			}
			again := try.Do(e, o, false, false)
			if refused := errors.Is(again, ErrOpen); refused != wantOpen {
				t.Errorf("the next try: %v", again)
			}
			if insisted := try.Do(e, o, false, true); errors.Is(insisted, ErrOpen) {
				t.Error("a try that insists was refused")
			}
			if n := e.InFlight(); n != 0 {
				t.Errorf("%d in flight afterwards", n)
			}
		})
	}
	f("ok", 200, nil, false)
	f("not found", 404, nil, false)
	f("failure status", 503, nil, true)
	f("other 5xx", 501, nil, false)
	f("client left", 0, ErrAborted, false)
	f("client's body", 0, errors.New("the client's"), false)
	f("full", 0, ErrFull, false)
	f("reset", 0, ErrReset, true)
	f("timeout", 0, ErrTimeout, true)
	f("invalid", 0, ErrInvalid, true)
	f("failure given up for another try", 503, errors.New("tried elsewhere"), true)
}
