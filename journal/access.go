package journal

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"mlproxy/monitor"
)

const (
	writeEvery = 500 * time.Millisecond // a line waits no longer than that for others to be written with it
	writeAt    = 64 << 10               // bytes that are worth a write at once
	mostQueued = 4 << 20                // bytes: about 10,000 lines, or a disk that hesitates for 100 ms at 100,000 lines a second
	mostKept   = 1 << 20                // bytes of the queue's memory that are kept for the next lines
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
	opt Options

	mu      sync.Mutex
	queue   []byte // whole lines; at most mostQueued bytes
	lost    int    // lines that found no room since the last write
	full    chan struct{}
	reopen  chan struct{}
	out     output  // the writer's alone, like all below
	spare   []byte  // what the queue is swapped with
	trouble trouble // with writing
	refused string  // the file that could not be opened, which was said
}

// New makes an access log that writes nothing until Run.
func New(o Options) *Access {
	return &Access{opt: o, full: make(chan struct{}, 1), reopen: make(chan struct{}, 1), out: output{to: o.Stderr}, trouble: accessTrouble}
}

var accessTrouble = trouble{what: "the access log cannot be written as it should", over: "the access log is written as it should again"}

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
		a.opt.Dropped(1)
	}
	*buffer = line
	lines.Put(buffer)
}

var lines = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// enqueue puts a line into the queue if it has room.
func (a *Access) enqueue(line []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue)+len(line) > mostQueued {
		a.lost++
		return false
	}
	before := len(a.queue)
	a.queue = append(a.queue, line...)
	if before < writeAt && len(a.queue) >= writeAt {
		nudge(a.full)
	}
	return true
}

// Open opens the file of the settings in force. Run would do so too, but only complain when it cannot.
func (a *Access) Open() error {
	s := a.opt.Settings()
	return a.out.follow(s.File, a.opt.Stderr)
}

// Reopen begins the file anew under its name, for those who renamed it: Run does so before the next write.
func (a *Access) Reopen() { nudge(a.reopen) }

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run writes until ctx ends, and then what is left. Call it once.
func (a *Access) Run(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	defer a.out.close()
	for {
		select {
		case <-ctx.Done():
			a.write()
			return
		case <-a.reopen:
			a.renew()
		case <-a.full:
		case <-tick.C:
		}
		a.write()
	}
}

// write writes what is in the queue to where the settings in force say.
func (a *Access) write() {
	s := a.opt.Settings()
	a.follow(s.File)
	batch, lost := a.take()
	dropped, err := a.out.write(batch, s.MaxSize, s.Keep)
	if a.spare = batch[:0]; cap(batch) > mostKept {
		a.spare = nil
	}
	a.opt.Dropped(dropped)
	if err == nil && lost > 0 {
		err = errTooSlow
	}
	a.trouble.report(a.opt.Log, time.Now(), lost+dropped, err)
}

// take empties the queue.
func (a *Access) take() (batch []byte, lost int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	batch, a.queue = a.queue, a.spare
	lost, a.lost = a.lost, 0
	return batch, lost
}

// follow goes where the settings lead; while it cannot, lines go on to where they went.
func (a *Access) follow(file string) {
	err := a.out.follow(file, a.opt.Stderr)
	if err == nil {
		a.refused = ""
	} else if a.refused != file {
		a.refused = file
		a.opt.Log.Error("the access log stays where it was: its new file cannot be opened; it is tried again",
			"file", file, "stays", a.out.name(), "error", err)
	}
}

// renew begins the file anew; while it cannot, lines go on into the old one.
func (a *Access) renew() {
	if err := a.out.renew(); err != nil {
		a.opt.Log.Error("the access log cannot be reopened and stays in the file it had", "file", a.out.name(), "error", err)
		return
	}
	a.opt.Log.Info("access log reopened", "file", a.out.name())
}

func countLines(b []byte) int { return bytes.Count(b, newline) }

var newline = []byte{'\n'}
