package proxy

import (
	"mlproxy/upstream"
)

// flow writes a message to one side, framed as that side is told, in as few writes as there are waits: what it is given
// gathers in a buffer until flush, or until the buffer is full. Pieces too large to be worth copying are written from
// where they are.
type flow struct {
	to      *upstream.Wire
	buf     []byte // borrowed
	chunked bool
	mute    bool  // nothing is written any more: the reader left, and what comes is only read to its end
	written bool  // something went out
	err     error // the first failure to write
}

// copyAtMost is how much of a piece is copied rather than written apart.
const copyAtMost = 16 << 10

// start begins a message to w.
func (f *flow) start(w *upstream.Wire) {
	f.open()
	*f = flow{to: w, buf: f.buf[:0]}
}

func (f *flow) open() {
	if f.buf == nil {
		f.buf = upstream.Borrow()[:0]
	}
}

// rest gives the buffer back while nothing is in it: more may be long in coming.
func (f *flow) rest() {
	if len(f.buf) == 0 {
		upstream.Return(f.buf)
		f.buf = nil
	}
}

func (f *flow) free() {
	upstream.Return(f.buf)
	*f = flow{}
}

// piece adds a piece of the body.
func (f *flow) piece(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	f.open()
	if f.chunked {
		f.buf = upstream.AppendChunkSize(f.buf, len(p))
	}
	if err := f.add(p); err != nil {
		return err
	}
	if f.chunked {
		return f.add(crlf)
	}
	return nil
}

// end adds the end of the body.
func (f *flow) end(trailer []byte) {
	if f.chunked {
		f.open()
		f.buf = upstream.AppendLastChunk(f.buf, trailer)
	}
}

func (f *flow) add(p []byte) error {
	if len(p) <= copyAtMost && len(f.buf)+len(p) <= upstream.BufferSize-64 {
		f.buf = append(f.buf, p...)
		return nil
	}
	if err := f.flush(); err != nil {
		return err
	}
	if len(p) <= copyAtMost {
		f.buf = append(f.buf, p...)
		return nil
	}
	return f.write(p)
}

// flush sends what has gathered.
func (f *flow) flush() error {
	if len(f.buf) == 0 {
		return f.err
	}
	err := f.write(f.buf)
	f.buf = f.buf[:0]
	return err
}

func (f *flow) write(p []byte) error {
	if f.mute || f.err != nil {
		return f.err
	}
	f.written = true
	_, f.err = f.to.Write(p)
	return f.err
}
