package proxy

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"mlproxy/monitor"
	"mlproxy/upstream"
)

// errStatus says that the answer's status is one that the route's retry rules name, and that the request is sent again:
// nothing of the answer was passed on.
var errStatus = errors.New("the answer's status asks for another try")

// maxDetours bounds how often an exchange goes elsewhere because a breaker closed the way, which costs nothing.
const maxDetours = 8

// mayRetry says whether err allows another try, and takes it from the route's budget.
func (x *exchange) mayRetry(err error) bool {
	if err == errStatus {
		return true // as mayRetryStatus has said
	}
	if err == upstream.ErrOpen {
		x.tries--
		x.detours++
		return x.detours <= maxDetours
	}
	return x.permits(cause(err)) && x.spend()
}

// mayRetryStatus says whether the answer, whose head has come, is given up for another try.
func (x *exchange) mayRetryStatus() bool {
	status := x.ans.Status
	tries := status >= 502 && status <= 504 || x.task.Trial() && x.version.Pool.Options.Breaker.Fails(status)
	return tries && x.permits(strconv.Itoa(status)) && x.spend()
}

// permits says whether the route's rules and the request allow another try after what went wrong. Before a byte was sent
// any method may be tried again, whatever its body; after that those that the route lists, when the whole body is at hand. A request that we used
// to try an endpoint is owed another try whatever went wrong.
func (x *exchange) permits(wrong string) bool {
	rules := &x.route.Config.Retry
	again := x.replays || wrong == "connect" && !x.seen.Sent // the body is at hand, or none of it is gone
	return x.tries <= rules.Attempts && again && x.inTime() && (x.task.Trial() || slices.Contains(rules.On, wrong)) &&
		(wrong == "connect" || slices.Contains(rules.Methods, string(x.req.Method)))
}

// inTime says that another try would have any time to be answered in.
func (x *exchange) inTime() bool { return x.left() > time.Nanosecond }

func (x *exchange) spend() bool {
	if x.route.Retries.Spend() {
		return true
	}
	x.meter.Retry(monitor.RetryNoBudget)
	return false
}

// cause is what retry.on calls an error of a try.
func cause(err error) string {
	switch {
	case errors.Is(err, upstream.ErrConnect), errors.Is(err, upstream.ErrFull):
		return "connect"
	case errors.Is(err, upstream.ErrStale):
		return "stale"
	case errors.Is(err, upstream.ErrReset):
		return "reset"
	case errors.Is(err, upstream.ErrTimeout):
		return "timeout"
	}
	return ""
}
