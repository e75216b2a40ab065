package protocol

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	brotli "github.com/molecule-man/go-brrr"
)

// Bounds of what is inflated. Few bytes may claim to be any number of them: deflate makes a thousand of one, brotli and zstd a million.
const (
	maxInflated  = 8 << 20 // bytes of one body
	maxRatio     = 200     // times as many as came
	leastLimit   = 1 << 16 // which the ratio does not forbid
	maxEncodings = 2       // one upon the other
	maxWindow    = 8 << 20 // bytes that a zstd decoder keeps; RFC 8878, section 3.1.1.1.2, asks for as many
)

var errEncodingUnknown = errors.New("a Content-Encoding other than gzip, deflate, br, zstd")

// inflating undoes the Content-Encoding of what an adapter reads, in a copy.
type inflating struct{ adapter Adapter }

// inflatingEvents is inflating of an Eventer. A Stream undoes the encoding of its own.
type inflatingEvents struct {
	inflating
	Eventer
}

// inflated puts the undoing of encodings before an adapter.
func inflated(a Adapter) Adapter {
	if _, blind := a.(none); blind {
		return a
	}
	if e, ok := a.(Eventer); ok {
		return inflatingEvents{inflating{a}, e}
	}
	return inflating{a}
}

// Request implements Adapter.
func (i inflating) Request(m *Message, f *Facts) {
	if plain := f.inflate(m); plain != nil {
		i.adapter.Request(plain, f)
	}
}

// Response implements Adapter. An answer of status 2xx whose encoding is broken has no prediction.
func (i inflating) Response(m *Message, f *Facts) {
	broken := f.Faults[EncodingBroken]
	if plain := f.inflate(m); plain != nil {
		i.adapter.Response(plain, f)
	} else if m.answered() && f.Faults[EncodingBroken] > broken {
		f.noOutputs(MissingUnparseable)
	}
}

// inflate is m with its encoding undone, valid until the next call; nil when that cannot be, which is noted. What exceeds the bounds is
// cut off.
func (f *Facts) inflate(m *Message) *Message {
	encoding := strings.TrimSpace(m.Encoding)
	if encoding == "" || strings.EqualFold(encoding, "identity") || len(m.Body) == 0 {
		return m
	}
	plain, cut, err := f.room.inflated.all(encoding, m.Body, m.Cut)
	if err != nil && m.Cut {
		f.Fault(Truncated)
	}
	switch {
	case errors.Is(err, errEncodingUnknown):
		f.Fault(EncodingUnsupported)
		return nil
	case err != nil:
		f.Fault(EncodingBroken)
		return nil
	case cut:
		f.Fault(TooLarge)
	}
	undone := &f.room.undone
	*undone = *m
	undone.Encoding, undone.Body, undone.Cut = "", plain, m.Cut || cut
	return undone
}

// inflatedBodies are the memory that bodies are inflated in: from one to the other when there are two encodings.
type inflatedBodies struct{ from, to []byte }

// all undoes the encodings listed, the last first; cut says that there is more than the bounds allow. Of a body that is short, what can be
// read is.
func (b *inflatedBodies) all(encodings string, body []byte, short bool) (plain []byte, cut bool, err error) {
	limit := min(maxInflated, max(leastLimit, maxRatio*len(body)))
	for n := 0; encodings != ""; n++ {
		rest, encoding := "", encodings
		if at := strings.LastIndexByte(encodings, ','); at >= 0 {
			rest, encoding = encodings[:at], encodings[at+1:]
		}
		encodings = rest
		if n == maxEncodings {
			return nil, false, errEncodingUnknown
		}
		var more bool
		if body, more, err = b.one(strings.TrimSpace(encoding), body, limit, short || cut); err != nil {
			return nil, false, err
		}
		cut = cut || more
	}
	return body, cut, nil
}

// one undoes one encoding.
func (b *inflatedBodies) one(encoding string, body []byte, limit int, short bool) (plain []byte, cut bool, err error) {
	d := inflaters.Get().(*inflater)
	defer inflaters.Put(d)
	d.source.Reset(body)
	r, err := d.open(encoding, &d.source)
	if err != nil {
		if short && !errors.Is(err, errEncodingUnknown) {
			return nil, false, nil
		}
		return nil, false, err
	}
	b.from, b.to = b.to, b.from
	plain, cut, err = readUpTo(b.to[:0], r, limit)
	b.to = plain
	if err != nil && short {
		err = nil
	}
	return plain, cut, err
}

// readUpTo appends at most limit bytes of r; more says that there are others.
func readUpTo(to []byte, r io.Reader, limit int) (all []byte, more bool, err error) {
	for len(to) <= limit {
		if len(to) == cap(to) {
			to = slices.Grow(to, min(max(len(to), 512), limit+1-len(to)))
		}
		n, err := r.Read(to[len(to):min(cap(to), limit+1)])
		to = to[:len(to)+n]
		if errors.Is(err, io.EOF) {
			return to[:min(len(to), limit)], len(to) > limit, nil
		}
		if err != nil {
			return to[:min(len(to), limit)], false, err
		}
	}
	return to[:limit], true, nil
}

// inflater has one reader of each encoding, made when it is first needed.
type inflater struct {
	source bytes.Reader
	gzip   *gzip.Reader
	zlib   io.ReadCloser
	flate  io.ReadCloser
	zstd   *zstd.Decoder
	brotli *brotli.Reader
}

var inflaters = sync.Pool{New: func() any { return new(inflater) }}

// source is what is inflated; its first byte can be looked at.
type source interface {
	io.Reader
	io.ByteScanner
}

// open begins to undo an encoding (RFC 9110, section 8.4.1; RFC 7932; RFC 8878).
func (d *inflater) open(encoding string, src source) (io.Reader, error) {
	switch strings.ToLower(encoding) {
	case "identity":
		return src, nil
	case "gzip", "x-gzip":
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		return d.gzip, d.gzip.Reset(src)
	case "deflate":
		return d.deflate(src)
	case "br":
		if d.brotli == nil {
			d.brotli = brotli.NewReader(src)
		}
		d.brotli.Reset(src)
		return d.brotli, nil
	case "zstd":
		if d.zstd == nil {
			z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, err
			}
			d.zstd = z
		}
		return d.zstd, d.zstd.Reset(src)
	}
	return nil, errEncodingUnknown
}

// deflate is zlib (RFC 1950) by the standard, and what zlib holds (RFC 1951) by some who write it: the first byte tells.
func (d *inflater) deflate(src source) (io.Reader, error) {
	first, err := src.ReadByte()
	if err != nil {
		return nil, err
	}
	if err := src.UnreadByte(); err != nil {
		return nil, err
	}
	if first&0x0f != 8 {
		if d.flate == nil {
			d.flate = flate.NewReader(src)
			return d.flate, nil
		}
		return d.flate, d.flate.(flate.Resetter).Reset(src, nil)
	}
	if d.zlib == nil {
		d.zlib, err = zlib.NewReader(src)
		return d.zlib, err
	}
	return d.zlib, d.zlib.(zlib.Resetter).Reset(src, nil)
}
