package upstream

import "sync"

// Reader is what has come over a wire and was not used yet. Its buffer is borrowed, so that a connection that waits
// holds none.
type Reader struct {
	wire *Wire
	buf  []byte
	r, w int // what was not used yet is buf[r:w]
	base int // bytes before it are kept: the head, while its exchange runs
	live live
}

// BufferSize is what a borrowed buffer holds: the usual head and body. At 4 KiB a 16 KiB body costs 30% more.
const BufferSize = 32 << 10

var buffers = sync.Pool{New: func() any { return new([BufferSize]byte) }}

// Borrow takes a buffer of BufferSize bytes; Return it.
func Borrow() []byte { return buffers.Get().(*[BufferSize]byte)[:] }

// Return gives back what Borrow gave; any other buffer is left to the collector.
func Return(b []byte) {
	if cap(b) == BufferSize {
		buffers.Put((*[BufferSize]byte)(b[:BufferSize]))
	}
}

// NewReader reads from w.
func NewReader(w *Wire) Reader { return Reader{wire: w} }

// Wire is where the reader reads from.
func (r *Reader) Wire() *Wire { return r.wire }

// Bytes is what came and was not used yet.
func (r *Reader) Bytes() []byte { return r.buf[r.r:r.w] }

// Skip uses n bytes of Bytes.
func (r *Reader) Skip(n int) { r.r += n }

// Keep uses n bytes, a head, and keeps them in place until Drop.
func (r *Reader) Keep(n int) []byte {
	head := r.buf[r.r : r.r+n : r.r+n]
	r.r += n
	r.base = r.r
	return head
}

// Forget lets go of what Keep kept, and of nothing that came after it.
func (r *Reader) Forget() { r.base = 0 }

// Drop lets go of what Keep kept, and of the buffer when nothing waits in it.
func (r *Reader) Drop() {
	r.base = 0
	if r.r < r.w {
		return
	}
	Return(r.buf)
	r.buf, r.r, r.w = nil, 0, 0
}

// Fill reads at least one byte more behind Bytes; a full buffer grows.
func (r *Reader) Fill() (err error) {
	var n int
	if r.buf == nil {
		r.buf, n, err = r.wire.readBorrowed()
	} else {
		r.room()
		n, err = r.wire.Read(r.buf[r.w:])
	}
	r.w += n
	if n > 0 {
		return nil
	}
	return err
}

func (r *Reader) room() {
	if r.r == r.w {
		r.r, r.w = r.base, r.base
	}
	if r.w < len(r.buf) {
		return
	}
	if r.r > r.base {
		r.w = r.base + copy(r.buf[r.base:], r.buf[r.r:r.w])
		r.r = r.base
		return
	}
	r.grow()
}

// grow doubles the buffer. What Keep and Bytes gave out still shows the old one, whose bytes stay as they are.
func (r *Reader) grow() {
	b := make([]byte, 2*len(r.buf))
	copy(b, r.buf[:r.w])
	r.buf = b
}
