package journal

import (
	"errors"
	"log/slog"
	"time"
)

var errTooSlow = errors.New("more lines come than can be written")

// trouble is that lines are dropped, or a file is not rotated. It is logged when it begins and when it has ended, however many
// lines and failures there are between.
type trouble struct {
	last    time.Time // when something failed; zero = no trouble
	dropped int       // since it began
}

// quiet is how long nothing may fail before a trouble is over.
const quiet = 10 * time.Second

func (t *trouble) report(log *slog.Logger, now time.Time, dropped int, err error) {
	switch {
	case err != nil && t.last.IsZero():
		*t = trouble{now, dropped}
		log.Error("the access log cannot be written as it should; this is not said again until it can", "dropped", dropped, "error", err)
	case err != nil:
		*t = trouble{now, t.dropped + dropped}
	case !t.last.IsZero() && now.Sub(t.last) >= quiet:
		log.Info("the access log is written as it should again", "dropped", t.dropped)
		*t = trouble{}
	}
}
