package source

import "mlproxy/config"

// Update is what one origin says now: a config, or what is wrong with what stands there.
type Update struct {
	// Origin names the layer: "file".
	Origin string
	// Reason says in a word or two why the origin speaks now: "start", "file changed", "SIGHUP", "reload", or what Author says.
	Reason string
	// Author is who asked for it; empty when nobody did, or who is not known.
	Author string
	// Config is nil when Err is set.
	Config *config.Config
	// Err is a config.Faults for bad content, else why nothing could be read.
	Err error
	// Outcome, if somebody waits for it, takes what became of the update. It has room, so that Done never blocks.
	Outcome chan<- error
}

// Done tells whoever waits what became of the update. Call it once for each update received.
func (u *Update) Done(err error) {
	if u.Outcome != nil {
		u.Outcome <- err
	}
}
