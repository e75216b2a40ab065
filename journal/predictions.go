package journal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"time"

	"mlproxy/monitor"
)

// PredictionSettings say what is in the journal of predictions, and where it is.
type PredictionSettings struct {
	File    string  // "" = there is no journal
	Sample  float64 // 0..1
	MaxSize int64   // bytes above which the file is renamed and a new one begun; 0 = never
	MaxAge  time.Duration
	Keep    int  // renamed files
	Bodies  bool // whole bodies too, where they were inspected and are JSON or text
	// Redact and Hash are paths into JSON bodies, whose values are left out, or replaced by a keyed hash.
	Redact, Hash []string
	Fsync        string // never | interval | always
}

// PredictionOptions are what Predictions are made of; all of them are needed.
type PredictionOptions struct {
	// Settings are those in force, asked for again with every exchange and every write.
	Settings func() PredictionSettings
	// Dropped counts lines that were not written.
	Dropped func(lines int)
	// Log is told when lines are dropped, and of files that cannot be opened.
	Log *slog.Logger
	// HashKey is the key of hashes; nil = a random one, so that hashes can be compared only among those of one process.
	HashKey func() []byte
}

// Predictions is the journal of predictions: a share of the exchanges with model servers, one line of JSON each. Wants and Offer may be called
// by many at once; they never wait for the disk.
type Predictions struct {
	lineQueue
	opt    PredictionOptions
	random [32]byte
}

// NewPredictions makes a journal that writes nothing until Run.
func NewPredictions(o PredictionOptions) *Predictions {
	where := func() place {
		s := o.Settings()
		return place{file: s.File, off: s.File == "", maxSize: s.MaxSize, maxAge: s.MaxAge, keep: s.Keep, fsync: s.Fsync}
	}
	p := &Predictions{lineQueue: newLineQueue("journal", where, nowhere{}, o.Dropped, o.Log), opt: o}
	_, _ = rand.Read(p.random[:]) // never fails: the process ends instead
	return p
}

// nowhere is where lines go while the journal's file was never opened: they are lost, and counted.
type nowhere struct{}

func (nowhere) Write([]byte) (int, error) { return 0, errNoFile }

var errNoFile = errors.New("its file is not open")

// Wants draws whether an exchange is to be offered.
func (p *Predictions) Wants() bool {
	s := p.opt.Settings()
	return s.File != "" && s.Sample > 0 && mathrand.Float64() < s.Sample
}

// Learn takes an exchange that was inspected, if it is drawn.
func (p *Predictions) Learn(r *monitor.Record) {
	if p.Wants() {
		p.Offer(r)
	}
}

// Offer takes the record's line, unless there is no room for it. Nothing of the record is kept.
func (p *Predictions) Offer(r *monitor.Record) {
	s := p.opt.Settings()
	if s.File == "" {
		return
	}
	buffer := lines.Get().(*[]byte)
	*buffer = p.appendPrediction((*buffer)[:0], r, &s)
	if !p.enqueue(*buffer) {
		p.dropped(1)
	}
	if cap(*buffer) <= writeAt {
		lines.Put(buffer)
	}
}

// hash is the keyed hash of a value, the same for equal values.
func (p *Predictions) hash(value []byte) []byte {
	key := p.random[:]
	if p.opt.HashKey != nil {
		if given := p.opt.HashKey(); len(given) > 0 {
			key = given
		}
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("mlproxy journal\n")) // receipts are signed with the same key, and no value may pass for one
	mac.Write(value)
	return mac.Sum(nil)
}
