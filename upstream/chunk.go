package upstream

import (
	"bytes"
	"io"
	"strconv"
)

// chunkState is where in the chunked coding (RFC 9112, section 7.1) the next byte stands.
type chunkState struct {
	at     chunkPlace
	digits int
	size   int64
	quoted quoting
}

type chunkPlace uint8

const (
	inSize chunkPlace = iota
	inExtension
	afterSizeCR
	inData
	afterData
	afterDataCR
	inTrailer
)

// quoting is where in a quoted string of a chunk extension the next byte stands.
type quoting uint8

const (
	unquoted quoting = iota
	quoted
	escaped
)

// nextChunk is Ready for a chunked body.
func (b *Body) nextChunk(r *Reader) ([]byte, error) {
	for len(r.Bytes()) > 0 {
		switch b.chunks.at {
		case inData:
			return b.chunkData(r), nil
		case inTrailer:
			if end, err := b.trailerLine(r); !end || err != nil {
				return nil, err
			}
			b.done = true
			return nil, io.EOF
		default:
			if !b.chunks.step(r.Bytes()[0], &b.extra) {
				return nil, ErrChunk
			}
			r.Skip(1)
			b.left = b.chunks.size
			if b.chunks.at == inData {
				b.extra = max(0, b.extra-2*b.left)
			}
		}
	}
	return nil, nil
}

func (b *Body) chunkData(r *Reader) []byte {
	piece := r.Bytes()
	piece = piece[:min(int64(len(piece)), b.left)]
	r.Skip(len(piece))
	b.left -= int64(len(piece))
	b.chunks.size = b.left
	if b.left == 0 {
		b.chunks.at = afterData
	}
	return piece
}

// step takes one byte of framing; false: it may not stand there.
func (s *chunkState) step(c byte, extra *int64) bool {
	switch s.at {
	case inSize:
		return s.sizeByte(c)
	case inExtension:
		*extra++
		return *extra <= MaxChunkExtra && s.extensionByte(c)
	case afterSizeCR:
		s.at = inData
		if s.size == 0 {
			s.at = inTrailer
		}
		return c == '\n'
	case afterData:
		s.at = afterDataCR
		return c == '\r'
	default: // afterDataCR
		*s = chunkState{}
		return c == '\n'
	}
}

func (s *chunkState) sizeByte(c byte) bool {
	if v, ok := HexDigit(c); ok {
		s.size = s.size<<4 | v
		s.digits++
		return s.digits <= 15
	}
	if s.digits == 0 {
		return false
	}
	switch c {
	case '\r':
		s.at = afterSizeCR
	case ';':
		s.at = inExtension
	default:
		return false
	}
	return true
}

// extensionByte takes a byte of a chunk extension: it is ignored, but a quoted CR or a control byte is not let pass.
func (s *chunkState) extensionByte(c byte) bool {
	if class[c]&valueByte == 0 {
		ok := c == '\r' && s.quoted == unquoted
		s.at = afterSizeCR
		return ok
	}
	switch {
	case s.quoted == escaped:
		s.quoted = quoted
	case s.quoted == quoted && c == '\\':
		s.quoted = escaped
	case c == '"':
		s.quoted = quoted - s.quoted
	}
	return true
}

// HexDigit is the value of one hexadecimal digit.
func HexDigit(c byte) (int64, bool) {
	switch {
	case digit(c):
		return int64(c - '0'), true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10, true
	}
	return 0, false
}

// trailerLine takes the trailer section line by line as far as it has come; end says that its blank line has.
func (b *Body) trailerLine(r *Reader) (end bool, err error) {
	for {
		rest := r.Bytes()
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			bareCR := bytes.IndexByte(rest[:max(len(rest)-1, 0)], '\r') >= 0
			if bareCR || int64(len(rest))+b.extra > MaxChunkExtra {
				err = ErrChunk
			}
			return false, err
		}
		if b.extra += int64(i); b.extra > MaxChunkExtra || i == 0 || rest[i-1] != '\r' {
			return false, ErrChunk
		}
		r.Skip(i + 1)
		if i == 1 {
			return true, nil
		}
		if err := b.keepTrailer(rest[:i+1]); err != nil {
			return false, err
		}
	}
}

// keepTrailer checks a trailer field and keeps it, but for those that belong into heads only or end here.
func (b *Body) keepTrailer(line []byte) error {
	name, _, err := splitField(line)
	if err != nil {
		return ErrChunk
	}
	f := Field{Name: name, Kind: kindOf(name)}
	if f.Kind == Other && !equalFold(name, "content-type") && !equalFold(name, "content-encoding") && !b.head.Hop(&f) {
		b.trailer = append(b.trailer, line...)
	}
	return nil
}

// AppendChunk appends piece to dst as one chunk. An empty piece is nothing: only AppendLastChunk ends a body.
func AppendChunk(dst, piece []byte) []byte {
	if len(piece) == 0 {
		return dst
	}
	dst = AppendChunkSize(dst, len(piece))
	dst = append(dst, piece...)
	return append(dst, "\r\n"...)
}

// AppendChunkSize appends the line before a chunk's n bytes.
func AppendChunkSize(dst []byte, n int) []byte {
	dst = strconv.AppendInt(dst, int64(n), 16)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the end of a chunked body, with trailer's field lines.
func AppendLastChunk(dst, trailer []byte) []byte {
	dst = append(dst, "0\r\n"...)
	dst = append(dst, trailer...)
	return append(dst, "\r\n"...)
}
