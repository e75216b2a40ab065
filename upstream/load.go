package upstream

import (
	"sync/atomic"
	"time"
)

// load is what an endpoint has to do.
type load struct {
	inFlight atomic.Int64
	// spared are those in flight that do not wait for the model server: their answer has begun and takes its time, or their client has
	// more of the request to send. That they do not end says nothing.
	spared atomic.Int64
	// heard is when an exchange last ended or began to stream, or the first of those that are awaited began: watch time.
	heard atomic.Int64
	// forsaken are exchanges that were given up, by their clients or for their timeout, while nothing came back, as long as nothing
	// does: they are gone, but what they waited for is still not there. They count for forsakenFor after the last of them.
	forsaken     atomic.Int64
	lastForsaken atomic.Int64 // watch time
}

// silenceCounts is for how long nothing has to come back until the exchanges that are awaited count twice.
const silenceCounts = 250 * time.Millisecond

// forsakenFor is after how long an endpoint that was given up on is tried again.
const forsakenFor = 10 * time.Second

func (l *load) begin(now int64) {
	l.awaitFrom(now, l.inFlight.Add(1)-l.spared.Load())
}

// spare says that an exchange in flight does not wait for the model server; await takes it back, before the exchange ends.
func (l *load) spare() { l.spared.Add(1) }

func (l *load) await(now int64) { l.awaitFrom(now, l.inFlight.Load()-l.spared.Add(-1)) }

// awaitFrom counts silence from now on if the exchange that waits now is the only one.
func (l *load) awaitFrom(now, awaited int64) {
	if awaited == 1 && l.ghosts(now) == 0 {
		l.heardFrom(now)
	}
}

func (l *load) end(now int64) {
	l.heardFrom(now)
	l.inFlight.Add(-1)
}

// quit is end for an exchange that its client ended, while it was waited for.
func (l *load) quit(int64) { l.inFlight.Add(-1) }

// forsake is end for an exchange that was given up before a byte of an answer came.
func (l *load) forsake(now int64) {
	if now-l.heard.Load() > int64(silenceCounts) {
		l.forsaken.Add(1)
		l.lastForsaken.Store(now)
	}
	l.inFlight.Add(-1)
}

// How long nothing must have come back for an endpoint to count as one that hangs: so many times what its answers took, and no less than
// hangsAfter.
const (
	hangsAfter = 800 * time.Millisecond
	hangsTimes = 10
)

// hangs says for how long nothing has come back, and whether that shows that the endpoint hangs: it answered before, far sooner than the try waited
// that began then and was given up now; enough were; and no stream comes from it.
func (l *load) hangs(now, began int64, usual time.Duration, enough int64) (silence time.Duration, yes bool) {
	silence = time.Duration(now - max(l.heard.Load(), began))
	return silence, l.ghosts(now) >= enough && l.silentFor(silence, usual)
}

// silentFor says that so long a silence, while something is awaited, is far longer than answers take, and that no stream comes either.
func (l *load) silentFor(silence, usual time.Duration) bool {
	return usual > 0 && silence > max(hangsAfter, hangsTimes*usual) && l.spared.Load() == 0
}

// hurry is how long one more may wait for an answer of an endpoint that is known to be mute and has been silent while others wait: so many
// times what its answers took, and no less than hurryFor; 0 = it is not silent, and there is no such limit.
func (l *load) hurry(now int64, usual time.Duration) time.Duration {
	if !l.silentFor(time.Duration(now-l.heard.Load()), usual) {
		return 0
	}
	return max(hurryFor, hangsTimes*usual)
}

const hurryFor = 400 * time.Millisecond

func (l *load) heardFrom(now int64) {
	l.heard.Store(now)
	if l.forsaken.Load() != 0 {
		l.forsaken.Store(0)
	}
}

func (l *load) ghosts(now int64) int64 {
	n := l.forsaken.Load()
	if n == 0 || now-l.lastForsaken.Load() > int64(forsakenFor) {
		return 0
	}
	return n
}

// aged is the number of exchanges in flight or forsaken, of which those that are awaited count for more the longer none has ended: an
// endpoint that hangs loses its share of the traffic before any timeout tells.
func (l *load) aged(now int64) float64 {
	n := l.inFlight.Load() + l.ghosts(now)
	awaited := n - l.spared.Load()
	if awaited <= 0 {
		return float64(max(n, 0))
	}
	silent := max(0, now-l.heard.Load())
	return float64(n) + float64(awaited)*float64(silent)/float64(silenceCounts)
}
