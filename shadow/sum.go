package shadow

import "github.com/cespare/xxhash/v2"

// Sum is the fingerprint of an answer's body, taken as its pieces pass: equal bodies have equal sums, however they were
// cut. Reset comes before the first piece.
type Sum struct {
	digest xxhash.Digest
	length int64
}

// Reset begins another body.
func (s *Sum) Reset() {
	s.digest.Reset()
	s.length = 0
}

// Add takes the next piece of the body, transfer coding removed. It keeps none of it.
func (s *Sum) Add(piece []byte) {
	_, _ = s.digest.Write(piece) // never fails
	s.length += int64(len(piece))
}

// Hash is the 64-bit xxHash of all pieces since Reset.
func (s *Sum) Hash() uint64 { return s.digest.Sum64() }

// Len is how many bytes there were since Reset.
func (s *Sum) Len() int64 { return s.length }
