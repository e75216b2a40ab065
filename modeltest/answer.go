package modeltest

import (
	"bytes"
	"iter"
	"net/http"
	"time"
)

// answerer makes the answer to a request; what then becomes of it on the wire is up to the plan.
type answerer func(r *http.Request, body []byte) answer

// answer is what a model says, before trouble gets at it.
type answer struct {
	status int
	kind   string           // Content-Type
	length int64            // of the body; -1: a stream of events, sent in chunks
	think  time.Duration    // before the head
	gap    time.Duration    // between pieces
	pieces iter.Seq[[]byte] // the body; each piece is sent off before the next is asked for
}

// filling is what large bodies are made of.
var filling = bytes.Repeat([]byte("modeltest fills. "), 1<<11)

func jsonAnswer(status int, v any) answer {
	body := append(encode(v), '\n')
	return answer{status: status, kind: "application/json", length: int64(len(body)), pieces: one(body)}
}

// under changes an answer as the plan says.
func (a answer) under(p *plan) answer {
	if p.status != 0 {
		a.status = p.status
	}
	if p.size > 0 {
		a.kind, a.length, a.pieces = "application/octet-stream", p.size, fill(p.size)
	}
	if p.flood {
		a.kind, a.length, a.pieces = "application/octet-stream", -1, fill(1<<62)
	}
	if p.gap > 0 {
		a.gap = p.gap
	}
	if p.drip > 0 {
		a.gap, a.pieces = p.drip, bytewise(a.pieces)
	}
	if p.cuts() {
		a.pieces = a.half()
	}
	switch p.truncate {
	case "chunked":
		a.length = -1
	case "all":
		a.pieces = prefix(a.pieces, 0)
	}
	return a
}

// half is the first half of a plain body, or the first two events of a stream.
func (a answer) half() iter.Seq[[]byte] {
	if a.length < 0 {
		return take(a.pieces, 2)
	}
	return prefix(a.pieces, a.length/2)
}

func one(piece []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { yield(piece) }
}

func fill(n int64) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for n > 0 {
			piece := filling[:min(n, int64(len(filling)))]
			if n -= int64(len(piece)); !yield(piece) {
				return
			}
		}
	}
}

func bytewise(pieces iter.Seq[[]byte]) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for piece := range pieces {
			for i := range piece {
				if !yield(piece[i : i+1]) {
					return
				}
			}
		}
	}
}

func take(pieces iter.Seq[[]byte], n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for piece := range pieces {
			if n--; !yield(piece) || n == 0 {
				return
			}
		}
	}
}

func prefix(pieces iter.Seq[[]byte], n int64) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for piece := range pieces {
			piece = piece[:min(n, int64(len(piece)))]
			if n -= int64(len(piece)); len(piece) == 0 || !yield(piece) {
				return
			}
		}
	}
}
