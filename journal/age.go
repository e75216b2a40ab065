package journal

import (
	"os"
	"time"
)

// syncEvery is how often a file is flushed to the disk by "interval".
const syncEvery = time.Second

// tooOld begins a new file when the first line of this one is older than most; 0 = whenever.
func (o *output) tooOld(most time.Duration, keep int, now time.Time) error {
	size, regular := o.size()
	if size == 0 {
		o.begun = now // an empty file does not age
	}
	if most <= 0 || !regular || now.Sub(o.begun) < most {
		return nil
	}
	return o.rotate(keep)
}

// beginOf is when the first line of a file was written: every line begins with its time. Of an empty file it is now.
func beginOf(f *os.File) time.Time {
	const key = `{"time":"`
	head := make([]byte, len(key)+len(timeForm))
	if n, _ := f.ReadAt(head, 0); n == len(head) && string(head[:len(key)]) == key {
		if t, err := time.Parse(timeForm, string(head[len(key):])); err == nil {
			return t
		}
	}
	return time.Now()
}

// sync flushes what was written to the disk, as the policy says.
func (o *output) sync(policy string, wrote bool, now time.Time) error {
	o.dirty = o.dirty || wrote
	switch {
	case o.file == nil || !o.dirty || policy != "always" && policy != "interval":
		return nil
	case policy == "interval" && now.Sub(o.synced) < syncEvery:
		return nil
	}
	o.dirty, o.synced = false, now
	return o.file.Sync()
}
