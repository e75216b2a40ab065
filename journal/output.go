package journal

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"
)

// output is where lines go: a file, or standard error. A line is written whole or not at all, also when the disk is full in the
// middle of one: the rest of it comes first when there is room again.
type output struct {
	what string // in messages
	path string // "" = standard error
	to   io.Writer
	file *os.File // nil for standard error
	torn []byte   // the rest of a line that was written in part

	begun  time.Time // when the first line of the file was written, as far as it says
	dirty  bool      // something was written that was not flushed to the disk
	synced time.Time
}

// mode of files that are made: others may not read who asks for what.
const mode = 0o640

func (o *output) name() string {
	if o.path == "" {
		return "standard error"
	}
	return o.path
}

// follow goes to another file, or to standard error; where it is already, it stays.
func (o *output) follow(path string, stderr io.Writer) error {
	if path == o.path {
		return nil
	}
	if path == "" {
		o.close()
		*o = output{what: o.what, to: stderr}
		return nil
	}
	return o.open(path)
}

// renew opens the file under its name, which may be another one by now.
func (o *output) renew() error {
	if o.path == "" {
		return nil
	}
	return o.open(o.path)
}

// open opens a file, and only then closes the one before.
func (o *output) open(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, mode)
	if err != nil {
		return err
	}
	o.close()
	*o = output{what: o.what, path: path, to: f, file: f, begun: beginOf(f), synced: time.Now()}
	if endsInALine(f) {
		o.torn = newline // whoever wrote it was killed in the middle
	}
	return nil
}

// endsInALine says that the last line of a file has no end.
func endsInALine(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	var last [1]byte
	_, err = f.ReadAt(last[:], info.Size()-1)
	return err == nil && last[0] != '\n'
}

func (o *output) close() {
	if o.file != nil {
		_ = o.file.Close()
	}
}

// write writes whole lines, and begins a new file whenever the file would exceed most bytes. It returns how many lines it could not
// write, and why. That no new file could be begun is an error too, though no line is lost by it.
func (o *output) write(lines []byte, most int64, keep int) (dropped int, err error) {
	var unrotated error
	for len(lines) > 0 {
		n, full := o.room(lines, most)
		if full {
			if unrotated = o.rotate(keep); unrotated == nil {
				continue
			}
			n = len(lines) // better too large a file than none
		}
		if dropped, err := o.put(lines[:n]); err != nil {
			return dropped + countLines(lines[n:]), err
		}
		lines = lines[n:]
	}
	return 0, unrotated
}

// room is how many bytes of lines the file still takes; full says that it takes none and must be rotated. An empty file takes a line
// of any length.
func (o *output) room(lines []byte, most int64) (n int, full bool) {
	size, regular := o.size()
	left := most - size - int64(len(o.torn))
	if most <= 0 || !regular || int64(len(lines)) <= left {
		return len(lines), false
	}
	n = bytes.LastIndexByte(lines[:max(left, 0)], '\n') + 1
	if n == 0 && size == 0 {
		n = bytes.IndexByte(lines, '\n') + 1
	}
	return n, n == 0
}

// size is the file's; others may have made it smaller. regular is false for what has none, such as a pipe.
func (o *output) size() (size int64, regular bool) {
	if o.file == nil {
		return 0, false
	}
	info, err := o.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}

// patience is how long a write may take where the system can bound it: a pipe that nobody reads must not hold up the end of the process.
const patience = time.Second

// put writes lines after what is left of a torn one. It returns how many of them were not written.
func (o *output) put(lines []byte) (dropped int, err error) {
	if o.file != nil {
		_ = o.file.SetWriteDeadline(time.Now().Add(patience)) // a file on a disk knows none
	}
	if len(o.torn) > 0 {
		n, err := o.to.Write(o.torn)
		if o.torn = o.torn[n:]; err != nil {
			return countLines(lines), err
		}
	}
	n, err := o.to.Write(lines)
	if err == nil {
		return 0, nil
	}
	if n > 0 && lines[n-1] != '\n' {
		end := n + bytes.IndexByte(lines[n:], '\n') + 1
		o.torn = bytes.Clone(lines[n:end])
		n = end
	}
	return countLines(lines[n:]), err
}

// rotate renames the file to file.1, file.1 to file.2 and so on, keeps as many as keep says, and begins a new file. When it failed
// with the name free, the older files have made room already.
func (o *output) rotate(keep int) error {
	if !exists(o.path) {
		return o.renew()
	}
	last := 1
	for exists(o.numbered(last)) {
		last++
	}
	for ; last > max(keep, 1); last-- {
		if err := os.Remove(o.numbered(last - 1)); err != nil {
			return fmt.Errorf("cannot remove an old %s: %w", o.what, err)
		}
	}
	for ; last > 1; last-- {
		if err := os.Rename(o.numbered(last-1), o.numbered(last)); err != nil {
			return fmt.Errorf("cannot rename an old %s: %w", o.what, err)
		}
	}
	if err := o.retire(keep); err != nil {
		return fmt.Errorf("cannot rename the %s: %w", o.what, err)
	}
	return o.renew()
}

// retire takes the file from under its name.
func (o *output) retire(keep int) error {
	if keep == 0 {
		return os.Remove(o.path)
	}
	return os.Rename(o.path, o.numbered(1))
}

func (o *output) numbered(n int) string { return fmt.Sprintf("%s.%d", o.path, n) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
