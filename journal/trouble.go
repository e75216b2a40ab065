package journal

import (
	"errors"
	"log/slog"
	"time"
)

var errTooSlow = errors.New("more lines come than can be written")

// trouble is that lines or spans are dropped, or a file is not rotated. It is logged when it begins and when it has ended, however many
// lines and failures there are between.
type trouble struct {
	what, over string    // the messages of its beginning and its end
	last       time.Time // when something failed; zero = no trouble
	dropped    int       // since it began
}

// quiet is how long nothing may fail before a trouble is over.
const quiet = 10 * time.Second

func (t *trouble) report(log *slog.Logger, now time.Time, dropped int, err error) {
	switch {
	case err != nil && t.last.IsZero():
		t.last, t.dropped = now, dropped
		log.Error(t.what+"; this is not said again until it is over", "dropped", dropped, "error", err)
	case err != nil:
		t.last, t.dropped = now, t.dropped+dropped
	case !t.last.IsZero() && now.Sub(t.last) >= quiet:
		log.Info(t.over, "dropped", t.dropped)
		t.last, t.dropped = time.Time{}, 0
	}
}
