package monitor

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"
	"sync/atomic"
	"time"
)

// A receipt is what the client is given of an exchange, to name it by in feedback: request ID, route, pool and time, signed, so that whoever
// has the key can believe it without having seen the exchange. It is
//
//	base64url( 1 | time in ms, 8 bytes | route | pool | request ID | HMAC-SHA256 of all before )
//
// where each text is a byte of length and its bytes. Nothing in it is secret.

// Receipt is what a receipt says.
type Receipt struct {
	Route, Pool, RequestID string
	At                     time.Time // to the millisecond
}

const (
	receiptFormat = 1
	mostReceipt   = 1 + 8 + 3*(1+255) + sha256.Size
)

// seals sign receipts, and know them again. The first key signs; the others are those that signed before it.
type seals struct{ keys atomic.Pointer[[]*seal] }

// seal is one key. Its states are kept, since making one allocates.
type seal struct {
	key    string
	states sync.Pool
}

func newSeal(key []byte) *seal {
	return &seal{key: string(key), states: sync.Pool{New: func() any { return &sealing{mac: hmac.New(sha256.New, key)} }}}
}

// sealing is one signature in the making.
type sealing struct {
	mac hash.Hash
	buf [mostReceipt]byte
}

// newSeals makes seals of a random key, which nobody else knows and the next process does not either.
func newSeals() *seals {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails: the process ends instead
	s := new(seals)
	s.keys.Store(&[]*seal{newSeal(key[:])})
	return s
}

// use takes keys, of which the first signs; without any the one in use stays.
func (s *seals) use(keys [][]byte) {
	if len(keys) == 0 {
		return
	}
	fresh := make([]*seal, 0, len(keys))
	for _, key := range keys {
		fresh = append(fresh, newSeal(key))
	}
	s.keys.Store(&fresh)
}

// append appends the receipt of an exchange. It allocates nothing.
func (s *seals) append(dst []byte, route, pool string, id []byte, at time.Time) []byte {
	k := (*s.keys.Load())[0]
	state := k.states.Get().(*sealing)
	b := append(state.buf[:0], receiptFormat)
	b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMilli()))
	b = appendShort(b, route)
	b = appendShort(b, pool)
	b = appendShort(b, id)
	state.mac.Reset()
	state.mac.Write(b)
	b = state.mac.Sum(b)
	dst = base64.RawURLEncoding.AppendEncode(dst, b)
	k.states.Put(state)
	return dst
}

func appendShort[T string | []byte](b []byte, text T) []byte {
	text = text[:min(len(text), 255)]
	return append(append(b, byte(len(text))), text...)
}

// read reads a receipt; ok says that one of the keys has signed it.
func (s *seals) read(text string) (r Receipt, ok bool) {
	if base64.RawURLEncoding.DecodedLen(len(text)) > mostReceipt {
		return r, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 1+8+3+sha256.Size || b[0] != receiptFormat {
		return r, false
	}
	said, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if !s.signed(said, sum) {
		return r, false
	}
	r.At = time.UnixMilli(int64(binary.BigEndian.Uint64(said[1:])))
	rest := said[9:]
	for _, part := range []*string{&r.Route, &r.Pool, &r.RequestID} {
		n := 0
		if len(rest) > 0 {
			n = int(rest[0])
		}
		if len(rest) < 1+n {
			return Receipt{}, false
		}
		*part, rest = string(rest[1:1+n]), rest[1+n:]
	}
	return r, len(rest) == 0
}

func (s *seals) signed(said, sum []byte) bool {
	for _, k := range *s.keys.Load() {
		state := k.states.Get().(*sealing)
		state.mac.Reset()
		state.mac.Write(said)
		equal := hmac.Equal(state.mac.Sum(state.buf[:0]), sum)
		k.states.Put(state)
		if equal {
			return true
		}
	}
	return false
}
