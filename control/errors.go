package control

import "errors"

// What an operator's command may be refused for; errors wrap one of these, or are config.Faults for a value that is wrong.
var (
	// ErrUnknownRoute: the config has no such route.
	ErrUnknownRoute = errors.New("unknown route")
	// ErrUnknownPool: the config has no such pool.
	ErrUnknownPool = errors.New("unknown pool")
	// ErrUnknownEndpoint: no pool of the config has such an endpoint.
	ErrUnknownEndpoint = errors.New("unknown endpoint")
	// ErrUnknownRevision: no such revision is kept.
	ErrUnknownRevision = errors.New("unknown revision")
	// ErrUnfit: the pool to switch to cannot be reached.
	ErrUnfit = errors.New("nothing was switched")
	// ErrLastFit: what was to be drained is the last fit endpoint of a pool with traffic.
	ErrLastFit = errors.New("nothing was drained")
	// ErrStale: the config has changed since the caller looked at it.
	ErrStale = errors.New("the config has changed meanwhile")
	// ErrFleet: the fleet is asked and changed through Consul, which has not said that it is done. It may be done yet.
	ErrFleet = errors.New("no word from the fleet")
	// ErrMasked: an override of this proxy alone lies above.
	ErrMasked = errors.New("nothing was changed")
	// ErrNoPrevious: there is nothing to roll back to.
	ErrNoPrevious = errors.New("nothing to roll back to")
	// ErrNoOverride: the operator has not overridden the route, or not drained the pool or endpoint.
	ErrNoOverride = errors.New("no override to remove")
	// ErrNotStored: the change could not be written to state_dir. It is not in force either, lest it vanish with a restart.
	ErrNotStored = errors.New("nothing was changed, because the change cannot be stored")
	// ErrInUse: another process writes to state_dir.
	ErrInUse = errors.New("the state is in use")
	// ErrHandover: another process is taking over, and must find the state as it is now.
	ErrHandover = errors.New("mlproxy is being replaced by a new process; send the change again in a moment")
	// ErrStopped: the loop has ended; mlproxy is stopping.
	ErrStopped = errors.New("mlproxy is stopping; send the change to another instance, or again after the next start")
)
