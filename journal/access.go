package journal

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"

	"mlproxy/monitor"
)

// Settings say what is logged, and where to.
type Settings struct {
	Sample  float64 // 0..1: share of the exchanges that are logged beside errors
	File    string  // "" = standard error
	MaxSize int64   // bytes above which the file is renamed and a new one begun; 0 = never
	Keep    int     // renamed files
}

// on says whether anything is logged: with neither a share nor a file there is no access log.
func (s *Settings) on() bool { return s.Sample > 0 || s.File != "" }

// Options are what an Access is made of; all of them are needed.
type Options struct {
	// Settings are those in force. They are asked for again with every exchange and every write, so that a reload changes them.
	Settings func() Settings
	// Stderr is where lines go that no file is set for. Each write to it is whole lines.
	Stderr io.Writer
	// Dropped counts lines that were not written.
	Dropped func(lines int)
	// Log is told when lines are dropped, and of files that cannot be opened.
	Log *slog.Logger
}

// Access is the access log. Wants and Offer may be called by many at once; they never wait for the disk.
type Access struct {
	lineQueue
	opt Options
}

// New makes an access log that writes nothing until Run.
func New(o Options) *Access {
	place := func() place {
		s := o.Settings()
		return place{file: s.File, maxSize: s.MaxSize, keep: s.Keep}
	}
	return &Access{newLineQueue("access log", place, o.Stderr, o.Dropped, o.Log), o}
}

// Wants says whether an exchange that ended like this is to be offered: every error, and a share of the rest. It comes before any work.
func (a *Access) Wants(status int, reason monitor.Reason) bool {
	s := a.opt.Settings()
	if !s.on() {
		return false
	}
	return status >= 500 || reason != monitor.None || s.Sample > 0 && rand.Float64() < s.Sample
}

// Offer takes the record's line, unless there is no room for it. Nothing of the record is kept.
func (a *Access) Offer(r *monitor.Record) {
	buffer := lines.Get().(*[]byte)
	line := appendLine((*buffer)[:0], r)
	if !a.enqueue(line) {
		a.dropped(1)
	}
	*buffer = line
	lines.Put(buffer)
}

var lines = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}
