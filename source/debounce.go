package source

import "time"

// debounce turns a burst of touches into one signal: it is due once nothing was touched for quiet, and at the latest
// limit after the first touch, so that a place that is written without pause is still read. The zero value is idle.
type debounce struct {
	quiet, limit time.Duration
	first        time.Time
	timer        *time.Timer
}

// C delivers when the burst is over; nil, so never, while idle.
func (d *debounce) C() <-chan time.Time {
	if d.first.IsZero() {
		return nil
	}
	return d.timer.C
}

// Touch begins a burst or lengthens it.
func (d *debounce) Touch() {
	now := time.Now()
	if d.first.IsZero() {
		d.first = now
	}
	wait := min(d.quiet, time.Until(d.first.Add(d.limit)))
	if d.timer == nil {
		d.timer = time.NewTimer(wait)
		return
	}
	d.timer.Reset(wait)
}

// Clear ends the burst.
func (d *debounce) Clear() {
	d.first = time.Time{}
	if d.timer != nil {
		d.timer.Stop()
	}
}
