package proxy

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"

	"mlproxy/upstream"
)

// requestID names an exchange: what a trusted client sent, else a UUIDv7 (RFC 9562, section 5.7).
type requestID struct {
	buf [maxRequestID]byte
	n   int
}

// maxRequestID bounds a request ID that is believed; a longer one is replaced.
const maxRequestID = 128

func (id *requestID) bytes() []byte { return id.buf[:id.n] }

// take settles the ID of x.
func (id *requestID) take(x *exchange) {
	if given := x.req.Value(upstream.RequestID); x.trusted && believable(given) {
		id.n = copy(id.buf[:], given)
		return
	}
	id.n = putUUID(id.buf[:], x.began)
}

// believable says that an ID may be kept, and quoted in logs and in JSON as it is.
func believable(id []byte) bool {
	for _, c := range id {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(id) > 0 && len(id) <= maxRequestID
}

// putUUID writes a UUIDv7 as text: 48 bits of milliseconds, and 74 random ones.
func putUUID(dst []byte, now time.Time) int {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli())<<16|uint64(rand.Uint32N(1<<16)))
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	hex.Encode(dst, b[:4])
	dst[8] = '-'
	hex.Encode(dst[9:], b[4:6])
	dst[13] = '-'
	hex.Encode(dst[14:], b[6:8])
	dst[18] = '-'
	hex.Encode(dst[19:], b[8:10])
	dst[23] = '-'
	hex.Encode(dst[24:], b[10:])
	return 36
}
