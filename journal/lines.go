package journal

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	writeEvery = 500 * time.Millisecond // a line waits no longer than that for others to be written with it
	writeAt    = 64 << 10               // bytes that are worth a write at once
	mostQueued = 4 << 20                // bytes: about 10,000 lines, or a disk that hesitates for 100 ms at 100,000 lines a second
	mostKept   = 1 << 20                // bytes of the queue's memory that are kept for the next lines
)

// lineQueue takes lines from many, and has one goroutine write them.
type lineQueue struct {
	what    string // in messages
	place   func() place
	stderr  io.Writer // where lines go without a file
	dropped func(lines int)
	log     *slog.Logger

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

// place is where lines go, and how. It is asked for with every write.
type place struct {
	file    string // "" = to what stands in for it
	off     bool   // no more lines come: what there are go where others went
	maxSize int64  // bytes; 0 = any
	maxAge  time.Duration
	keep    int
	fsync   string // never | interval | always
}

func newLineQueue(what string, where func() place, stderr io.Writer, dropped func(lines int), log *slog.Logger) lineQueue {
	return lineQueue{
		what: what, place: where, stderr: stderr, dropped: dropped, log: log,
		full: make(chan struct{}, 1), reopen: make(chan struct{}, 1), out: output{what: what, to: stderr},
		trouble: trouble{what: "the " + what + " cannot be written as it should", over: "the " + what + " is written as it should again"},
	}
}

// enqueue puts a line into the queue if it has room.
func (q *lineQueue) enqueue(line []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue)+len(line) > mostQueued {
		q.lost++
		return false
	}
	before := len(q.queue)
	q.queue = append(q.queue, line...)
	if before < writeAt && len(q.queue) >= writeAt {
		nudge(q.full)
	}
	return true
}

// Open opens the file of the settings in force. Run would do so too, but only complain when it cannot.
func (q *lineQueue) Open() error {
	return q.out.follow(q.place().file, q.stderr)
}

// Reopen begins the file anew under its name, for those who renamed it: Run does so before the next write.
func (q *lineQueue) Reopen() { nudge(q.reopen) }

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run writes until ctx ends, and then what is left. Call it once.
func (q *lineQueue) Run(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	defer q.out.close()
	for {
		select {
		case <-ctx.Done():
			q.write()
			_ = q.out.sync(q.place().fsync, false, time.Now().Add(syncEvery))
			return
		case <-q.reopen:
			q.renew()
		case <-q.full:
		case <-tick.C:
		}
		q.write()
	}
}

// write writes what is in the queue to where the settings in force say.
func (q *lineQueue) write() {
	s, now := q.place(), time.Now()
	if !s.off {
		q.follow(s.file)
	}
	batch, lost := q.take()
	old := q.out.tooOld(s.maxAge, s.keep, now)
	dropped, err := q.out.write(batch, s.maxSize, s.keep)
	err = cmp.Or(err, old, q.out.sync(s.fsync, len(batch) > dropped, now))
	if q.spare = batch[:0]; cap(batch) > mostKept {
		q.spare = nil
	}
	q.dropped(dropped)
	if err == nil && lost > 0 {
		err = errTooSlow
	}
	q.trouble.report(q.log, now, lost+dropped, err)
	if s.off {
		q.follow("") // with nothing left for the file there was
	}
}

// take empties the queue.
func (q *lineQueue) take() (batch []byte, lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch, q.queue = q.queue, q.spare
	lost, q.lost = q.lost, 0
	return batch, lost
}

// follow goes where the settings lead; while it cannot, lines go on to where they went.
func (q *lineQueue) follow(file string) {
	err := q.out.follow(file, q.stderr)
	if err == nil {
		q.refused = ""
	} else if q.refused != file {
		q.refused = file
		q.log.Error("the "+q.what+" stays where it was: its new file cannot be opened; it is tried again",
			"file", file, "stays", q.out.name(), "error", err)
	}
}

// renew begins the file anew; while it cannot, lines go on into the old one.
func (q *lineQueue) renew() {
	if err := q.out.renew(); err != nil {
		q.log.Error("the "+q.what+" cannot be reopened and stays in the file it had", "file", q.out.name(), "error", err)
		return
	}
	q.log.Info(q.what+" reopened", "file", q.out.name())
}

func countLines(b []byte) int { return bytes.Count(b, newline) }

var newline = []byte{'\n'}
