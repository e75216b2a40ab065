package protocol

import (
	"errors"
	"io"
	"iter"
	"sync/atomic"
)

// maxInflating bounds the bytes that readers of encodings may hold for all streams that are read at once.
const maxInflating = 256 << 20

var inflatingNow atomic.Int64

// costs are the encodings of streams that can be undone, and how much each may hold: zstd and brotli the window that the sender chose.
var costs = map[string]int64{"gzip": 64 << 10, "x-gzip": 64 << 10, "deflate": 64 << 10, "zstd": maxWindow, "br": 16 << 20}

// streamInflater undoes the Content-Encoding of a stream as its pieces come. Readers of encodings ask for input when they need it; here input
// comes when it comes. So the reader runs in a coroutine, which stands still while it waits for the next piece.
type streamInflater struct {
	next func() (plain []byte, running bool) // nil plain: it waits for input
	stop func()

	piece []byte // borrowed from the caller of read; all of it is consumed before read returns
	at    int
	wait  func() bool // gives way to the caller until there is a piece; false when there will be none
	ended bool        // no piece will come
	err   error       // why it ended, if not because the stream did

	taken, given int   // bytes, so far
	cost         int64 // of inflating
}

// inflateStream begins to undo an encoding of costs; nil when too many streams are being read already.
func inflateStream(encoding string) *streamInflater {
	i := &streamInflater{cost: costs[encoding]}
	if inflatingNow.Add(i.cost) > maxInflating {
		inflatingNow.Add(-i.cost)
		return nil
	}
	i.next, i.stop = iter.Pull(func(yield func([]byte) bool) { i.run(encoding, yield) })
	return i
}

// run is the coroutine. A reader that panics may not be used again.
func (i *streamInflater) run(encoding string, yield func([]byte) bool) {
	defer func() {
		if recover() != nil {
			i.err = errInflater
		}
	}()
	i.wait = func() bool { return yield(nil) }
	d := inflaters.Get().(*inflater)
	r, err := d.open(encoding, i)
	var room [4 << 10]byte
	for err == nil && !i.ended {
		var n int
		if n, err = r.Read(room[:]); n > 0 && !i.ended {
			i.ended = !yield(room[:n])
		}
	}
	i.err = err
	inflaters.Put(d)
}

var errInflater = errors.New("the reader of the encoding failed")

// read hands over a piece, and calls use with what comes of it. After an error nothing more comes.
func (i *streamInflater) read(piece []byte, use func(plain []byte)) error {
	i.piece, i.at = piece, 0
	i.taken += len(piece)
	for {
		plain, running := i.next()
		switch {
		case !running && errors.Is(i.err, io.EOF):
			return nil
		case !running:
			return i.err
		case plain == nil:
			i.piece = nil
			return nil
		}
		if i.given += len(plain); i.given > max(maxEvent, maxRatio*i.taken) {
			return errTooLarge
		}
		use(plain)
	}
}

// close ends the coroutine. It is called once.
func (i *streamInflater) close() {
	i.ended = true
	i.stop()
	inflatingNow.Add(-i.cost)
}

// fill waits until there is something to read.
func (i *streamInflater) fill() bool {
	for i.at == len(i.piece) {
		i.piece, i.at = nil, 0
		if i.ended || !i.wait() {
			i.ended = true
			return false
		}
	}
	return true
}

// Read implements io.Reader for the reader of the encoding, as ReadByte and UnreadByte do.
func (i *streamInflater) Read(p []byte) (int, error) {
	if !i.fill() {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, i.piece[i.at:])
	i.at += n
	return n, nil
}

// ReadByte implements io.ByteReader.
func (i *streamInflater) ReadByte() (byte, error) {
	if !i.fill() {
		return 0, io.ErrUnexpectedEOF
	}
	i.at++
	return i.piece[i.at-1], nil
}

// UnreadByte implements io.ByteScanner.
func (i *streamInflater) UnreadByte() error {
	i.at--
	return nil
}
