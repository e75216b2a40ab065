package upstream

import (
	"errors"
	"io"
)

// Body reads one message body off a Reader, strictly: a body that ends early is an error, never an end.
type Body struct {
	head    *Head
	framing Framing
	left    int64 // of the body, or of the chunk
	chunks  chunkState
	limit   Limits
	extra   int64 // bytes of chunk extensions and trailers so far, less what the data was worth
	done    bool
	trailer []byte // field lines, with their CRLFs
}

// What may be wrong with a body.
var (
	ErrTruncated = errors.New("the body ended early")
	ErrChunk     = errors.New("the chunked framing is malformed")
)

// MaxChunkExtra bounds the chunk extensions and the trailers of one body, in bytes together. Every chunk makes up for twice its
// data, so that a stream with small extensions may go on without end, but not one of extensions alone.
const MaxChunkExtra = 16 << 10

// Start begins the body whose head is h, which must stay until the body ends: its Connection names trailers too.
func (b *Body) Start(h *Head, limit Limits) {
	*b = Body{head: h, framing: h.Framing, left: h.Length, limit: limit, trailer: b.trailer[:0]}
	b.done = b.framing == NoBody || b.framing == ByLength && b.left == 0
}

// Done says that the body has been read to its proper end.
func (b *Body) Done() bool { return b.done }

// Left is how many bytes are to come, -1 when unknown.
func (b *Body) Left() int64 {
	switch {
	case b.done:
		return 0
	case b.framing == ByLength:
		return b.left
	}
	return -1
}

// Announced is how many bytes are said to be coming: of the body, or of the chunk that comes now.
func (b *Body) Announced() int64 {
	if b.done {
		return 0
	}
	return b.left
}

// Trailer is the field lines that followed a chunked body.
func (b *Body) Trailer() []byte { return b.trailer }

// Next is the next piece of the body, without its framing: what has come already if there is any, else what the next
// read brings. io.EOF says that the body ended as it should. The piece lives until the next call.
func (b *Body) Next(r *Reader) ([]byte, error) {
	for {
		piece, err := b.Ready(r)
		if piece != nil || err != nil {
			return piece, err
		}
		if err := r.Fill(); err != nil {
			return nil, b.Ended(err)
		}
	}
}

// Ready is Next without reading: nil, nil when nothing has come.
func (b *Body) Ready(r *Reader) ([]byte, error) {
	if b.done {
		return nil, io.EOF
	}
	if b.framing == Chunked {
		return b.nextChunk(r)
	}
	piece := r.Bytes()
	if len(piece) == 0 {
		return nil, nil
	}
	if b.framing == ByLength {
		piece = piece[:min(int64(len(piece)), b.left)]
		b.left -= int64(len(piece))
		b.done = b.left == 0
	}
	r.Skip(len(piece))
	return piece, nil
}

// Whole is how many bytes are to come that have no framing among them and of which none waits in r: those may go another way, if
// Advance is told. 0 where that is not known.
func (b *Body) Whole(r *Reader) int64 {
	if b.done || b.framing != ByLength || len(r.Bytes()) > 0 {
		return 0
	}
	return b.left
}

// Advance says that n bytes of Whole have gone another way.
func (b *Body) Advance(n int) {
	b.left -= int64(n)
	b.done = b.left == 0
}

// Ended is what a failed read means to the body: io.EOF says that it has ended as it should.
func (b *Body) Ended(err error) error {
	if err != io.EOF {
		return err
	}
	if b.framing != UntilClose {
		return ErrTruncated
	}
	b.done = true
	return io.EOF
}
