package source

import "mlproxy/config"

// Update is what one origin says now: a config, or what is wrong with what stands there.
type Update struct {
	// Origin names the layer: "file".
	Origin string
	// Reason says in a word or two why the origin speaks now: "start", "file changed", "reload".
	Reason string
	// Config is nil when Err is set.
	Config *config.Config
	// Err is a config.Faults for bad content, else why nothing could be read.
	Err error

	outcome chan<- error
}

// Done tells whoever asked for the update what became of it; it never blocks. Call it at most once for each update received.
func (u *Update) Done(err error) {
	if u.outcome != nil {
		u.outcome <- err
	}
}
